"""What the hub asks of a transport: the depths of queues, and the heartbeats of workers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from celery_operator.observe.broker.depth import Depth, Heartbeat, Problem


class DepthReader(Protocol):
    """Reads queues over a connection that it opens when it is first needed, keeps, and opens again when it is lost.

    One read at a time. A read that failed, or that was cancelled, leaves nothing behind that could spoil the next.
    """

    @property
    def notes(self) -> tuple[Problem, ...]:
        """What was wrong in the last read although the queues could be read."""
        ...

    async def read(
        self, queues: Collection[str], *, unacked: bool, urgent: Collection[str] = ()
    ) -> Mapping[str, Depth]:
        """One Depth for each of the queues, all of about the same moment.

        ``unacked``: whether somebody needs what the workers hold of each queue, where that costs more than a call.
        ``urgent``: those of the queues whose first message somebody waits for; their depths are always of now.
        Raises depth.Unreadable; no network call takes more than 2 s.
        """
        ...

    async def close(self) -> None:
        """End the connection; raises nothing."""
        ...


class HeartbeatSource(Protocol):
    """Listens to what workers say of themselves without being asked."""

    async def run(self, on_beat: Callable[[Heartbeat], None]) -> None:
        """Hand over every heartbeat until cancelled; raises when the connection is lost or cannot be had."""
        ...
