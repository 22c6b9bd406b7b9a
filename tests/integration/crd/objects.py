"""Builds the smallest valid CeleryCluster with one value changed."""

from __future__ import annotations

import copy
import re
from typing import Any

_ACCESS_KEY = ("accessKeyId", "secretAccessKey")

MINIMAL: dict[str, Any] = {
    "": {
        "apiVersion": "celery-operator.dev/v1alpha1",
        "kind": "CeleryCluster",
        "metadata": {"name": "minimal"},
        "spec": {"image": "shop:1", "app": "shop", "broker": {"url": "redis://r"}, "workers": [{"name": "a"}]},
    },
    "spec": {"image": "shop:1", "app": "shop", "broker": {"url": "redis://r"}, "workers": [{"name": "a"}]},
    "workers[]": {"name": "a"},
    "env[]": {"name": "A"},
    "imagePullSecrets[]": {"name": "registry"},
    "schedule[]": {"name": "a", "task": "t", "every": "1s"},
    "solar": {"event": "sunrise", "latitude": 52.5, "longitude": 13.4},
    "tolerations[]": {"operator": "Exists"},
    "topologySpreadConstraints[]": {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"},
    "hostAliases[]": {"ip": "10.0.0.1", "hostnames": ["a"]},
    "volumes[]": {"name": "a"},
    "volumeMounts[]": {"name": "a", "mountPath": "/a"},
    "initContainers[]": {"name": "a"},
    "sidecars[]": {"name": "a"},
    "persistence": {"size": "1Gi", "mountPath": "/a"},
    "postStart": {"exec": {"command": ["a"]}},
    "preStop": {"exec": {"command": ["a"]}},
    "exec": {"command": ["a"]},
    "httpGet": {"port": 1},
    "beforeRollout": {"command": ["a"]},
    **{
        f"{field}From": {"secretKeyRef": {"name": "s", "key": "k"}}
        for field in ("url", "username", "password", "ca", "certificate", "key", *_ACCESS_KEY)
    },
    **{
        f"{field}From[]": {"name": "a", "secretKeyRef": {"name": "s", "key": "k"}}
        for field in ("transportOptions", "config")
    },
    "parts": {"scheme": "redis", "host": "h"},
    "serviceBinding": {"name": "b"},
    "secretKeyRef": {"name": "s", "key": "k"},
    "configMapKeyRef": {"name": "c", "key": "k"},
    "fieldRef": {"fieldPath": "metadata.name"},
    "resourceFieldRef": {"resource": "limits.cpu"},
    "sqs": {"credentialsFrom": {f"{field}From": {"secretKeyRef": {"name": "s", "key": "k"}} for field in _ACCESS_KEY}},
    "credentialsFrom": {f"{field}From": {"secretKeyRef": {"name": "s", "key": "k"}} for field in _ACCESS_KEY},
    "secretRef": {"name": "s"},
    "configMapRef": {"name": "c"},
    "fallback": {"replicas": 1},
    "autoscaling": {"minReplicas": 0, "maxReplicas": 1, "targetQueueLength": 1},
    "processAutoscale": {"min": 1, "max": 2},
    "broker": {"url": "redis://r"},
    "queues[]": {"name": "q"},
    "deadLetter": {"exchange": "dead"},
    "flower": {"auth": {"external": True}},
    "flower.persistence": {"size": "1Gi"},
    **{
        field: {"secretKeyRef": {"name": "s", "key": "k"}}
        for field in ("basicFrom", "clientIdFrom", "clientSecretFrom", "cookieSecretFrom")
    },
    "oauth": {
        "provider": "Google",
        "emails": ".*@example.com",
        "clientIdFrom": {"secretKeyRef": {"name": "s", "key": "k"}},
        "clientSecretFrom": {"secretKeyRef": {"name": "s", "key": "k"}},
        "redirectUri": "https://f",
    },
    "ingress": {"host": "f"},
    "httpRoute": {"parentRefs": [{"name": "g"}]},
    "parentRefs[]": {"name": "g"},
    "status.workers[]": {"name": "a", "desired": 1, "replicas": 1, "ready": 1},
    "conditions[]": {
        "type": "Ready",
        "status": "True",
        "reason": "Fine",
        "lastTransitionTime": "2026-01-02T03:04:05Z",
        "observedGeneration": 1,
    },
}
"""The smallest valid object at a path; the longest matching end of a path wins. Elsewhere it is `{}`."""

EXCLUSIVE = {
    "spec.workers[].lifecycle.postStart.httpGet": "exec",
    "spec.workers[].lifecycle.preStop.httpGet": "exec",
    "spec.beat.schedule[].crontab": "every",
    "spec.beat.schedule[].solar": "every",
    "spec.broker.urlFrom": "url",
    "spec.broker.parts": "url",
    "spec.broker.serviceBinding": "url",
    "spec.broker.redis": "url",
}
"""Fields that can only be set where another one of the minimal object is left out."""


def minimal(path: str) -> Any:
    """A copy of the smallest valid value at `path`."""
    parts = re.split(r"\.", path)
    for start in range(len(parts)):
        end = ".".join(parts[start:])
        if end in MINIMAL and (end or not path):
            return copy.deepcopy(MINIMAL[end])
    return {}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The smallest valid object with `value` at `path`, for example `spec.workers[].replicas` or `…requests{}`.

    `[]` is a list of one item and `{}` a map of one key, `k`. What stands on the way is minimal too, and nothing but
    the way is set below its second level (so that "exactly one of" rules hold).
    """
    root: dict[str, Any] = minimal("")
    if not path:
        return {**root, **value}
    if path.startswith("metadata."):
        root["metadata"][path.removeprefix("metadata.")] = value
        return root
    _set(root, "", re.findall(r"[^.\[\]{}]+|\[\]|\{\}", path), value)
    return root


def _set(container: dict[str, Any], here: str, steps: list[str], value: Any) -> None:
    """Put the value below `container`, which stands at the path `here`."""
    step, rest = steps[0], steps[1:]
    path = f"{here}.{step}".lstrip(".")
    if (rival := EXCLUSIVE.get(path)) is not None:
        container.pop(rival)
    if not rest:
        container[step] = value
        return
    if rest[0] == "[]":
        container[step] = [_below(f"{path}[]", rest[1:], value)]
    elif rest[0] == "{}":
        container[step] = {"k": _below(f"{path}{{}}", rest[1:], value)}
    else:
        container[step] = _below(path, rest, value)


def _below(path: str, rest: list[str], value: Any) -> Any:
    if not rest:
        return value
    child = minimal(path)
    _set(child, path, rest, value)
    return child
