"""Where pods may run: the scheduling fields of a pod, for all components or for one of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from celery_operator.api.model import FREE_FORM, LIST_ATOMIC, LIST_SET, ApiModel, Cel, list_map, rules

LabelKey = Annotated[str, Field(min_length=1, max_length=316)]
LabelValue = Annotated[str, Field(max_length=63)]


class Toleration(ApiModel):
    """A taint of nodes that the pods bear."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "!has(self.operator) || self.operator != 'Exists' || !has(self.value)",
                "operator Exists bears every value; remove value, or use operator Equal",
            ),
            Cel(
                "has(self.key) || (has(self.operator) && self.operator == 'Exists')",
                "without a key every taint is meant; set key, or operator Exists",
            ),
            Cel(
                "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
                "tolerationSeconds needs effect NoExecute; set effect, or remove it",
            ),
        )
    )
    key: LabelKey | None = None
    """Key of the taint; every taint when absent."""
    operator: Literal["Equal", "Exists"] | None = None
    """Equal (when absent): the taint has this value. Exists: it has any."""
    value: LabelValue | None = None
    """Value of the taint."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; every effect when absent."""
    toleration_seconds: Annotated[int, Field(ge=0)] | None = None
    """Seconds for which a running pod bears a NoExecute taint; for ever when absent."""


class TopologySpreadConstraint(ApiModel):
    """How evenly pods are spread over nodes, zones or other domains."""

    max_skew: Annotated[int, Field(ge=1, le=100000)]
    """How many pods one domain may have more than another."""
    topology_key: LabelKey
    """Label of nodes that tells the domains apart, for example topology.kubernetes.io/zone."""
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]
    """Whether a pod that fits nowhere waits (DoNotSchedule) or goes where it does the least harm."""
    label_selector: Annotated[dict[str, Any], FREE_FORM] | None = None
    """The pods that count, by matchLabels and matchExpressions; those of the same worker group when absent."""
    match_label_keys: Annotated[list[LabelKey], Field(max_length=16), LIST_SET] | None = None
    """Labels in which counted pods are equal to the new one; when labelSelector is absent too, that of the revision."""
    min_domains: Annotated[int, Field(ge=1, le=100000)] | None = None
    """The fewest domains that there have to be; for DoNotSchedule alone."""
    node_affinity_policy: Literal["Honor", "Ignore"] | None = None
    """Whether nodes that nodeSelector and affinity exclude count; they do not (Honor) when absent."""
    node_taints_policy: Literal["Honor", "Ignore"] | None = None
    """Whether nodes with taints that the pod does not bear are left out (Honor); they count (Ignore) when absent."""


Spread = Annotated[list[TopologySpreadConstraint], Field(max_length=8), LIST_ATOMIC]


class HostAlias(ApiModel):
    """A line of the pods' /etc/hosts."""

    ip: Annotated[str, Field(min_length=2, max_length=45, pattern=r"^[0-9a-fA-F:.]+$")]
    """The address."""
    hostnames: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=253)]], Field(min_length=1, max_length=32), LIST_SET
    ]
    """The names that stand for it."""


class Scheduling(ApiModel):
    """Where pods may run. What a component sets replaces what the cluster sets, field by field."""

    node_selector: Annotated[dict[str, LabelValue], Field(max_length=32)] | None = None
    """Labels that a node must have to run the pods. A component's own replaces the cluster's, which a managed Redis
    has as well."""
    tolerations: Annotated[list[Toleration], Field(max_length=32), LIST_ATOMIC] | None = None
    """Taints of nodes that the pods bear. A component's own replace the cluster's, which a managed Redis has, too."""
    affinity: Annotated[dict[str, Any], FREE_FORM] | None = None
    """nodeAffinity, podAffinity and podAntiAffinity as Kubernetes has them. A component's own replaces the
    cluster's."""
    priority_class_name: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """PriorityClass of the pods. A component's own replaces the cluster's, which a managed Redis has as well."""
    runtime_class_name: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """RuntimeClass of the pods, for example of a sandbox. A component's own replaces the cluster's."""
    host_aliases: Annotated[list[HostAlias], Field(max_length=32), list_map("ip")] | None = None
    """Lines for the pods' /etc/hosts. A component's own replace the cluster's."""
