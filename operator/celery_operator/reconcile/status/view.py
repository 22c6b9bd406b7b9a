"""What conditions are computed from, and what they answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from celery_operator.api.cluster import CeleryCluster
from celery_operator.kube.objects import Kind, Manifest, ObjectRef
from celery_operator.lint.inputs import Fleet
from celery_operator.lint.rule import Finding
from celery_operator.observe.broker.queue_comparison import Comparison
from celery_operator.observe.broker.reachability import UNKNOWN, Reachability
from celery_operator.reconcile.autoscaling.view import GroupView
from celery_operator.reconcile.consumption import Consumption
from celery_operator.reconcile.hooks import Wait
from celery_operator.reconcile.plan import Blocked


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer of a condition. `warning` says that a change to it is bad news."""

    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""
    warning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusView:
    """The world after a pass: children as they are now, and what kept the pass from writing, if anything did."""

    cluster: CeleryCluster
    live: Mapping[ObjectRef, Manifest]
    pods: tuple[Manifest, ...]
    broker: Reachability
    results: Reachability = UNKNOWN
    """Of the result backend."""
    blocked: Blocked | None = None
    taken: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()
    """Children whose names are not free yet, in words."""
    waits_for: tuple[str, ...] = ()
    """What a change of beat waits for, in words; empty where none waits."""
    held: bool = False
    """Changes of the spec wait, because the cluster is paused."""
    hook: Wait | None = None
    """What new pod templates wait for, besides other workloads."""
    queues: Comparison | None = None
    """What comparing the declared queues with the broker's said; None where nobody asked lately."""
    queue_wait: Wait | None = None
    """What some pod templates wait for: declared queues that agree with the broker's."""
    former_queues: Verdict | None = None
    """What the condition QueuesMatch said before."""
    failure: str | None = None
    """What the API server answered to a write that may succeed later."""
    autoscaling: Mapping[str, GroupView] = field(default_factory=dict)
    """What is known of the load, by group; without those whose load nobody looks at."""
    fleet: Fleet | None = None
    """What workers say of themselves; None where nobody asks them."""
    consumption: Mapping[str, Consumption] = field(default_factory=dict)
    """What workers say of whether they take messages, by group; empty where nobody asks them."""
    awaited: bool = False
    """More is about to be known of them, as after a start of the operator."""
    former: Mapping[str, Verdict] = field(default_factory=dict)
    """What the conditions said before of the same spec: it counts until a process that has just begun knows better."""
    findings: tuple[Finding, ...] = ()
    """Of the linter, warnings first."""
    missing_kinds: frozenset[Kind] = frozenset()
    """Kinds of children that this Kubernetes does not serve."""
    now_monotonic: float = 0.0
    """Seconds of the clock of `autoscaling`."""
    seen_generation: int | None = None
    """The metadata.generation that the former status was computed for."""
