"""Connections to the Redis servers that hold the ledger and the idempotency records."""

from __future__ import annotations

from typing import Final

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

STORE_ERRORS: Final = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)
"""What a store that is away raises; a wrong answer (a script error, a full memory) is not in it."""

_TIMEOUT_SECONDS: Final = 3.0


def connect(url: str, *, attempts: int = 3) -> redis.Redis:
    """A lazily connecting client, safe to keep over a fork: redis-py's pool notices a new process id.

    Every command is bounded by 3 s an attempt and tried ``attempts`` times with back-off and jitter.
    """
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=_TIMEOUT_SECONDS,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        health_check_interval=30,
        retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=1.0), attempts - 1),
        retry_on_error=list(STORE_ERRORS),
    )
