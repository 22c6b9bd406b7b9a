"""Redis as a broker: plain commands only, because a kombu consumer would restore everybody's unacked messages."""

from __future__ import annotations

from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Unreadable
from celery_operator.observe.broker.reachability import REACHABLE, Reachability, unreachable
from celery_operator.observe.broker.redis_connection import RedisConnection, answering


async def ping(address: BrokerAddress) -> Reachability:
    """Connect to a Redis, or to the master that the Sentinels name, and send PING."""
    try:
        connection = RedisConnection(address)
    except Unreadable as unreadable:
        return unreachable(unreadable.problem)
    try:
        async with answering():
            await connection.client.ping()
    except Unreadable as unreadable:
        return unreachable(unreadable.problem)
    finally:
        await connection.close()
    return REACHABLE
