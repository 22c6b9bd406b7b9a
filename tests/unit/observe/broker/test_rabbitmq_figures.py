"""What is told of a management API that answers, and not what workers hold."""

from __future__ import annotations

from collections.abc import Sequence, Set

import pytest

from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import UNACKED_UNKNOWN, Problem
from celery_operator.observe.broker.rabbitmq_management import RabbitManagement
from celery_operator.observe.broker.rabbitmq_reader import RabbitReader

ADDRESS = BrokerAddress(url="amqp://rabbit", management_url="http://rabbit:15672")


class Server:
    """A broker with empty queues, whose management API says what workers hold of some of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = 0.0
        self.figures: dict[str, int] = {}
        monkeypatch.setattr(RabbitManagement, "refresh", lambda _: None)
        monkeypatch.setattr(RabbitManagement, "has_answered", True)
        monkeypatch.setattr(RabbitManagement, "unacked", lambda _, queue: self.figures.get(queue))
        self.reader = RabbitReader(ADDRESS, clock=lambda: self.at)
        monkeypatch.setattr(self.reader, "_read", self._empty)

    async def _empty(self, names: Sequence[str], urgent: Set[str], ready: dict[str, int | None]) -> None:
        ready.update(dict.fromkeys(names, 0))

    async def notes(self, seconds: float, *queues: str, unacked: bool = True) -> tuple[Problem, ...]:
        """What is told after so many seconds of readings."""
        end = self.at + seconds
        while self.at < end:
            self.at += 2.0
            await self.reader.read(queues, unacked=unacked)
        return self.reader.notes


async def test_a_server_that_collects_no_statistics_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group would keep its last pod for ever, and nobody would know why."""
    server = Server(monkeypatch)
    server.figures = {"mail": 0}
    assert await server.notes(20, "mail", "web") == ()
    (note,) = await server.notes(20, "mail", "web")
    assert note.reason == UNACKED_UNKNOWN
    assert "'web'" in note.message
    assert "management_agent.disable_metrics_collector" in note.message
    assert await server.notes(60, "mail", "web", unacked=False) == (), "no group is about to go to zero"
    assert await server.notes(40, "mail", "web") == (note,)
    server.figures["web"] = 0
    assert await server.notes(2, "mail", "web") == ()


async def test_a_new_queue_has_no_figures_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    assert await server.notes(10, "web") == ()
    server.figures["web"] = 0
    assert await server.notes(60, "web") == ()
