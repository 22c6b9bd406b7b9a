"""Where pods may run."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from celery_operator.api import scheduling
from tests.strategies.model import Json, named, of
from tests.strategies.scalars import label_keys, label_values

_effects = st.sampled_from(["NoSchedule", "PreferNoSchedule", "NoExecute"])


@st.composite
def _toleration(draw: st.DrawFn) -> Json:
    shape = draw(
        of(
            scheduling.Toleration,
            {},
            {"key": label_keys, "operator": st.just("Exists"), "effect": _effects, "value": label_values},
            elsewhere=("tolerationSeconds",),
            most=4,
        )
    )
    if "key" not in shape:
        shape["operator"] = "Exists"
    if shape.get("operator") == "Exists":
        shape.pop("value", None)
    elif draw(st.booleans()):
        shape["operator"] = "Equal"
    if shape.get("effect") == "NoExecute" and draw(st.booleans()):
        shape["tolerationSeconds"] = draw(st.integers(0, 600))
    return shape


_selectors = st.sampled_from(
    [
        {"matchLabels": {"tier": "backend"}},
        {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}]},
        {},
    ]
)


@st.composite
def _constraint(draw: st.DrawFn) -> Json:
    policies = st.sampled_from(["Honor", "Ignore"])
    out = draw(
        of(
            scheduling.TopologySpreadConstraint,
            {
                "maxSkew": st.integers(1, 5) | st.just(100000),
                "topologyKey": st.sampled_from(["kubernetes.io/hostname", "topology.kubernetes.io/zone", "rack"]),
                "whenUnsatisfiable": st.sampled_from(["DoNotSchedule", "ScheduleAnyway"]),
            },
            {
                "labelSelector": _selectors,
                "matchLabelKeys": st.sampled_from([[], ["team"], ["team", "pod-template-hash"]]),
                "nodeAffinityPolicy": policies,
                "nodeTaintsPolicy": policies,
            },
            elsewhere=("minDomains",),
        )
    )
    if out["whenUnsatisfiable"] == "DoNotSchedule" and draw(st.booleans()):
        out["minDomains"] = draw(st.integers(1, 3) | st.just(100000))
    return out


spreads = st.lists(_constraint(), max_size=2, unique_by=lambda each: (each["topologyKey"], each["whenUnsatisfiable"]))
_hosts = st.sampled_from(["db", "cache.example.com", "a-1"])
_affinities = st.sampled_from(
    [
        {},
        {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}]
                }
            }
        },
        {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 1,
                        "podAffinityTerm": {
                            "topologyKey": "kubernetes.io/hostname",
                            "labelSelector": {"matchLabels": {"a": "b"}},
                        },
                    }
                ]
            }
        },
    ]
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "nodeSelector": st.dictionaries(label_keys, label_values, max_size=2),
    "tolerations": st.lists(_toleration(), max_size=2),
    "affinity": _affinities,
    "priorityClassName": st.sampled_from(["high", "system-cluster-critical"]),
    "runtimeClassName": st.sampled_from(["gvisor", "kata.v2"]),
    "hostAliases": named(
        of(
            scheduling.HostAlias,
            {
                "ip": st.sampled_from(["10.0.0.1", "::1", "fd00::1:2"]),
                "hostnames": st.lists(_hosts, min_size=1, max_size=2, unique=True),
            },
            {},
        ),
        key="ip",
    ),
}
"""The fields of `Scheduling`, for the models that inherit them."""
