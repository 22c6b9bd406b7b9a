"""The table's part for pod fields, of the cluster and of its components, and for the hook."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from tests.integration.crd.cases import (
    Case,
    at_most,
    between,
    case,
    duration,
    entries,
    image,
    longest,
    one_of,
    quantity,
    required,
    resources,
    text,
)
from tests.integration.crd.objects import minimal

GROUP, BEAT = "spec.workers[]", "spec.beat"
OVERRIDDEN = (
    "image",
    "imagePullPolicy",
    "imagePullSecrets",
    "command",
    "workingDir",
    "env",
    "envFrom",
    "serviceAccountName",
    "podSecurity",
    "podLabels",
    "podAnnotations",
)
"""Fields of the cluster that each component has, too."""
USER_MAX = 2**31 - 1
HOOK = "spec.hooks.beforeRollout"


def overrides(cases: Iterable[Case]) -> list[Case]:
    """The cluster's cases of the fields that components have, at each component."""
    out = []
    for found in cases:
        field = found.path.removeprefix("spec.").partition(".")[0].partition("[")[0].partition("{")[0]
        if found.path.startswith("spec.") and field in OVERRIDDEN:
            for parent in (GROUP, BEAT):
                path, at = (where.replace("spec.", f"{parent}.", 1) for where in (found.path, found.at))
                out.append(replace(found, path=path, at=at))
    return out


def _inside(path: str, cases: Iterable[Case], **others: Any) -> list[Case]:
    """Cases of one field of the object at the path, which needs others beside it."""
    out = []
    for found in cases:
        name = found.path.removeprefix(f"{path}.")
        accept, reject = (tuple({**others, name: value} for value in values) for values in (found.accept, found.reject))
        out.append(replace(found, at=path, accept=accept, reject=reject))
    return out


def _tolerations(path: str) -> list[Case]:
    one = f"{path}[]"
    return [
        at_most(path, 32, lambda i: {"key": f"k{i}"}),
        case(
            one,
            "cel",
            [{"operator": "Exists"}, {"key": "a", "value": "b"}, {"key": "a", "operator": "Equal", "value": "b"}],
            [{"key": "a", "operator": "Exists", "value": "b"}],
            "operator Exists bears every value; remove value",
        ),
        case(
            one,
            "cel",
            [{"operator": "Exists"}, {"key": "a"}],
            [{}, {"operator": "Equal"}, {"value": "b"}],
            "without a key every taint is meant; set key, or operator Exists",
        ),
        case(
            one,
            "cel",
            [{"key": "a", "effect": "NoExecute", "tolerationSeconds": 5}, {"key": "a", "effect": "NoSchedule"}],
            [{"key": "a", "tolerationSeconds": 5}, {"key": "a", "effect": "NoSchedule", "tolerationSeconds": 5}],
            "tolerationSeconds needs effect NoExecute",
        ),
        *text(f"{one}.key", 316),
        one_of(f"{one}.operator", "Exists"),
        *_inside(one, [longest(f"{one}.value", 63)], key="a"),
        one_of(f"{one}.effect", "NoSchedule", "PreferNoSchedule", "NoExecute"),
        *_inside(one, between(f"{one}.tolerationSeconds", 0), key="a", effect="NoExecute"),
    ]


def _spreading(path: str) -> list[Case]:
    one = f"{path}[]"
    return [
        at_most(path, 8, lambda i: {**minimal(one), "topologyKey": f"k{i}"}),
        *required(one, "maxSkew", "topologyKey", "whenUnsatisfiable"),
        *between(f"{one}.maxSkew", 1, 100000),
        *text(f"{one}.topologyKey", 316),
        one_of(f"{one}.whenUnsatisfiable", "DoNotSchedule", "ScheduleAnyway"),
        at_most(f"{one}.matchLabelKeys", 16, lambda i: f"k{i}"),
        case(f"{one}.matchLabelKeys", "unique", [["a", "b"]], [["a", "a"]]),
        *text(f"{one}.matchLabelKeys[]", 316),
        *between(f"{one}.minDomains", 1, 100000),
        one_of(f"{one}.nodeAffinityPolicy", "Honor", "Ignore"),
        one_of(f"{one}.nodeTaintsPolicy", "Honor", "Ignore"),
    ]


def _host_aliases(path: str) -> list[Case]:
    one = f"{path}[]"
    return [
        at_most(path, 32, lambda i: {"ip": f"10.0.0.{i}", "hostnames": ["h"]}),
        case(path, "unique", [[minimal(one)]], [[minimal(one), minimal(one)]]),
        *required(one, "ip", "hostnames"),
        case(f"{one}.ip", "minLength", ["::"], [":"]),
        longest(f"{one}.ip", 45),
        case(f"{one}.ip", "pattern", ["10.0.0.1", "fe80::1"], ["localhost", "10.0.0.1/8"]),
        case(f"{one}.hostnames", "minItems", [["a"]], [[]]),
        at_most(f"{one}.hostnames", 32, lambda i: f"h{i}"),
        case(f"{one}.hostnames", "unique", [["a", "b"]], [["a", "a"]]),
        *text(f"{one}.hostnames[]", 253),
    ]


def _named(path: str, count: int) -> list[Case]:
    """A list of named things."""
    one = f"{path}[]"
    return [
        at_most(path, count, lambda i: {**minimal(one), "name": f"a{i}"}),
        case(path, "unique", [[minimal(one), {**minimal(one), "name": "b"}]], [[minimal(one), minimal(one)]]),
        *required(one, "name"),
        *text(f"{one}.name", 63),
        case(f"{one}.name", "pattern", ["a-1", "a"], ["A", "1a", "a-", "a.b", "a_b"]),
    ]


