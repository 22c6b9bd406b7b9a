"""RabbitMQ as a broker, over AMQP 0-9-1."""

from __future__ import annotations

from typing import Final

import aio_pika
from aiormq.exceptions import AMQPError, ProbableAuthenticationError

from celery_operator.observe.broker import certificates
from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Unreadable
from celery_operator.observe.broker.reachability import (
    AUTHENTICATION_FAILED,
    REACHABLE,
    Reachability,
    connection_failed,
    unreachable,
)

TIMEOUT: Final = 2.0
"""Seconds for a connection."""


async def ping(address: BrokerAddress) -> Reachability:
    """Open a connection to an `amqp://`, `amqps://` or `pyamqp://` URL and close it."""
    url = "amqp" + address.url.removeprefix("py").removeprefix("amqp")
    try:
        context = certificates.context(address.url, address.certificates)
        connection = await aio_pika.connect(url, timeout=TIMEOUT, ssl_context=context)
        await connection.close()
    except Unreadable as unreadable:
        return unreachable(unreadable.problem)
    except ProbableAuthenticationError:
        return Reachability(
            reachable=False,
            reason=AUTHENTICATION_FAILED,
            message="the broker refuses the user, password or virtual host; check the broker's URL or its Secret",
        )
    except (AMQPError, OSError) as error:
        return connection_failed(error)
    return REACHABLE
