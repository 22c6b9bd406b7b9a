"""What waits in a broker's queues: the values that readers give, whatever the transport."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

UNACKED_UNKNOWN: Final = "UnackedUnknown"
"""The reason of a note that is of interest only to groups that could go to zero if more were known."""
HEARTBEATS_REFUSED: Final = "HeartbeatsRefused"
"""The reason where the operator's user may not listen to the workers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """One queue, all priorities together. None is unknown, and never 0."""

    ready: int | None
    """Messages that wait in the broker; 0 for a queue that does not exist."""
    unacked: int | None = None
    """Messages of this queue that some worker holds."""
    unacked_needed: bool = True
    """Whether ``unacked`` must be known before the last worker goes. False where nobody can ever tell and the broker
    itself puts back what a lost worker held; on Redis only another worker does that."""
    future_eta: int | None = 0
    """Those of ``ready`` whose ETA has not come; None where the broker does not show it."""
    next_eta: float | None = None
    """The first of these ETAs, in seconds since the epoch."""
    hides_eta: bool = False
    """Whether more of ``ready`` may have an ETA than the broker shows; always so where ``future_eta`` is None."""
    consumer_timeout: float | None = None
    """Seconds after which the broker takes an unacknowledged message back, where the queue has a value of its own."""
    consumer_timeout_known: bool = field(default=True, compare=False)
    """False while somebody is asked for it and has not answered yet. Says nothing of the queue itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why there is no reading: ``reason`` for programs, ``message`` for people, without any URL or secret."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The last reading of the queues of one CeleryCluster."""

    at: float
    """When it was begun, in seconds of the monotonic clock."""
    depths: Mapping[str, Depth] = field(default_factory=dict)
    """By queue's name; empty where ``problem`` is given."""
    problem: Problem | None = None
    notes: tuple[Problem, ...] = ()
    """What is wrong although the depths are right as far as they are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """The last that was heard of a worker."""

    nodename: str
    at: float
    """When it arrived here, in seconds of the monotonic clock: the worker's own clock may be wrong."""
    active: int | None
    """Tasks that it runs; None when it did not say."""
    processed: int | None
    """Tasks that it has accepted since its start."""
    freq: float = 2.0
    """Seconds between two heartbeats, as it says."""
    offline: bool = False
    """It has said that it ends; it may still run tasks."""


class Unreadable(Exception):  # noqa: N818 - a state of the broker, told as such
    """A reader could not read; carries what to say of it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem
