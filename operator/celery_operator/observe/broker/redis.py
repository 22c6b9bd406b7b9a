"""Redis as a broker: plain commands only, because a kombu consumer would restore everybody's unacked messages."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import redis.asyncio
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from celery_operator.observe.broker.reachability import (
    AUTHENTICATION_FAILED,
    REACHABLE,
    Reachability,
    connection_failed,
)

TIMEOUT: Final = 2.0
"""Seconds for a connection and for an answer."""


async def ping(url: str) -> Reachability:
    """Connect to a `redis://`, `rediss://` or `unix://` URL and send PING."""
    client = redis.asyncio.Redis.from_url(plain(url), socket_connect_timeout=TIMEOUT, socket_timeout=TIMEOUT)
    try:
        await client.ping()
    except AuthenticationError:
        return Reachability(
            reachable=False,
            reason=AUTHENTICATION_FAILED,
            message="the broker refuses the user or password; check the broker's URL or its Secret",
        )
    except NoPermissionError:
        return REACHABLE  # it answered, that this user may not PING
    except (RedisError, OSError) as error:
        return connection_failed(error)
    finally:
        await client.aclose()
    return REACHABLE


def plain(url: str) -> str:
    """The URL without kombu's own options, which redis-py refuses; whether certificates are checked is kept."""
    parts = urlsplit(url)
    wanted = dict(parse_qsl(parts.query)).get("ssl_cert_reqs", "")
    check = wanted.lower().removeprefix("cert_")
    query = f"ssl_cert_reqs={check}" if parts.scheme == "rediss" and check in ("none", "optional", "required") else ""
    return urlunsplit(parts._replace(query=query))
