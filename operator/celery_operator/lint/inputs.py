"""What rules look at: the spec, and as much as somebody knows of the fleet, the broker and other CeleryClusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from celery_operator.api.cluster import CeleryCluster
from celery_operator.lint import broker
from celery_operator.lint.neighbour import Neighbour

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Versions:
    """Packages as the runtime found them in an image; None for one that is not there."""

    celery: str | None = None
    kombu: str | None = None
    redis: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFacts:
    """What the workers of one group say of themselves; empty where none of them has said anything."""

    versions: frozenset[Versions] = frozenset()
    visibility_timeouts: frozenset[float] = frozenset()
    """Seconds, as the application really has them; what its own code sets wins over the operator's default."""
    holds_eta: bool | None = None
    """Whether some worker holds tasks whose ETA has not come."""
    furthest_eta: float | None = None
    """Seconds until the last of the tasks with an ETA is due that some worker holds."""
    meets_unknown_tasks: bool | None = None
    """Whether some worker was sent a task that its application does not know."""
    runs_tasks_twice: bool | None = None
    """Whether some worker was sent a task again that it was still running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What all workers say, by group."""

    groups: Mapping[str, GroupFacts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerFacts:
    """What the operator's own readings tell of the broker. None is unknown."""

    scheme: str | None = None
    """Of its URL, where a Secret holds that."""
    nearest_eta: float | None = None
    """Seconds until the first of the messages that wait in a queue for their ETA is due."""
    consumer_timeouts: Mapping[str, float] | None = None
    """Seconds after which RabbitMQ takes messages back, of the queues that have a value of their own there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """All of it. Offline there is a spec alone, and perhaps its neighbours in the same files."""

    cluster: CeleryCluster
    others: tuple[Neighbour, ...] = ()
    """Other CeleryClusters on the same broker."""
    fleet: Fleet | None = None
    broker: BrokerFacts | None = None

    @property
    def broker_kind(self) -> str | None:
        """`broker.REDIS`, `broker.RABBITMQ`, another URL scheme; None where nobody knows."""
        return broker.kind(self.cluster, None if self.broker is None else self.broker.scheme)

    def group(self, name: str) -> GroupFacts:
        """What the workers of a group say; empty where nobody has heard of them."""
        return _NOTHING if self.fleet is None else self.fleet.groups.get(name, _NOTHING)


_NOTHING = GroupFacts()


def version(text: str) -> Version:
    """`5.7.0rc1` is (5, 7, 0): leading numbers only."""
    numbers: list[int] = []
    for part in text.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)
