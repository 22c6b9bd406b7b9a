"""The table's part for the number of a group's pods: who sets it, and by what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.integration.crd.cases import Case, between, case, duration, required

GROUP = "spec.workers[]"
PATH = f"{GROUP}.autoscaling"
LENGTH = {"minReplicas": 0, "maxReplicas": 100000, "targetQueueLength": 10}
LATENCY = {"minReplicas": 0, "maxReplicas": 5, "targetLatency": "30s", "expectedTaskDuration": "2s"}


def _group(**fields: object) -> dict[str, object]:
    return {"name": "a", "queues": ["q"], **fields}


def _within(base: dict[str, Any], cases: list[Case]) -> list[Case]:
    """The cases of one field below PATH, which stands beside the other fields that it needs."""

    def put(field: str, value: Any) -> dict[str, Any]:
        first, _, second = field.partition(".")
        return {**base, first: {second: value} if second else value}

    out = []
    for found in cases:
        field = found.path.removeprefix(f"{PATH}.")
        accept = tuple(put(field, value) for value in found.accept)
        out.append(replace(found, at=PATH, accept=accept, reject=tuple(put(field, value) for value in found.reject)))
    return out


AFTER = f"{PATH}.fallback.after"


def _after(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple({**LENGTH, "fallback": {"replicas": 1, "after": value}} for value in values)


AUTOSCALING: list[Case] = [
    case(
        GROUP,
        "cel",
        [_group(), _group(replicas=0), _group(autoscaling=LENGTH), _group(externalScaling={})],
        [
            _group(replicas=1, autoscaling=LENGTH),
            _group(replicas=1, externalScaling={}),
            _group(autoscaling=LENGTH, externalScaling={}),
            _group(replicas=0, autoscaling=LENGTH, externalScaling={}),
        ],
        "set only one of replicas, autoscaling and externalScaling",
    ),
    case(
        GROUP,
        "cel",
        [
            _group(autoscaling=LENGTH, probes={"disabled": False}),
            _group(autoscaling=LENGTH, probes={"port": 9000}),
            _group(externalScaling={}, probes={"disabled": True}),
        ],
        [_group(autoscaling=LENGTH, probes={"disabled": True})],
        "autoscaling asks workers over the probe port whether they are idle; remove probes.disabled",
    ),
    *required(PATH, "minReplicas", "maxReplicas"),
    case(
        PATH,
        "cel",
        [{**LENGTH, "minReplicas": 3, "maxReplicas": 3}, {**LENGTH, "minReplicas": 0, "maxReplicas": 1}],
        [{**LENGTH, "minReplicas": 4, "maxReplicas": 3}],
        "minReplicas is greater than maxReplicas; lower minReplicas or raise maxReplicas",
    ),
    case(
        PATH,
        "cel",
        [LENGTH, LATENCY],
        [{**LENGTH, **LATENCY}, {"minReplicas": 0, "maxReplicas": 1}],
        "set exactly one target: targetQueueLength",
    ),
    case(
        PATH,
        "cel",
        [LATENCY],
        [
            {key: value for key, value in LATENCY.items() if key != "expectedTaskDuration"},
            {**LENGTH, "expectedTaskDuration": "2s"},
        ],
        "targetLatency and expectedTaskDuration go together",
    ),
    case(
        PATH,
        "cel",
        [{**LATENCY, "minReplicas": 2, "fallback": {"replicas": pods, "after": "5m"}} for pods in (2, 5)],
        [{**LATENCY, "minReplicas": 2, "fallback": {"replicas": pods}} for pods in (1, 6)],
        "fallback.replicas must be from minReplicas to maxReplicas",
    ),
    *_within(LENGTH, between(f"{PATH}.minReplicas", 0, 100000)),
    *_within(LENGTH, between(f"{PATH}.maxReplicas", 1, 100000)),
    *_within(LENGTH, between(f"{PATH}.targetQueueLength", 1, 1000000)),
    *_within(LATENCY, duration(f"{PATH}.targetLatency")),
    *_within(LATENCY, duration(f"{PATH}.expectedTaskDuration")),
    *_within(LENGTH, between(f"{PATH}.headroomPercent", 0, 90)),
    *_within(LENGTH, between(f"{PATH}.scaleUp.maxPods", 1, 100000)),
    *_within(LENGTH, duration(f"{PATH}.scaleDown.stabilizationWindow")),
    *_within(LENGTH, between(f"{PATH}.fallback.replicas", 0, 100000)),
    *required(f"{PATH}.fallback", "replicas"),
    *(replace(found, accept=_after(found.accept), reject=_after(found.reject), at=PATH) for found in duration(AFTER)),
]
