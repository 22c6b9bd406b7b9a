"""The rows of `test_every_field` for the pod fields that the cluster and its components share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Json = dict[str, Any]
Wrap = Callable[..., Json]
Rows = dict[str, tuple[Json, Json]]

KEY: Json = {"name": "s", "key": "k"}
TOLERATION: Json = {"key": "gpu", "effect": "NoExecute"}
SPREAD: Json = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
ALIAS: Json = {"ip": "10.0.0.1", "hostnames": ["db"]}
VOLUME: Json = {"name": "models", "emptyDir": {}}
MOUNT: Json = {"name": "models", "mountPath": "/models"}
CONTAINER: Json = {"name": "extra", "image": "extra:1"}


def _changes(wrap: Wrap, path: str, whole: Json, field: str, *, in_list: bool, **others: Any) -> Rows:
    """An object and each of its fields, with another value (None: the field is taken away)."""
    suffix = "[]" if in_list else ""

    def put(value: Json) -> Json:
        return wrap(**{field: [value] if in_list else value})

    rows: Rows = {path: (wrap(), put(whole))}
    for name, value in others.items():
        changed = {**whole, name: value}
        rows[f"{path}{suffix}.{name}"] = (put(whole), put({k: v for k, v in changed.items() if v is not None}))
    return rows


def scheduling(prefix: str, wrap: Wrap) -> Rows:
    """Where pods may run."""
    return {
        f"{prefix}nodeSelector": (wrap(), wrap(nodeSelector={"a": "b"})),
        **_changes(
            wrap,
            f"{prefix}tolerations",
            TOLERATION,
            "tolerations",
            in_list=True,
            key="other",
            operator="Exists",
            value="v",
            effect="NoSchedule",
            tolerationSeconds=5,
        ),
        f"{prefix}affinity": (wrap(), wrap(affinity={"podAffinity": {}})),
        f"{prefix}priorityClassName": (wrap(), wrap(priorityClassName="high")),
        f"{prefix}runtimeClassName": (wrap(), wrap(runtimeClassName="gvisor")),
        **_changes(
            wrap, f"{prefix}hostAliases", ALIAS, "hostAliases", in_list=True, ip="10.0.0.2", hostnames=["other"]
        ),
    }


def spreading(prefix: str, wrap: Wrap) -> Rows:
    """How pods are spread."""
    return _changes(
        wrap,
        f"{prefix}topologySpreadConstraints",
        SPREAD,
        "topologySpreadConstraints",
        in_list=True,
        maxSkew=2,
        topologyKey="rack",
        whenUnsatisfiable="ScheduleAnyway",
        labelSelector={"matchLabels": {"a": "b"}},
        matchLabelKeys=["a"],
        minDomains=2,
        nodeAffinityPolicy="Ignore",
        nodeTaintsPolicy="Honor",
    )


def pods(prefix: str, wrap: Wrap) -> Rows:
    """What the cluster and its components share."""
    return {
        **scheduling(prefix, wrap),
        **_changes(wrap, f"{prefix}volumes", VOLUME, "volumes", in_list=True, name="other"),
        **_changes(
            wrap,
            f"{prefix}volumeMounts",
            MOUNT,
            "volumeMounts",
            in_list=True,
            name="other",
            mountPath="/other",
            subPath="a",
            readOnly=True,
        ),
        **_changes(
            wrap, f"{prefix}initContainers", CONTAINER, "initContainers", in_list=True, name="other", image=None
        ),
        **_changes(wrap, f"{prefix}sidecars", CONTAINER, "sidecars", in_list=True, name="other", image=None),
        **_changes(
            wrap,
            f"{prefix}securityContext",
            {"runAsUser": 1},
            "securityContext",
            in_list=False,
            runAsUser=2,
            runAsGroup=2,
            runAsNonRoot=True,
            fsGroup=2,
            supplementalGroups=[2],
            readOnlyRootFilesystem=True,
        ),
    }


def _references(prefix: str, wrap: Wrap) -> Rows:
    """Sources of variables."""

    def env(source: str, **fields: Any) -> Json:
        return wrap(env=[{"name": "A", "valueFrom": {source: fields}}])

    def bulk(source: str, **fields: Any) -> Json:
        return wrap(envFrom=[{source: fields}])

    rows: Rows = {}
    value = f"{prefix}env[].valueFrom"
    for source in ("secretKeyRef", "configMapKeyRef"):
        plain = env(source, **KEY)
        rows[f"{value}.{source}"] = (wrap(), plain)
        rows[f"{value}.{source}.name"] = (plain, env(source, **{**KEY, "name": "t"}))
        rows[f"{value}.{source}.key"] = (plain, env(source, **{**KEY, "key": "l"}))
        rows[f"{value}.{source}.optional"] = (plain, env(source, **KEY, optional=True))
    for source in ("secretRef", "configMapRef"):
        plain = bulk(source, name="s")
        rows[f"{prefix}envFrom[].{source}"] = (wrap(), plain)
        rows[f"{prefix}envFrom[].{source}.name"] = (plain, bulk(source, name="t"))
        rows[f"{prefix}envFrom[].{source}.optional"] = (plain, bulk(source, name="s", optional=True))
    field, resource = env("fieldRef", fieldPath="a"), env("resourceFieldRef", resource="limits.cpu")
    rows[f"{value}.fieldRef"] = (wrap(), field)
    rows[f"{value}.fieldRef.fieldPath"] = (field, env("fieldRef", fieldPath="b"))
    rows[f"{value}.fieldRef.apiVersion"] = (field, env("fieldRef", fieldPath="a", apiVersion="v1"))
    rows[f"{value}.resourceFieldRef"] = (wrap(), resource)
    rows[f"{value}.resourceFieldRef.resource"] = (resource, env("resourceFieldRef", resource="limits.memory"))
    for name, other in (("containerName", "worker"), ("divisor", "1m")):
        changed = env("resourceFieldRef", resource="limits.cpu", **{name: other})
        rows[f"{value}.resourceFieldRef.{name}"] = (resource, changed)
    return rows


def overrides(prefix: str, wrap: Wrap) -> Rows:
    """What a component sets for itself."""
    variable = wrap(env=[{"name": "A", "value": "1"}])
    source = wrap(envFrom=[{"secretRef": {"name": "s"}}])
    secrets = wrap(imagePullSecrets=[{"name": "a"}])
    return {
        **pods(prefix, wrap),
        f"{prefix}image": (wrap(), wrap(image="its-own")),
        f"{prefix}imagePullPolicy": (wrap(), wrap(imagePullPolicy="Always")),
        f"{prefix}imagePullSecrets": (wrap(), secrets),
        f"{prefix}imagePullSecrets[].name": (secrets, wrap(imagePullSecrets=[{"name": "b"}])),
        f"{prefix}command": (wrap(), wrap(command=["poetry", "run", "python"])),
        f"{prefix}workingDir": (wrap(), wrap(workingDir="/srv")),
        f"{prefix}env": (wrap(), variable),
        f"{prefix}env[].name": (variable, wrap(env=[{"name": "B", "value": "1"}])),
        f"{prefix}env[].value": (variable, wrap(env=[{"name": "A", "value": "2"}])),
        f"{prefix}env[].valueFrom": (variable, wrap(env=[{"name": "A", "valueFrom": {"secretKeyRef": KEY}}])),
        f"{prefix}envFrom": (wrap(), source),
        f"{prefix}envFrom[].prefix": (source, wrap(envFrom=[{"prefix": "P", "secretRef": {"name": "s"}}])),
        **_references(prefix, wrap),
        f"{prefix}serviceAccountName": (wrap(), wrap(serviceAccountName="its-own")),
        f"{prefix}podSecurity": (wrap(), wrap(podSecurity="Restricted")),
        f"{prefix}podLabels": (wrap(), wrap(podLabels={"a": "b"})),
        f"{prefix}podAnnotations": (wrap(), wrap(podAnnotations={"a": "b"})),
    }


def worker(prefix: str, wrap: Wrap) -> Rows:
    """What worker groups have besides."""
    disk = {"size": "1Gi", "mountPath": "/data"}
    rows = _changes(
        wrap,
        f"{prefix}persistence",
        disk,
        "persistence",
        in_list=False,
        size="2Gi",
        mountPath="/other",
        storageClassName="fast",
    )
    for hook in ("postStart", "preStop"):
        path = f"{prefix}lifecycle.{hook}"
        run, ask = {"exec": {"command": ["a"]}}, {"httpGet": {"port": 80}}

        def put(action: Json, hook: str = hook) -> Json:
            return wrap(lifecycle={hook: action})

        rows |= {
            f"{prefix}lifecycle": (wrap(), put(run)),
            path: (wrap(), put(run)),
            f"{path}.exec": (wrap(), put(run)),
            f"{path}.exec.command": (put(run), put({"exec": {"command": ["b"]}})),
            f"{path}.httpGet": (wrap(), put(ask)),
            f"{path}.httpGet.port": (put(ask), put({"httpGet": {"port": 81}})),
            f"{path}.httpGet.path": (put(ask), put({"httpGet": {"port": 80, "path": "/a"}})),
            f"{path}.httpGet.scheme": (put(ask), put({"httpGet": {"port": 80, "scheme": "HTTPS"}})),
        }
        if hook == "preStop":
            rows[f"{path}.timeout"] = (put(run), put({**run, "timeout": "5s"}))
    return rows


HOOK = "tested with its own Job: it is no child that is always there"
WITHOUT_CHILDREN = {
    "suspend": "sets numbers of pods: tested with the plan",
    "hooks": HOOK,
    "hooks.beforeRollout": HOOK,
    **{
        f"hooks.beforeRollout.{name}": HOOK
        for name in ("command", "timeout", "retries", "resources", "resources.requests", "resources.limits")
    },
}
"""Fields that no child shows which is always there, and why."""
