"""The whole status of a CeleryCluster, and the Events that its changes are worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from celery_operator.reconcile.status import (
    autoscaling_active,
    beat_running,
    broker_reachable,
    flower_available,
    load,
    no_warnings,
    paused,
    queues_match,
    ready,
    result_backend_reachable,
    spec_valid,
    suspended,
    workers,
    workers_available,
    workers_consuming,
)
from celery_operator.reconcile.status.load import Figures
from celery_operator.reconcile.status.view import StatusView, Verdict
from celery_operator.reconcile.status.workers import ObservedGroup

Evaluate = Callable[[StatusView], Verdict]
_MAX_MESSAGE: Final = 32768
"""What the CRD takes; a longer message would keep the whole status from being written."""
_MAX_VERSION: Final = 253
"""What the CRD takes of celeryVersion."""
CONDITIONS: Final[dict[str, Evaluate]] = {
    "Ready": ready.evaluate,
    "SpecValid": spec_valid.evaluate,
    broker_reachable.NAME: broker_reachable.evaluate,
    result_backend_reachable.NAME: result_backend_reachable.evaluate,
    queues_match.NAME: queues_match.evaluate,
    "WorkersAvailable": workers_available.evaluate,
    workers_consuming.NAME: workers_consuming.evaluate,
    "BeatRunning": beat_running.evaluate,
    "AutoscalingActive": autoscaling_active.evaluate,
    "FlowerAvailable": flower_available.evaluate,
    "NoWarnings": no_warnings.evaluate,
    "Paused": paused.evaluate,
    "Suspended": suspended.evaluate,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusEvent:
    """An Event to be recorded for a condition that changed."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    action: str


def build(view: StatusView, previous: dict[str, Any], now: datetime) -> tuple[dict[str, Any], tuple[StatusEvent, ...]]:
    """The new status and the Events since the previous one; equal to `previous` when nothing changed."""
    before = {condition["type"]: condition for condition in previous.get("conditions") or []}
    generation = view.cluster.metadata.generation
    said = {name: said for name, found in before.items() if (said := _verdict(found)) is not None}
    view = replace(
        view,
        seen_generation=previous.get("observedGeneration"),
        former_queues=said.get(queues_match.NAME),
        former=said if previous.get("observedGeneration") == generation else {},
    )
    verdicts = {name: evaluate(view) for name, evaluate in CONDITIONS.items()}
    conditions = [_condition(generation, name, verdict, before.get(name), now) for name, verdict in verdicts.items()]
    groups = workers.observe(view)

    def with_load(figures: Figures) -> dict[str, Any]:
        return {
            "observedGeneration": generation,
            "conditions": conditions,
            "workers": _workers(view, previous, groups, figures),
            "warnings": no_warnings.lines(view.findings),
            "summary": _summary(groups, verdicts, figures),
            **_known({"celeryVersion": _celery_version(view, previous), "loadTime": figures.time}),
        }

    status = with_load(load.figures(view, previous, now))
    if status != previous:
        status = with_load(load.figures(view, previous, now, anyway=True))
    return status, tuple(_events(verdicts, before))


def _workers(
    view: StatusView, previous: dict[str, Any], groups: list[ObservedGroup], figures: Figures
) -> list[dict[str, Any]]:
    return [
        {
            "name": group.name,
            "desired": group.desired,
            "replicas": group.replicas,
            "ready": group.ready,
            **load.draining(view, group.name, previous),
            **figures.groups.get(group.name, {}),
        }
        for group in groups
    ]


def _known(fields: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value is not None}


def _celery_version(view: StatusView, previous: dict[str, Any]) -> str | None:
    """What the workers say; as long as none has said anything, as after a start of the operator, what is known."""
    groups = () if view.fleet is None else view.fleet.groups.values()
    found = {each.celery for group in groups for each in group.versions if each.celery is not None}
    return ", ".join(sorted(found))[:_MAX_VERSION] or previous.get("celeryVersion")


def _summary(groups: list[ObservedGroup], verdicts: dict[str, Verdict], figures: Figures) -> dict[str, str]:
    return {
        "workers": f"{sum(group.ready for group in groups)}/{sum(group.desired for group in groups)}",
        "beat": _beat_word(verdicts["BeatRunning"]),
        "broker": {"True": "Reachable", "False": "Unreachable"}.get(verdicts["BrokerReachable"].status, "Unknown"),
        "backlog": figures.backlog,
    }


def _condition(
    generation: int, name: str, verdict: Verdict, before: dict[str, Any] | None, now: datetime
) -> dict[str, Any]:
    same = before is not None and before["status"] == verdict.status
    return {
        "type": name,
        "status": verdict.status,
        "reason": verdict.reason,
        "message": verdict.message[:_MAX_MESSAGE],
        "lastTransitionTime": before["lastTransitionTime"] if same and before else now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "observedGeneration": generation,
    }


def _verdict(condition: dict[str, Any] | None) -> Verdict | None:
    """What a condition said, for one that says the same until something new is known."""
    if condition is None:
        return None
    return Verdict(status=condition["status"], reason=condition["reason"], message=condition.get("message") or "")


def _beat_word(verdict: Verdict) -> str:
    if verdict.reason == "NotConfigured":
        return "None"
    return "Running" if verdict.status == "True" else verdict.reason


def _events(verdicts: dict[str, Verdict], before: dict[str, dict[str, Any]]) -> list[StatusEvent]:
    """One Event for a condition whose status changed, or that is bad news for another reason than before.

    The first pass has nothing to compare with: only bad news is told then. What several conditions say in the
    same words is told once.
    """
    out: dict[tuple[str, str], StatusEvent] = {}
    for name, verdict in verdicts.items():
        old = before.get(name)
        if old is None:
            told = verdict.warning
        else:
            told = old["status"] != verdict.status or (verdict.warning and old["reason"] != verdict.reason)
        if told:
            kind: Literal["Normal", "Warning"] = "Warning" if verdict.warning else "Normal"
            event = StatusEvent(type=kind, reason=verdict.reason, message=verdict.message, action=name)
            out.setdefault((event.reason, event.message), event)
    return list(out.values())


def unreadable(
    problems: tuple[str, ...], previous: dict[str, Any], generation: int, now: datetime
) -> tuple[dict[str, Any], tuple[StatusEvent, ...]]:
    """The status of an object that this operator's models refuse: what runs keeps running, untouched."""
    message = "this version of the operator cannot read the spec: " + "; ".join(problems)
    bad = Verdict(status="False", reason="InvalidSpec", message=message, warning=True)
    unknown = Verdict(status="Unknown", reason="InvalidSpec", message="the spec cannot be read")
    before = {condition["type"]: condition for condition in previous.get("conditions") or []}
    verdicts = {name: bad if name in ("Ready", "SpecValid") else unknown for name in CONDITIONS}
    conditions = [_condition(generation, name, verdict, before.get(name), now) for name, verdict in verdicts.items()]
    return {**previous, "observedGeneration": generation, "conditions": conditions}, tuple(_events(verdicts, before))
