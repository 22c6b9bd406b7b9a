"""Claims on Redis: one atomic ``SET NX EX`` per tick on the broker."""

from __future__ import annotations

from typing import Any, Optional

from .claim_attempts import Attempts, BrokerAwayError, ClaimRefusedError, connection_errors, release
from .ticks import MINIMUM_LIFE, Tick

RIGHTS = "grant SET and GET on celery-operator:beat:* (behind the key prefix, if the application sets one)"


class RedisClaims:
    """``SET celery-operator:beat:<namespace>.<cluster>:<entry>:<slot> <token> NX EX <life>`` with kombu's own client.

    The client carries the application's TLS, Sentinel and key prefix settings. What a failover of Redis loses of
    its last writes, a second beat may claim again.
    """

    kind = "redis"
    longest_sleep: Optional[float] = None
    producer: Optional[Any] = None

    def __init__(self, app: Any, scope: str) -> None:
        self._app = app
        self._scope = scope
        self._attempts = Attempts()
        self._connection: Optional[Any] = None
        self._client: Optional[Any] = None
        self._allowed = False

    def prepare(self) -> None:
        """Make sure that the broker answers.

        Raises BrokerAwayError; ClaimRefusedError before any tick is lost, since a new connection tries its rights here.
        """
        if self._allowed:
            self._ask("PING")
            return
        # Below the scope, as all ticks are, and no tick's name: that would have a slot too.
        key = "celery-operator:beat:%s:rights" % self._scope
        self._ask("SET", key, "", "EX", MINIMUM_LIFE)
        self._ask("GET", self._prefix() + key)
        self._allowed = True

    def take(self, tick: Tick) -> bool:
        """Whether this beat may publish ``tick``. Raises BrokerAwayError and ClaimRefusedError."""
        key = "celery-operator:beat:%s:%s:%s" % (self._scope, tick.entry, tick.slot)
        token = self._attempts.token(tick)
        ours = self._ask("SET", key, token, "NX", "EX", tick.life) is not None
        if not ours:
            # Not only after an error here: redis-py asks again by itself when the reply to its SET was lost.
            ours = _text(self._ask("GET", self._prefix() + key)) == token
        self._attempts.over()
        return ours

    def _ask(self, command: str, *arguments: Any) -> Any:
        from redis.exceptions import NoPermissionError, RedisError, ResponseError

        try:
            return self._connect().execute_command(command, *arguments)
        except NoPermissionError as error:
            self.close()
            raise ClaimRefusedError("Redis refuses %s: %s; %s" % (command, error, RIGHTS)) from error
        except ResponseError as error:
            # Closed too: a server that became a replica stays one, and Sentinel knows the new primary.
            self.close()
            raise BrokerAwayError("Redis refuses %s: %s" % (command, error)) from error
        except (RedisError, OSError, ValueError, *connection_errors(self._connection)) as error:
            # ValueError is what redis-py 8 makes of a SIGTERM while it reads ("operation on closed file").
            self.close()
            raise BrokerAwayError("%s: %s" % (type(error).__name__, command)) from error

    def _prefix(self) -> str:
        """kombu puts the application's key prefix before the key of SET, but not of GET."""
        if "GET" in getattr(self._client, "PREFIXED_SIMPLE_COMMANDS", ()):
            return ""
        return str(getattr(self._client, "global_keyprefix", "") or "")

    def _connect(self) -> Any:
        if self._client is None:
            self._connection = self._app.connection_for_write()
            self._client = self._connection.channel().client
        return self._client

    def close(self) -> None:
        """Give the connection up; the next claim makes a new one."""
        connection, self._connection, self._client = self._connection, None, None
        self._allowed = False
        release(connection)


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
