"""What the autoscaler knows of a group: for status, metrics and the load's JSON."""

from __future__ import annotations

from dataclasses import dataclass

from celery_operator.observe.broker.depth import Problem
from celery_operator.scaling.model import Decision, Load, Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupView:
    """One worker group as the autoscaler sees it. Groups that scale otherwise have a load and no policy."""

    group: str
    policy: Policy | None
    load: Load | None
    """None before the first reading."""
    decision: Decision | None
    replicas: int
    """What the Deployment is asked for."""
    problem: Problem | None = None
    """Why the queues cannot be read, or why nothing can be removed."""
    read_at: float | None = None
    """When the queues were last read, in seconds of the monotonic clock."""
    service_seconds: float | None = None
    """Measured seconds a task."""
    task_duration: str | None = None
    """The same as the status has it: two digits, another one at most every five minutes and only while tasks run."""
    startup_seconds: float | None = None
    """Measured seconds from asking for a pod until it consumes."""
    dry_run: bool = False
    """The decision is shown and not carried out."""
    stalled_since: float | None = None
    """Since when tasks are due and every worker has nothing, in seconds of the monotonic clock."""
    suspended: bool = False
    """No pods are wanted, whatever waits."""
