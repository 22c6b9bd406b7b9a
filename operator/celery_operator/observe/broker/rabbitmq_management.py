"""RabbitMQ's management API: the only place that says how many messages of a queue workers hold, and for how long."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import aiohttp
from yarl import URL

from celery_operator.observe.broker.depth import Problem
from celery_operator.observe.broker.rabbitmq_connection import TIMEOUT, virtual_host

PERIOD: Final = 5.0
"""Seconds between two questions: RabbitMQ collects its statistics every 5 s by default."""

DELAYED_PREFIX: Final = "celery_delayed_"
"""Celery's own 28 queues for ETA tasks beside quorum queues; nobody's backlog."""

_POLICY: Final = "effective_policy_definition"
"""What policies and operator policies together set for a queue. Their own list needs the tag policymaker, this none."""
_COLUMNS: Final = f"name,messages_unacknowledged,arguments,{_POLICY}"
_SIZE_LIMIT: Final = 16 * 1024 * 1024
"""Bytes of one answer; some 200 a queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What the API says of one queue; None is unknown, and of ``consumer_timeout`` also that it has none of its own."""

    unacked: int | None = None
    consumer_timeout: float | None = None


_NOTHING: Final = _Told()


class RabbitManagement:
    """Keeps what the API says of all queues of one virtual host, asked for in the background.

    ``management_url``: ``http(s)://[user:password@]host:15672[/prefix]``; without an account, the broker URL's.
    """

    def __init__(
        self,
        management_url: str,
        *,
        broker_url: str,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``tls``: for an https:// URL; what the system trusts when None."""
        self._clock = clock
        self._tls: ssl.SSLContext | bool = True if tls is None else tls
        self._told: Mapping[str, _Told] = {}
        self._problem: Problem | None = None
        self._asked: float | None = None
        self._answered = False
        self._task: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None
        self._address: URL | None = None
        self._headers: Mapping[str, str] = {}
        try:
            self._address, self._headers = request_of(management_url, broker_url, "queues", _COLUMNS)
        except ValueError:
            self._problem = Problem(
                reason="ManagementAddressInvalid",
                message="the URL of RabbitMQ's management API cannot be understood; "
                "write it as http://user:password@host:15672",
            )

    @property
    def has_answered(self) -> bool:
        """Whether an answer, or the lack of one, has been seen, or none can come: what is unknown then stays so."""
        return self._answered or self._address is None

    @property
    def problem(self) -> Problem | None:
        """Why ``unacked`` is unknown; None when the last answer was good, and before the first."""
        return self._problem

    def unacked(self, queue: str) -> int | None:
        """Messages that workers hold, some 10 s old at most; None where the API does not say (yet)."""
        return self._told.get(queue, _NOTHING).unacked

    def consumer_timeout(self, queue: str) -> float | None:
        """Seconds after which RabbitMQ takes a message of the queue back, by its arguments or by a policy.

        None where the server's own value counts, which the API does not tell, and where nothing is known yet.
        """
        return self._told.get(queue, _NOTHING).consumer_timeout

    def refresh(self) -> None:
        """Ask again when PERIOD has passed since the last question; returns at once."""
        now = self._clock()
        due = self._asked is None or now - self._asked >= PERIOD
        if self._address is None or not due or (self._task is not None and not self._task.done()):
            return
        self._asked = now
        self._task = asyncio.create_task(self._ask(self._address), name="rabbitmq-management")

    async def close(self) -> None:
        """End the question under way, and the session."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._session is not None:
            await self._session.close()

    async def _ask(self, address: URL) -> None:
        try:
            self._told, self._problem = await self._get(address), None
        except _RefusedError as refusal:
            self._forget_figures()
            self._problem = refusal.problem
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            self._forget_figures()
            self._problem = Problem(
                reason="ManagementUnreachable",
                message=f"RabbitMQ's management API does not answer ({type(error).__name__}), so that it is unknown "
                "how many messages workers hold; check its URL, and that the plugin rabbitmq_management is enabled",
            )
        self._answered = True

    def _forget_figures(self) -> None:
        """Figures grow old; how a queue is set does not change because the API is away for a moment."""
        self._told = {
            queue: replace(told, unacked=None)
            for queue, told in self._told.items()
            if told.consumer_timeout is not None
        }

    async def _get(self, address: URL) -> Mapping[str, _Told]:
        async with self._open().get(address, headers=self._headers, allow_redirects=False, ssl=self._tls) as response:
            if response.status != 200:
                raise _RefusedError(_refusal(response.status))
            return dict(_queues(await document_of(response)))

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT), trust_env=False)
        return self._session


class _RefusedError(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


async def document_of(response: aiohttp.ClientResponse) -> Any:
    """The JSON of an answer. Raises ValueError for one that is too long or is none."""
    data = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        data += chunk
        if len(data) > _SIZE_LIMIT:
            raise ValueError("too long")
    return json.loads(data)


def request_of(
    management_url: str, broker_url: str, path: Literal["queues", "exchanges"], columns: str, name: str | None = None
) -> tuple[URL, Mapping[str, str]]:
    """The address to GET, without the account, and the header with it; `name`: of one object. Raises ValueError."""
    parts, broker = urlsplit(management_url), urlsplit(broker_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not a URL of HTTP")
    account = parts if parts.username else broker
    user, password = unquote(account.username or "guest"), unquote(account.password or "guest")
    names = (virtual_host(broker_url), *(() if name is None else (name,)))
    below = "/".join(quote(each, safe="") for each in names)
    whole = f"{parts.path.rstrip('/').removesuffix('/api')}/api/{path}/{below}"
    host = parts.netloc.rpartition("@")[2]
    address = urlunsplit((parts.scheme, host, whole, f"columns={columns}", ""))
    # Encoded as it is: the name of a virtual host is often a slash.
    account_header = aiohttp.encode_basic_auth(user, password, encoding="utf-8")
    return URL(address, encoded=True), {"Authorization": account_header}


def _queues(document: Any) -> Iterator[tuple[str, _Told]]:
    """Name and figures of each entry. Raises ValueError when this is not a list of queues."""
    if not isinstance(document, list):
        raise ValueError("not a list of queues")
    for entry in document:
        name = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(name, str) and not name.startswith(DELAYED_PREFIX):
            unacked = _count(entry.get("messages_unacknowledged"))
            yield name, _Told(unacked=unacked, consumer_timeout=_consumer_timeout(entry))


def _consumer_timeout(queue: Mapping[str, Any]) -> float | None:
    """In seconds; of argument and policy the shorter one counts (deps/rabbit/src/rabbit_channel.erl, 3.12)."""
    places = ((queue.get("arguments"), "x-consumer-timeout"), (queue.get(_POLICY), "consumer-timeout"))
    asked = [_count(place.get(key)) for place, key in places if isinstance(place, dict)]
    return min((each / 1000 for each in asked if each), default=None)


def _count(value: Any) -> int | None:
    """A whole number. A new queue has no statistics for some seconds: that is unknown."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _refusal(status: int) -> Problem:
    unknown = "so that it is unknown how many messages workers hold"
    if status == 401:
        return Problem(
            reason="ManagementRefused",
            message=f"RabbitMQ's management API refuses the account, {unknown}; give the user the tag 'monitoring' "
            "or 'management', or write another account into the API's URL",
        )
    if status == 404:
        return Problem(
            reason="ManagementNotFound",
            message=f"RabbitMQ's management API does not know the broker's virtual host, or is not at this URL, "
            f"{unknown}; check the API's URL",
        )
    return Problem(
        reason="ManagementRefused",
        message=f"RabbitMQ's management API answered {status}, {unknown}; check its URL and the account's rights",
    )