def _mount_path(path: str) -> list[Case]:
    return [
        longest(path, 4096, lambda n: "/".ljust(n, "a")),
        case(path, "minLength", ["/"], [""]),
        case(path, "pattern", ["/data/a b"], ["data", "/a:b"]),
        case(
            path,
            "cel",
            ["/celery", "/srv/celery-operator"],
            ["/celery-operator", "/celery-operator/launch.py", "/celery-operator-tls"],
            "hold the operator's own files; mount it elsewhere",
        ),
    ]


def _volumes(path: str) -> list[Case]:
    return [
        *_named(path, 32),
        case(
            f"{path}[].name",
            "cel",
            ["tmp", "schedules", "celery"],
            ["celery-operator", "celery-operator-tls", "schedule", "persistence"],
            "the operator has volumes of this name",
        ),
    ]


def _volume_mounts(path: str) -> list[Case]:
    one = f"{path}[]"
    return [
        at_most(path, 64, lambda i: {"name": "v", "mountPath": f"/m{i}"}),
        case(path, "unique", [[minimal(one), {**minimal(one), "mountPath": "/b"}]], [[minimal(one), minimal(one)]]),
        *required(one, "name", "mountPath"),
        *text(f"{one}.name", 63),
        case(f"{one}.name", "pattern", ["a-1"], ["A", "a.b"]),
        *_mount_path(f"{one}.mountPath"),
        *text(f"{one}.subPath", 4096),
    ]


def _containers(path: str) -> list[Case]:
    return [
        *_named(path, 16),
        case(
            f"{path}[].name",
            "cel",
            ["workers", "proxy"],
            ["worker", "beat", "flower", "redis", "hook"],
            "are the operator's own containers; choose another name",
        ),
        *image(f"{path}[].image"),
    ]


def _security_context(path: str) -> list[Case]:
    users = [f"{path}.{field}" for field in ("runAsUser", "runAsGroup", "fsGroup")]
    return [
        case(
            path,
            "cel",
            [{"runAsUser": 0}, {"runAsUser": 0, "runAsNonRoot": False}, {"runAsUser": 1, "runAsNonRoot": True}],
            [{"runAsUser": 0, "runAsNonRoot": True}],
            "runAsUser 0 is root, which runAsNonRoot refuses; choose another user",
        ),
        *(found for user in users for found in between(user, 0, USER_MAX)),
        at_most(f"{path}.supplementalGroups", 32, lambda i: i),
        case(f"{path}.supplementalGroups", "unique", [[1, 2]], [[1, 1]]),
        *between(f"{path}.supplementalGroups[]", 0, USER_MAX),
    ]


def _pods(parent: str) -> list[Case]:
    return [
        entries(f"{parent}.nodeSelector", 32, "v"),
        longest(f"{parent}.nodeSelector{{}}", 63),
        *_tolerations(f"{parent}.tolerations"),
        *text(f"{parent}.priorityClassName", 253),
        *text(f"{parent}.runtimeClassName", 253),
        *_host_aliases(f"{parent}.hostAliases"),
        *_volumes(f"{parent}.volumes"),
        *_volume_mounts(f"{parent}.volumeMounts"),
        *_containers(f"{parent}.initContainers"),
        *_containers(f"{parent}.sidecars"),
        *_security_context(f"{parent}.securityContext"),
    ]


def _lifecycle(path: str) -> list[Case]:
    run, ask = {"exec": {"command": ["a"]}}, {"httpGet": {"port": 80}}
    out: list[Case] = []
    for hook in (f"{path}.postStart", f"{path}.preStop"):
        out += [
            case(hook, "cel", [run, ask], [{}, {**run, **ask}], "set exactly one of exec or httpGet"),
            *required(f"{hook}.exec", "command"),
            case(f"{hook}.exec.command", "minItems", [["a"]], [[]]),
            at_most(f"{hook}.exec.command", 64, lambda i: f"a{i}"),
            longest(f"{hook}.exec.command[]", 4096),
            *required(f"{hook}.httpGet", "port"),
            *between(f"{hook}.httpGet.port", 1, 65535),
            *text(f"{hook}.httpGet.path", 2048),
            one_of(f"{hook}.httpGet.scheme", "HTTP", "HTTPS"),
        ]
    return [*out, *duration(f"{path}.preStop.timeout")]


PODS: list[Case] = [
    *(found for parent in ("spec", GROUP, BEAT) for found in _pods(parent)),
    *_spreading("spec.topologySpreadConstraints"),
    *_spreading(f"{GROUP}.topologySpreadConstraints"),
    *_lifecycle(f"{GROUP}.lifecycle"),
    *required(f"{GROUP}.persistence", "size", "mountPath"),
    *quantity(f"{GROUP}.persistence.size"),
    *_mount_path(f"{GROUP}.persistence.mountPath"),
    *text(f"{GROUP}.persistence.storageClassName", 253),
    *required(HOOK, "command"),
    case(f"{HOOK}.command", "minItems", [["true"]], [[]]),
    at_most(f"{HOOK}.command", 64, lambda i: f"a{i}"),
    longest(f"{HOOK}.command[]", 4096),
    *duration(f"{HOOK}.timeout"),
    *between(f"{HOOK}.retries", 0, 20),
    *resources(f"{HOOK}.resources"),
]
