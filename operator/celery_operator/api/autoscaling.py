"""How the number of a group's pods follows its load: limits, a target, and how fast to grow and to shrink."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from celery_operator.api.model import ApiModel, Cel, rules
from celery_operator.api.scalars import Duration

MAX_REPLICAS = 100000
"""The most pods of a group, far above what one Deployment can have."""


class ScaleUp(ApiModel):
    """How fast a group grows."""

    max_pods: Annotated[int, Field(ge=1, le=MAX_REPLICAS)] | None = None
    """Most pods that one decision adds; without it, all that are wanted come at once."""


class ScaleDown(ApiModel):
    """How fast a group shrinks. Only pods that have nothing left to do are removed, whatever stands here."""

    stabilization_window: Duration | None = None
    """How long fewer pods must have been enough before any is removed; 120s when absent. Longer keeps pods for the
    next burst, shorter saves them."""


class Fallback(ApiModel):
    """What to do when nobody can tell for a long time how much work waits. Without it the number of pods stays."""

    replicas: Annotated[int, Field(ge=0, le=MAX_REPLICAS)]
    """Pods that the group has at least while its queues cannot be read. It never takes pods away."""
    after: Duration | None = None
    """How long the queues must have been unreadable; 3m when absent."""


class Autoscaling(ApiModel):
    """The operator sets the number of pods by what waits in the group's queues and what its workers run."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "self.minReplicas <= self.maxReplicas",
                "minReplicas is greater than maxReplicas; lower minReplicas or raise maxReplicas",
            ),
            Cel(
                "has(self.targetQueueLength) != has(self.targetLatency)",
                "set exactly one target: targetQueueLength (waiting tasks for each pod) or targetLatency (how long a "
                "task may wait)",
            ),
            Cel(
                "has(self.targetLatency) == has(self.expectedTaskDuration)",
                "targetLatency and expectedTaskDuration go together: set expectedTaskDuration to what a task usually "
                "takes, which counts until it has been measured, or remove it beside targetQueueLength",
            ),
            Cel(
                "!has(self.fallback) || "
                "(self.fallback.replicas >= self.minReplicas && self.fallback.replicas <= self.maxReplicas)",
                "fallback.replicas must be from minReplicas to maxReplicas",
            ),
        )
    )
    min_replicas: Annotated[int, Field(ge=0, le=MAX_REPLICAS)]
    """Fewest pods; with 0 the group has none while nothing is to be done."""
    max_replicas: Annotated[int, Field(ge=1, le=MAX_REPLICAS)]
    """Most pods."""
    target_queue_length: Annotated[int, Field(ge=1, le=1000000)] | None = None
    """Waiting tasks for each pod: 100 waiting tasks and a target of 20 are five pods, or more if more are busy."""
    target_latency: Duration | None = None
    """How long a task may wait before it starts, for example 30s. How long tasks take and how long a pod needs to
    start is measured."""
    expected_task_duration: Duration | None = None
    """What a task usually takes, for example 300ms: counts until it has been measured. Only with targetLatency."""
    headroom_percent: Annotated[int, Field(ge=0, le=90)] | None = None
    """Part of the slots that is kept free while nothing waits, so that the next task need not; 10 when absent."""
    scale_up: ScaleUp | None = None
    """How fast the group grows."""
    scale_down: ScaleDown | None = None
    """How fast the group shrinks."""
    fallback: Fallback | None = None
    """What to do when the queues cannot be read for long."""
    dry_run: bool | None = None
    """True: decisions are made and shown in status, Events and metrics, and the number of pods stays as it is."""


class ExternalScaling(ApiModel):
    """Somebody else sets the number of pods: a HorizontalPodAutoscaler, KEDA or a person with kubectl scale."""
