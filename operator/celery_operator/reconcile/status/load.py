"""The load figures of the status: coarse, and seldom written for themselves. Metrics have them to the second."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from celery_operator.api.cluster import CeleryCluster
from celery_operator.api.scalars import seconds
from celery_operator.reconcile.autoscaling import policy
from celery_operator.reconcile.autoscaling.document import readable
from celery_operator.reconcile.autoscaling.view import GroupView
from celery_operator.reconcile.status.view import StatusView
from celery_operator.scaling.model import Queue

PERIOD: Final = 30.0
"""Seconds between two writes of nothing but load figures."""
UNKNOWN: Final = "Unknown"
_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"
_EXACT: Final = 20
_FIGURES: Final = ("slots", "busy", "backlog")
_TASK_DURATION: Final = "taskDuration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the status says of the load."""

    groups: Mapping[str, Mapping[str, int | str]]
    """`slots`, `busy`, `backlog` and `taskDuration` by group; one that nobody knows is left out."""
    backlog: str
    """Of all groups, as a word."""
    time: str | None
    """When these figures were first written; None before any were."""


def draining(view: StatusView, group: str, previous: Mapping[str, Any]) -> dict[str, int]:
    """How many of the group's pods are to go; as before where nobody has looked yet, after a start of the operator."""
    found = view.autoscaling.get(group)
    if found is not None and found.load is not None:
        return {"draining": sum(worker.draining for worker in found.load.workers)}
    known = _written(previous).get(group, {}).get("draining") if group in _watched(view.cluster) else None
    return {} if known is None else {"draining": known}


def figures(view: StatusView, previous: Mapping[str, Any], now: datetime, *, anyway: bool = False) -> Figures:
    """The figures of now, or the former ones where nothing changed or where those are younger than the period.

    ``anyway``: the status is written whatever these figures are, so that younger ones cost nothing. What a task takes
    changes more seldom than the others by itself, and outlives all that is not looked at for a time.
    """
    found, durations = _of_load(view, previous, now, anyway=anyway), _task_durations(view, previous)
    groups = {name: {**found.groups.get(name, {}), **durations.get(name, {})} for name in {**found.groups, **durations}}
    return replace(found, groups=groups)


def due(cluster: CeleryCluster, views: Mapping[str, GroupView], status: Mapping[str, Any], now: datetime) -> bool:
    """Whether a pass for nothing else would write other figures than the status has."""
    former = _former(cluster, status)
    fresh = _fresh(former, views)
    if fresh != former and _may_be_written(former, status, now):
        return True
    known = {name: found.task_duration for name, found in views.items() if found.task_duration is not None}
    written = _written(status)
    return any(written.get(name, {}).get(_TASK_DURATION) != duration for name, duration in known.items())


def _of_load(view: StatusView, previous: Mapping[str, Any], now: datetime, *, anyway: bool) -> Figures:
    former = _former(view.cluster, previous)
    fresh = _fresh(former, view.autoscaling)
    if fresh == former or not (anyway or _may_be_written(former, previous, now)):
        return former
    return replace(fresh, time=now.strftime(_FORMAT))


def _former(cluster: CeleryCluster, status: Mapping[str, Any]) -> Figures:
    """What the status says of the groups whose load is looked at."""
    watched, written = _watched(cluster), _written(status)
    return Figures(
        groups={name: _kept(written.get(name, {})) for name in watched},
        backlog=str((status.get("summary") or {}).get("backlog", UNKNOWN)) if watched else UNKNOWN,
        time=status.get("loadTime") if watched else None,
    )


def _fresh(former: Figures, views: Mapping[str, GroupView]) -> Figures:
    """The same with what is known now, under the former time."""
    looked = {name: found for name, found in views.items() if name in former.groups and _looked_at(found)}
    groups = {name: of_group(looked[name]) if name in looked else before for name, before in former.groups.items()}
    return replace(former, groups=groups, backlog=_whole(looked.values()) if looked else former.backlog)


def _may_be_written(former: Figures, status: Mapping[str, Any], now: datetime) -> bool:
    """Whether the former figures are old enough, or do not have every group."""
    written = _written(status)
    return former.time is None or any(name not in written for name in former.groups) or _age(former.time, now) >= PERIOD


def task_seconds(status: Mapping[str, Any], group: str) -> float | None:
    """What a task of the group takes as the status says; None where it says nothing, or nothing that can be read."""
    try:
        return seconds(str(_written(status).get(group, {}).get(_TASK_DURATION)))
    except ValueError:
        return None


def _task_durations(view: StatusView, previous: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Of all groups with autoscaling, those of a paused cluster, too: as measured, else as written before."""
    out, written = {}, _written(previous)
    for name in (group.name for group in view.cluster.spec.workers if group.autoscaling is not None):
        found = view.autoscaling.get(name)
        measured = None if found is None else found.task_duration
        known = measured or written.get(name, {}).get(_TASK_DURATION)
        if known:
            out[name] = {_TASK_DURATION: str(known)}
    return out


def coarse(number: int) -> int:
    """Exact up to 20, then two significant digits: 99 stays, 1299 is 1200."""
    if number <= _EXACT:
        return number
    step = int(10 ** (len(str(number)) - 2))
    return number // step * step


def _watched(cluster: CeleryCluster) -> tuple[str, ...]:
    """Groups whose load is looked at."""
    if cluster.spec.paused:
        return ()
    return tuple(group.name for group in cluster.spec.workers if policy.watched(group))


def _looked_at(found: GroupView) -> bool:
    """Whether something is known of the group; before the first reading the former figures are the best there are."""
    return found.read_at is not None or found.problem is not None


def of_group(found: GroupView) -> dict[str, int]:
    """What the status says of one group's load, in coarse steps; figures that nobody knows are left out."""
    out: dict[str, int] = {}
    if found.load is not None:
        out["slots"] = coarse(sum(worker.slots for worker in found.load.workers))
        out["busy"] = coarse(sum(worker.busy_slots for worker in found.load.workers))
    load = readable(found)
    if load is not None:
        out["backlog"] = coarse(sum(map(_due, load.queues)))
    return out


def _whole(views: Iterable[GroupView]) -> str:
    """Over all groups; a queue that several consume counts once."""
    queues: dict[str, Queue] = {}
    for found in views:
        load = readable(found)
        if load is None:
            return UNKNOWN
        queues.update({queue.name: queue for queue in load.queues})
    return str(coarse(sum(map(_due, queues.values()))))


def _due(queue: Queue) -> int:
    return max(0, (queue.ready or 0) - (queue.future_eta or 0))


def _written(previous: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {group["name"]: group for group in previous.get("workers") or []}


def _kept(group: Mapping[str, Any]) -> dict[str, int]:
    return {name: group[name] for name in _FIGURES if name in group}


def _age(time: str, now: datetime) -> float:
    """Seconds since the time in a status; one that nobody can read is long ago, and one to come is of another clock."""
    try:
        return abs((now - datetime.strptime(time, _FORMAT).replace(tzinfo=now.tzinfo)).total_seconds())
    except ValueError:
        return PERIOD
