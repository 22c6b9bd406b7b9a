"""What a scaling decision is made from, and what it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from celery_operator.scaling.service_time import ServiceTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """One queue as the broker tells of it, all priorities together."""

    name: str
    ready: int | None
    """Messages that wait in the broker; None when nobody could read it."""
    future_eta: int | None = 0
    """Those of ``ready`` whose ETA has not come; None when the broker cannot tell: then all of them are due."""
    next_eta: float | None = None
    """Seconds from now until the first ETA among them; below 0 when it has just come."""
    hides_eta: bool = False
    """Whether others of ``ready`` may have an ETA, too, that the broker does not show."""
    share: float = 1.0
    """This group's part of the queue, 0 to 1: its most slots over the most slots of all groups that consume it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One pod of the group that is not being deleted. One that is still starting runs nothing, and is not ready."""

    pod: str
    slots: int
    """Tasks that it runs at a time."""
    active: int | None = None
    """Tasks that it runs now; None when it has not told: it counts as full."""
    reserved: int = 0
    """Tasks that it took and does not run yet, without those with an ETA."""
    held: int = 0
    """Messages that it keeps for another reason, such as a rate limit."""
    eta: int = 0
    """Tasks that it holds for their ETA; they go back to the queue when it ends."""
    draining: bool = False
    """It consumes nothing, because it was told to."""
    can_drain: bool = True
    """False when it cannot be told, because it refuses or does not answer: it goes on consuming."""
    ready: bool = True
    idle_seconds: float = 0.0
    """How long it has been running nothing; 0 while it runs something."""

    @property
    def drained(self) -> bool:
        """Whether it takes nothing new, as far as anybody knows."""
        return self.draining and self.can_drain

    @property
    def busy_slots(self) -> int:
        """Slots in use, all of them where nobody knows."""
        return self.slots if self.active is None else min(self.active, self.slots)

    @property
    def idle(self) -> bool:
        """Whether it is known to run and keep nothing that its end could disturb; ETA tasks just go back."""
        return self.active == 0 and self.reserved == 0 and self.held == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A group's queues and workers at one moment."""

    queues: tuple[Queue, ...]
    workers: tuple[Worker, ...]
    replicas: int
    """What the Deployment is asked for now."""
    slots_per_worker: int
    """Concurrency of a pod, at least 1; the largest where a pool grows and shrinks."""
    unacked: int | None = None
    """Messages of these queues that some worker holds, without those of other groups' workers; None when the broker
    does not say."""
    unacked_needed: bool = False
    """Whether ``unacked`` has to be known, and to be nothing, before the last pod goes."""

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Queues that could not be read."""
        return tuple(queue.name for queue in self.queues if queue.ready is None)

    @property
    def consuming(self) -> tuple[Worker, ...]:
        """Workers that take new tasks."""
        return tuple(worker for worker in self.workers if not worker.drained)

    @property
    def hides_eta(self) -> bool:
        """Whether some queue's broker cannot tell which messages wait for their ETA: those that go back look due."""
        return any(queue.future_eta is None or queue.hides_eta for queue in self.queues)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """`workers[].autoscaling` with its defaults resolved; exactly one target is given. Durations in seconds."""

    min_replicas: int
    max_replicas: int
    target_queue_length: float | None = None
    """Waiting tasks per replica."""
    target_latency: float | None = None
    """How long a task may wait before it starts."""
    headroom: float = 0.0
    """Part of the slots that should be free while nothing waits, 0 to below 1."""
    window: float = 120.0
    """How long a lower number must have been enough."""
    max_step_up: int | None = None
    """Most pods added by one decision; None: as many as are wanted."""
    fallback_replicas: int | None = None
    """Asked for while the queues have been unreadable for ``fallback_after``; None: hold."""
    fallback_after: float = 180.0


Wants = tuple[tuple[float, int], ...]
"""When, and how many workers were wanted, oldest first."""
Lows = tuple[tuple[float, float], ...]
"""When, and how many slots were wanted, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What earlier decisions saw. Times are seconds of one clock that only goes forward."""

    wants: Wants = ()
    """Each is larger than all later ones; all but the last are no older than the window, and the last is the latest."""
    calm: Wants = ()
    """The same with the margin for a load that varies."""
    lows: Lows = ()
    """Each is smaller than all later ones; all but the last are no older than the window."""
    since: float | None = None
    """When this history began: a new leader lowers nothing before it has seen a whole window."""
    unreadable_since: float | None = None
    orphans_since: float | None = None
    """Since when messages are taken that no living worker accounts for; it stays while nobody knows what is taken."""
    unproven_since: float | None = None
    """Since when nobody knows what is taken, although somebody should."""
    awake_until: float | None = None
    """Until when a worker is needed for a task whose ETA is near, wherever the task is."""
    service_time: ServiceTime = field(default_factory=ServiceTime)
    startup: float = 15.0
    """Seconds from asking for a pod until it consumes, as measured."""


class Reason(StrEnum):
    """Why a decision is what it is: for Events, metrics and status."""

    STEADY = "Steady"
    """As many as are needed."""
    BACKLOG = "Backlog"
    """More, because tasks wait."""
    BUSY = "Busy"
    """More, because too few slots are free."""
    LIMITS = "Limits"
    """minReplicas or maxReplicas ask for it."""
    STABILIZING = "Stabilizing"
    """Fewer would do now, and may not have been enough within the window, or be too few for how the load varies."""
    SURPLUS = "Surplus"
    """Fewer were enough for the whole window."""
    READINGS_MISSING = "ReadingsMissing"
    """Nobody knows what waits: nothing is lowered."""
    FALLBACK = "Fallback"
    """Nobody has known for long: `fallback` says how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What the load asks for, before limits and the window."""

    busy: int
    """Slots in use."""
    due: float
    """Tasks that should start now, this group's share."""
    slots: float
    """Slots that are wanted."""
    want: int
    """Workers that are wanted."""
    at_rest: bool = False
    """Nothing is due, runs or is kept back: whether a worker stays depends on what others may have taken."""
    unproven: bool = False
    """At rest, and one worker is wanted only because nobody knows what others have taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do. Only pods that were drained and have become idle may be removed: that is for whoever acts."""

    desired: int
    """Replicas that the group should have, within its limits."""
    want: int
    """Workers that the load needs at this moment, within the limits."""
    drain: tuple[str, ...] = ()
    """Pods that should stop consuming: idle ones, then the least busy, which may be removed when they are idle."""
    undrain: tuple[str, ...] = ()
    """Pods that should consume again: capacity that is there at once."""
    reason: Reason
    demand: Demand | None = None
    """None where the queues could not be read."""
    needs_unacked: bool = False
    """Whether the next decisions depend on ``Load.unacked``: ask for it as long as this is so."""
