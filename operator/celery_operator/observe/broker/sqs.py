"""Amazon SQS as a broker: whether it answers."""

from __future__ import annotations

from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Unreadable
from celery_operator.observe.broker.reachability import REACHABLE, Reachability, unreachable
from celery_operator.observe.broker.sqs_connection import SqsConnection
from celery_operator.observe.broker.sqs_layout import layout_of


async def ping(address: BrokerAddress) -> Reachability:
    """Ask for the name of one queue; an account that may not do so has its answer, too."""
    connection = SqsConnection()
    try:
        await connection.ask(layout_of(address).endpoint(), "ListQueues", MaxResults=1)
    except Unreadable as unreadable:
        return unreachable(unreadable.problem)
    finally:
        await connection.close()
    return REACHABLE
