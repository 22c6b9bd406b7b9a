"""RabbitMQ as a broker, over AMQP 0-9-1."""

from __future__ import annotations

from typing import Final

import aio_pika
from aiormq.exceptions import AMQPError, ProbableAuthenticationError

from celery_operator.observe.broker.reachability import (
    AUTHENTICATION_FAILED,
    REACHABLE,
    Reachability,
    connection_failed,
)

TIMEOUT: Final = 2.0
"""Seconds for a connection."""


async def ping(url: str) -> Reachability:
    """Open a connection to an `amqp://`, `amqps://` or `pyamqp://` URL and close it."""
    address = "amqp" + url.removeprefix("py").removeprefix("amqp")
    try:
        connection = await aio_pika.connect(address, timeout=TIMEOUT)
        await connection.close()
    except ProbableAuthenticationError:
        return Reachability(
            reachable=False,
            reason=AUTHENTICATION_FAILED,
            message="the broker refuses the user, password or virtual host; check the broker's URL or its Secret",
        )
    except (AMQPError, OSError) as error:
        return connection_failed(error)
    return REACHABLE
