"""Every call to the broker and the result backend, each bounded in time: away or slow is an ``UnavailableError``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import anyio
import redis
from anyio import to_thread
from celery.result import _set_task_join_will_block
from kombu.exceptions import OperationalError

from celery_tasks.app import app
from celery_tasks.queues import broker_scheme, serves_low_numbers_first
from celery_tasks.settings import settings

T = TypeVar("T")

_AWAY: Final = (OperationalError, redis.exceptions.RedisError, OSError, TimeoutError)
"""What brokers and backends raise when they are away: kombu's own for publishing, redis-py's for results."""

_ATTEMPTS: Final = {"max_retries": 1, "interval_start": 0.0, "interval_step": 0.2, "interval_max": 0.2}


class UnavailableError(RuntimeError):
    """The broker or the result backend did not answer in time; the text is for the caller."""


def configure() -> None:
    """Set this process up as a producer: short timeouts, few retries, and no waiting for results."""
    limit = settings().publish_timeout_seconds
    transport = dict(app.conf.broker_transport_options or {})
    if serves_low_numbers_first(broker_scheme()):
        # Not for workers: their BRPOP waits longer than a producer may.
        transport |= {"socket_timeout": limit, "socket_connect_timeout": limit, **_ATTEMPTS}
    app.conf.update(
        broker_transport_options=transport,
        broker_connection_timeout=limit,
        task_publish_retry_policy=_ATTEMPTS,
        redis_socket_timeout=limit,
        redis_socket_connect_timeout=limit,
        result_backend_transport_options={"retry_policy": {"timeout": limit, **_ATTEMPTS}},
    )
    # A process that may wait for results subscribes to one channel for every task it sends, and keeps them all.
    # This one only reads states, so it says what Celery's own workers say.
    _set_task_join_will_block(True)


async def publish(send: Callable[[], T]) -> T:
    """Run ``send`` in a thread; UnavailableError when the broker refuses or takes longer than the limit."""
    return await _bounded(send, "the message was not accepted: the broker", "; try again later")


async def read(ask: Callable[[], T]) -> T:
    """Run ``ask`` in a thread; UnavailableError when the result backend is away or slow."""
    return await _bounded(ask, "the state cannot be read: the result backend", "; the task itself is not affected")


async def _bounded(call: Callable[[], T], subject: str, advice: str) -> T:
    limit = settings().publish_timeout_seconds
    try:
        with anyio.fail_after(limit):
            return await to_thread.run_sync(call, abandon_on_cancel=True)
    except TimeoutError as error:
        raise UnavailableError(f"{subject} did not answer within {limit:g} s{advice}") from error
    except _AWAY as error:
        # The class alone: a message may carry the broker's address.
        raise UnavailableError(f"{subject} is not reachable ({type(error).__name__}){advice}") from error
