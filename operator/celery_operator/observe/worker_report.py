"""What a worker's runtime says of it over HTTP: the values that the poller keeps."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PodAddress:
    """Where the runtime of a pod listens. ``uid`` is also what proves to it who asks."""

    uid: str
    name: str
    host: str
    port: int

    def url(self, path: str) -> str:
        """Where the runtime answers for ``path``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}{path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerAbout:
    """What a worker's program is, the same from its start to its end. Versions are None for a package it has not."""

    celery: str | None = None
    kombu: str | None = None
    redis: str | None = None
    visibility_timeout: float | None = None
    """Seconds, as its application has it; None where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReport:
    """The last answer of a worker's /status or /drain. Counts are None where the worker cannot tell."""

    at: float
    """When it came, in seconds of the monotonic clock."""
    boot_id: str
    """Another one after every start of the container: what was said to the former one is void."""
    slots: int | None
    active: int | None
    reserved: int | None
    held: int | None
    eta: int | None
    processed: int | None
    started: bool
    """Whether it has begun to consume at all."""
    shutting_down: bool
    draining: bool
    """It consumes nothing, because it was told to, and its lease has not run out."""
    drained: bool
    """It is draining, and nothing is left that its end could disturb, for certain."""
    connected: bool | None = None
    """Whether it has a connection to the broker."""
    consuming: bool | None = None
    """Whether it takes messages of some queue, which needs a connection."""
    not_consuming_since: float | None = None
    """By the clock of `at`: since when every answer has said that it consumes nothing, although nobody told it to."""
    unknown_tasks: int | None = None
    """Messages that it has put back since its start, because its application does not know their task."""
    redelivered: int | None = None
    """Messages that it was sent again, since its start, while it still ran their task."""
    latest_eta: float | None = None
    """When the last of the tasks with an ETA that it holds comes due, in seconds since the epoch."""
    about: WorkerAbout | None = None
    """None before its first /status: an answer of /drain has nothing of it."""
