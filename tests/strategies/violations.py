"""Ways to break a valid cluster: against the CRD's constraints, the operator's rules and those of Kubernetes."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import strategies as st

from tests.integration.crd.cases import Case
from tests.integration.crd.objects import changed, minimal
from tests.integration.crd.table import TABLE
from tests.strategies.cluster import clusters
from tests.strategies.model import Json

_GROUP: Final = "of-a-violation"
"""Begin of the names of worker groups that violations bring."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A way to break a spec in place; `says` is a part of what the refusal says."""

    name: str
    says: str
    break_it: Callable[[Json], None] = field(repr=False)
    only_flower: bool = False
    """It holds back Flower and nothing else."""


def _of_constraint(case: Case, value: Any) -> Violation:
    """The field of the spec that holds the broken value takes the place of the valid one; a group is added."""
    top = re.split(r"[\[{]", case.at.split(".")[1])[0]

    def break_it(spec: Json) -> None:
        broken = changed(case.at, copy.deepcopy(value))["spec"]
        if top != "workers" or case.at == "spec.workers":
            spec[top] = broken[top]
            return
        group = broken["workers"][0]
        if isinstance(group, dict) and group.get("name") == minimal("workers[]")["name"]:
            group["name"] = f"{_GROUP}-{len(spec['workers'])}"
        spec["workers"] = [*spec["workers"], group]

    return Violation(name=f"{case.path} {case.kind}", says=case.says, break_it=break_it)


CONSTRAINTS: Final = tuple(
    _of_constraint(case, value)
    for case in TABLE
    if case.at.startswith("spec.") and case.path.startswith("spec.")
    for value in case.reject
)
"""Every rejected value of the constraint table below the spec's own level."""


def _replace(**fields: Any) -> Callable[[Json], None]:
    return lambda spec: spec.update(copy.deepcopy(fields))


def _set(name: str, **fields: Any) -> Callable[[Json], None]:
    """Fields of an object of the spec, which is made where it is not there."""
    return lambda spec: spec.setdefault(name, {}).update(copy.deepcopy(fields))


def _group(**fields: Any) -> Callable[[Json], None]:
    """A further worker group."""

    def break_it(spec: Json) -> None:
        spec["workers"].append({"name": f"{_GROUP}-{len(spec['workers'])}", **copy.deepcopy(fields)})

    return break_it


def _together(*breaks: Callable[[Json], None]) -> Callable[[Json], None]:
    def break_it(spec: Json) -> None:
        for each in breaks:
            each(spec)

    return break_it


def _row(says: str, break_it: Callable[[Json], None]) -> Violation:
    return Violation(name=says, says=says, break_it=break_it)


_KEY: Final = {"secretKeyRef": {"name": "s", "key": "k"}}
_QUORUM: Final = {"name": "q1", "exchange": "x", "type": "quorum"}
OPERATORS: Final = (
    _row("operator sets this Celery setting", _set("config", broker_url="redis://x")),
    _row("operator sets this Celery setting", _replace(configFrom=[{"name": "CELERY_ACKS_LATE", **_KEY}])),
    _row("reads this variable as an option", _replace(env=[{"name": "CELERY_WORKER_POOL", "value": "solo"}])),
    _row(
        "is longer than spec.maxTaskDuration", _together(_replace(maxTaskDuration="1s"), _group(maxTaskDuration="2s"))
    ),
    _row("lets tasks run longer", _together(_replace(maxTaskDuration="1s"), _group(timeLimit="2s"))),
    _row(
        "is shorter than the longest task",
        _together(
            _replace(taskDelivery="AtMostOnce", maxTaskDuration="1h"), _group(shutdown={"gracePeriod": "59m59s"})
        ),
    ),
    _row("less than any Python process needs", _group(maxMemoryPerChild=800)),
    _row("limit of the whole pod", _group(maxMemoryPerChild="2Gi", resources={"limits": {"memory": "1Gi"}})),
    _row("is no minute", _set("beat", schedule=[{"name": "a", "task": "t", "crontab": "61 * * * *"}])),
    _row("is no day of week", _set("beat", schedule=[{"name": "a", "task": "t", "crontab": "* * * * 8"}])),
    _row("fit into a pod's environment", _set("config", note="x" * 200_000)),
    _row(
        "fit into its environment",
        _set("beat", schedule=[{"name": f"{i:0>190}", "task": "t" * 200, "every": "1s"} for i in range(400)]),
    ),
    _row("keeps no results", _replace(broker={"url": "amqp://r"}, resultBackend={"sameAsBroker": True})),
    _row("keeps no results", _replace(resultBackend={"url": "amqp://r"})),
    _row(
        "stands for the same setting",
        _together(_replace(resultBackend={"url": "rpc://", "expires": "1h"}), _set("config", result_expires=1)),
    ),
    _row(
        "says the same setting",
        _together(_set("config", SHOP_TOKEN=1), _replace(configFrom=[{"name": "shop.token", **_KEY}])),
    ),
    _row("this setting is a map", _replace(configFrom=[{"name": "broker_transport_options", **_KEY}])),
    _row("host and port cannot be read", _replace(broker={"url": "redis://u:p@h:x/0"})),
    _row("host and port cannot be read", _replace(resultBackend={"url": "redis://[::1"})),
    _row(
        "another entry stands for a map",
        _replace(broker={"url": "redis://r", "transportOptionsFrom": [{"name": n, **_KEY} for n in ("a", "a.b")]}),
    ),
    _row(
        "has a value there already",
        _replace(
            broker={"url": "redis://r", "transportOptions": {"a": 1}, "transportOptionsFrom": [{"name": "a", **_KEY}]}
        ),
    ),
    _row("needs the name of its master", _replace(broker={"url": "sentinel://h", "transportOptions": {}})),
    _row(
        "which would take the disk's place",
        _group(
            persistence={"size": "1Gi", "mountPath": "/d"},
            volumes=[{"name": "v"}],
            volumeMounts=[{"name": "v", "mountPath": "/d"}],
        ),
    ),
    _row(
        "is what podSecurity Restricted refuses",
        _group(podSecurity="Restricted", securityContext={"runAsNonRoot": False}),
    ),
    _row(
        "no container would start with runAsNonRoot", _group(podSecurity="Restricted", securityContext={"runAsUser": 0})
    ),
    _row("of the queue instead", _replace(queues=[{"name": "q", "arguments": {"x-max-priority": 3}}])),
    _row("is of type", _replace(queues=[_QUORUM, {"name": "q2", "exchange": "x", "type": "classic"}])),
)
"""What `SpecValid` says before anything is asked of the API server: one row for each of its rules."""

