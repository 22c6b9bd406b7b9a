"""How a group's pods end, are replaced and are evicted, so that running tasks can finish."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict

from celery_operator.api.model import ApiModel, Cel, SchemaExtra, rules
from celery_operator.api.scalars import Duration

CountOrPercent = Annotated[
    int | str,
    SchemaExtra(
        (
            ("anyOf", [{"type": "integer"}, {"type": "string"}]),
            ("x-kubernetes-int-or-string", True),
            ("pattern", r"^(100|[1-9]?[0-9])%$"),
            ("maxLength", 4),
            ("minimum", 0),
            ("maximum", 100000),
        )
    ),
]
"""A number of pods, or a percentage of the group's replicas such as `25%`."""


class Shutdown(ApiModel):
    """What happens to running tasks when a pod is told to end."""

    mode: Literal["Drain", "Requeue"] | None = None
    """Drain (when absent): running tasks finish within the grace period. Requeue: they are given a short time, then
    put back into their queue and run again elsewhere; needs taskDelivery AtLeastOnce, Celery 5.5 and prefork."""
    grace_period: Duration | None = None
    """Time from the request to end until the pod is killed. When absent: 60s with Requeue, else the longest task
    (maxTaskDuration, else timeLimit) and 30s, else 5m. Idle pods leave in two seconds whatever stands here."""


class Strategy(ApiModel):
    """How a rollout replaces the group's pods."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "!has(self.maxSurge) || !(self.maxSurge == 0 || self.maxSurge == '0%') || "
                "(has(self.maxUnavailable) && !(self.maxUnavailable == 0 || self.maxUnavailable == '0%'))",
                "with maxSurge 0 and maxUnavailable 0 (its default) no pod could ever be replaced; raise one of them",
            )
        )
    )
    max_surge: CountOrPercent | None = None
    """New pods beyond the replicas during a rollout; 25% when absent."""
    max_unavailable: CountOrPercent | None = None
    """Pods that may be missing during a rollout; 0 when absent, so that a rollout costs no capacity."""
    progress_deadline: Duration | None = None
    """Time without progress after which a rollout counts as failed; the old pods go on working. When absent, as long as
    an old pod may take to end (the grace period) and a new one to start (probes.startup), and 10m at least."""


class DisruptionBudget(ApiModel):
    """How many pods a node drain or another voluntary eviction may take at a time."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "!(has(self.maxUnavailable) && has(self.minAvailable))",
                "set maxUnavailable or minAvailable, not both",
            ),
            Cel(
                "!(has(self.disabled) && self.disabled) || !(has(self.maxUnavailable) || has(self.minAvailable))",
                "disabled leaves no budget to adjust; remove maxUnavailable and minAvailable, or disabled",
            ),
        )
    )
    max_unavailable: CountOrPercent | None = None
    """Pods that may be missing; 25% when neither this nor minAvailable is set."""
    min_available: CountOrPercent | None = None
    """Pods that must stay."""
    disabled: bool | None = None
    """True: no PodDisruptionBudget. Without this field a group of one pod has none either, because it would block
    every node drain."""
    do_not_disrupt: bool | None = None
    """True: the pods ask the cluster autoscaler and Karpenter to leave their nodes alone, for tasks that are too
    expensive to run twice."""
