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
    ready,
    spec_valid,
    suspended,
    workers,
    workers_available,
)
from celery_operator.reconcile.status.view import StatusView, Verdict

Evaluate = Callable[[StatusView], Verdict]
_MAX_MESSAGE: Final = 32768
"""What the CRD takes; a longer message would keep the whole status from being written."""
CONDITIONS: Final[dict[str, Evaluate]] = {
    "Ready": ready.evaluate,
    "SpecValid": spec_valid.evaluate,
    "BrokerReachable": broker_reachable.evaluate,
    "WorkersAvailable": workers_available.evaluate,
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
    view = replace(view, seen_generation=previous.get("observedGeneration"))
    verdicts = {name: evaluate(view) for name, evaluate in CONDITIONS.items()}
    before = {condition["type"]: condition for condition in previous.get("conditions") or []}
    generation = view.cluster.metadata.generation
    conditions = [_condition(generation, name, verdict, before.get(name), now) for name, verdict in verdicts.items()]
    groups = workers.observe(view)
    figures = load.figures(view, previous, now)
    status = {
        "observedGeneration": generation,
        "conditions": conditions,
        "workers": [
            {
                "name": group.name,
                "desired": group.desired,
                "replicas": group.replicas,
                "ready": group.ready,
                **load.draining(view, group.name, previous),
                **figures.groups.get(group.name, {}),
            }
            for group in groups
        ],
        "warnings": no_warnings.lines(view.findings),
        "summary": {
            "workers": f"{sum(group.ready for group in groups)}/{sum(group.desired for group in groups)}",
            "beat": _beat_word(verdicts["BeatRunning"]),
            "broker": {"True": "Reachable", "False": "Unreachable"}.get(verdicts["BrokerReachable"].status, "Unknown"),
            "backlog": figures.backlog,
        },
    }
    if figures.time is not None:
        status["loadTime"] = figures.time
    return status, tuple(_events(verdicts, before))


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
