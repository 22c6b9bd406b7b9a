"""What an event of Celery says of a worker, however it came."""

from __future__ import annotations

from typing import Any, Final

from celery_operator.observe.broker.depth import Heartbeat

_KINDS: Final = {"worker-heartbeat": False, "worker-online": False, "worker-offline": True}
"""The events of a worker about itself, and whether they say that it ends."""
_FREQ: Final = 2.0
"""Seconds between two heartbeats: Celery's default."""


def heartbeats(document: object, at: float) -> list[Heartbeat]:
    """The heartbeats in a decoded event, or in a list of events; nothing where it is something else.

    ``at``: when it came, by our own monotonic clock.
    """
    events = document if isinstance(document, list) else [document]
    beats = (_heartbeat(event, at) for event in events if isinstance(event, dict))
    return [beat for beat in beats if beat is not None]


def _heartbeat(event: dict[str, Any], at: float) -> Heartbeat | None:
    kind, nodename = event.get("type"), event.get("hostname")
    if not isinstance(kind, str) or kind not in _KINDS or not isinstance(nodename, str) or not nodename:
        return None
    freq = event.get("freq")
    stated = isinstance(freq, int | float) and not isinstance(freq, bool) and 0 < freq < float("inf")
    return Heartbeat(
        nodename=nodename,
        at=at,
        active=_count(event.get("active")),
        processed=_count(event.get("processed")),
        freq=float(freq) if stated and freq is not None else _FREQ,
        offline=_KINDS[kind],
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
