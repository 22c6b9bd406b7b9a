"""A hub with brokers that do as they are told, and note what is asked of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Depth, Heartbeat, Problem, Reading, Unreadable
from celery_operator.observe.broker.hub import BrokerHub, Transport, Wish
from celery_operator.observe.key import ClusterKey

A = ClusterKey(namespace="shop", name="a")
B = ClusterKey(namespace="shop", name="b")
DOWN = Unreadable(Problem(reason="Down", message="it is down"))


@dataclass
class Broker:
    """What a broker does, and what was asked of it, by the clock."""

    clock: Callable[[], float]
    trouble: BaseException | None = None
    deaf: Exception | None = None
    takes: float = 0.0
    reads: list[tuple[float, frozenset[str], bool]] = field(default_factory=list)
    listens: list[float] = field(default_factory=list)
    beats: asyncio.Queue[Heartbeat | Exception] = field(default_factory=asyncio.Queue)
    open: int = 0
    notes: tuple[Problem, ...] = ()
    more: int = 0
    urgent: list[frozenset[str]] = field(default_factory=list)

    async def read(
        self, queues: Collection[str], *, unacked: bool, urgent: Collection[str] = ()
    ) -> Mapping[str, Depth]:
        self.open = 1
        self.urgent.append(frozenset(urgent))
        self.reads.append((self.clock(), frozenset(queues), unacked))
        await asyncio.sleep(self.takes)
        if self.trouble is not None:
            raise self.trouble
        return {queue: Depth(ready=len(queue) + self.more) for queue in queues}

    async def close(self) -> None:
        self.open = 0

    async def run(self, on_beat: Callable[[Heartbeat], None]) -> None:
        self.listens.append(self.clock())
        if (trouble := self.trouble or self.deaf) is not None:
            raise trouble
        while True:
            beat = await self.beats.get()
            if isinstance(beat, Exception):
                raise beat
            on_beat(beat)

    def times(self) -> list[float]:
        return [round(at, 3) for at, _, _ in self.reads]


@dataclass
class World:
    """A hub, the brokers that it knows and what it told."""

    clock: Callable[[], float]
    brokers: dict[str, Broker] = field(default_factory=dict)
    told: list[tuple[float, ClusterKey]] = field(default_factory=list)
    complaint: Exception | None = None

    def __post_init__(self) -> None:
        transport = Transport(reader=self.broker, heartbeats=self.broker)
        self.hub = BrokerHub(
            clock=self.clock, random=lambda: 0.5, on_reading=self._note, transports={"redis": transport}
        )

    def broker(self, address: BrokerAddress) -> Broker:
        return self.brokers.setdefault(address.url, Broker(clock=self.clock))

    def _note(self, key: ClusterKey) -> None:
        self.told.append((round(self.clock(), 3), key))
        if self.complaint is not None:
            raise self.complaint

    def reading(self, key: ClusterKey) -> Reading:
        reading = self.hub.reading(key)
        assert reading is not None
        return reading


def wish(*queues: str, url: str = "redis://one", fast: bool = False, unacked: bool = False) -> Wish:
    return Wish(address=BrokerAddress(url=url), queues=frozenset(queues), fast=fast, unacked=unacked)


def at(url: str) -> BrokerAddress:
    return BrokerAddress(url=url)
