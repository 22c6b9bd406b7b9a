"""What the monitor says of a broker that it cannot, or need not, ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Problem
from celery_operator.observe.broker.monitor import BrokerMonitor
from celery_operator.observe.key import ClusterKey
from tests.unit.observe.broker.world import A
from tests.unit.observe.virtual_time import run

NOWHERE = BrokerAddress(url="", problem=Problem(reason="BindingInvalid", message="correct it"))


@pytest.mark.parametrize(
    ("address", "reachable", "reason"),
    [
        (None, None, "AddressUnknown"),
        (NOWHERE, False, "BindingInvalid"),
        (BrokerAddress(url="sqs://"), None, "TransportNotSupported"),
        (BrokerAddress(url="redis://a;redis://b"), None, "TransportNotSupported"),
        (BrokerAddress(url="sentinel://a;sentinel://b"), False, "InvalidAddress"),
    ],
)
def test_what_is_told_without_a_connection(address: BrokerAddress | None, reachable: bool | None, reason: str) -> None:
    async def resolve(_: ClusterKey) -> BrokerAddress | None:
        return address

    async def test(clock: Callable[[], float]) -> None:
        del clock
        monitor = BrokerMonitor(resolve=resolve, on_change=lambda _: None, random=lambda: 0.5)
        monitor.watch(A, "broker")
        await asyncio.sleep(1)
        found = monitor.result(A)
        assert (found.reachable, found.reason) == (reachable, reason)
        await monitor.stop()

    run(test)