MERGES: Final = (
    _row("belongs to the operator", _group(podTemplate={"spec": {"restartPolicy": "Never"}})),
    _row("belongs to the operator", _group(podTemplate={"spec": {"terminationGracePeriodSeconds": 1}})),
    _row("belongs to the operator", _group(podTemplate={"spec": {"containers": [{"name": "worker", "args": []}]}})),
    _row("must be a list", _group(podTemplate={"spec": {"containers": {"name": "worker"}}})),
    _row("each entry must be an object", _group(podTemplate={"spec": {"volumes": ["v"]}})),
    _row("$patch must be", _group(podTemplate={"spec": {"tolerations": [], "affinity": {"$patch": "retain"}}})),
    _row("is not supported", _group(podTemplate={"spec": {"$setElementOrder/containers": []}})),
)
"""What the merge of a `podTemplate` refuses."""

CHILDREN: Final = (
    _row("serviceAccountName", _group(serviceAccountName="Not_A_Name")),
    _row("serviceAccount", _replace(serviceAccountName="a b")),
    _row("must be less than or equal to", _group(resources={"requests": {"cpu": 2}, "limits": {"cpu": 1}})),
    _row("resources", _group(resources={"limits": {"no such thing": 1}})),
    _row("nodeSelector", _group(nodeSelector={"not a key": "v"})),
    _row("labels", _group(podLabels={"team": "not a value"})),
    _row("annotations", _group(podAnnotations={"not a key!": "v"})),
    _row("priorityClassName", _group(priorityClassName="Not_A_Name")),
    _row("runtimeClassName", _group(runtimeClassName="Not_A_Name")),
    _row("hostAliases", _group(hostAliases=[{"ip": "999.1.1.1", "hostnames": ["a"]}])),
    _row("volumeMounts", _group(volumeMounts=[{"name": "missing", "mountPath": "/d"}])),
    _row("volumes", _group(volumes=[{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}])),
    _row("noSuchSource", _group(volumes=[{"name": "v", "noSuchSource": {}}])),
    _row("initContainers", _group(initContainers=[{"name": "a"}], sidecars=[{"name": "a"}])),
    _row("fieldPath", _group(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "no.such"}}}])),
    _row("resource", _group(env=[{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.x"}}}])),
    _row("nodeAffinity", _group(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}})),
    _row("replicaz", _group(podTemplate={"spec": {"replicaz": 1}})),
    _row("spec", _group(podTemplate={"spec": {"containers": [{"name": "worker", "ports": [{"containerPort": -1}]}]}})),
    _row(
        "cannot unmarshal number",
        _group(
            podTemplate={
                "spec": {
                    "containers": [{"name": "p", "image": "p", "lifecycle": {"preStop": {"httpGet": {"port": 2**40}}}}]
                }
            }
        ),
    ),
    _row("cidr", _replace(networkPolicy={"extraEgress": [{"to": [{"ipBlock": {"cidr": "x"}}]}]})),
    Violation(
        name="flower",
        says="secretName",
        break_it=_set("flower", auth={"external": True}, ingress={"host": "f", "tlsSecretName": "A b"}),
        only_flower=True,
    ),
)
"""What the API server refuses of a child, so that the dry run of a pass must tell it."""


@st.composite
def broken(draw: st.DrawFn, violations: tuple[Violation, ...]) -> tuple[Json, tuple[Violation, ...]]:
    """A valid cluster with one to three of the violations; a later one may take the place of an earlier."""
    manifest = draw(clusters())
    # By number, because what is drawn is also printed, and the whole table is long.
    chosen = draw(st.lists(st.integers(0, len(violations) - 1), min_size=1, max_size=3))
    for number in chosen:
        violations[number].break_it(manifest["spec"])
    return manifest, tuple(violations[number] for number in chosen)
