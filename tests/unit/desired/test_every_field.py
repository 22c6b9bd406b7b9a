"""Every field that users can write changes something: a field that nothing reads would be a lie of the API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from celery_operator.api.cluster import CeleryClusterSpec
from celery_operator.api.model import ApiModel
from celery_operator.desired import children
from celery_operator.desired.digest import digest
from tests.unit.desired import fields_of_children, pod_fields
from tests.unit.desired.clusters import WITH_REDIS, cluster
from tests.unit.desired.connection_fields import CONNECTION_ROWS

Json = dict[str, Any]


def group(**fields: Any) -> Json:
    return {"workers": [{"name": "web", **fields}]}


def beat(**fields: Any) -> Json:
    return {"beat": fields}


def entry(**fields: Any) -> Json:
    return beat(schedule=[{"name": "daily", "task": "t", "every": "30s", **fields}])


def at_sun(**fields: Any) -> Json:
    return entry(every=None, solar={"event": "sunrise", "latitude": 52.5, "longitude": 13, **fields})


def env(**fields: Any) -> Json:
    return {"env": [{"name": "A", **fields}]}


def source(kind: str, **fields: Any) -> Json:
    return env(valueFrom={kind: fields})


def secret_url(field: str, **fields: Any) -> Json:
    return {field: {"urlFrom": {"secretKeyRef": {"name": "s", "key": "k", **fields}}}}


BROKER: Json = {"broker": {"redis": {}}}
BACKEND: Json = {"resultBackend": {"redis": {}}}
LABELS = {"metadata": {"labels": {"a": "b"}}}
NOTES = {"metadata": {"annotations": {"a": "b"}}}


def redis(side: str, **fields: Any) -> Json:
    return {side: {"redis": fields}}


def field_env_from(**fields: Any) -> Json:
    return {"envFrom": [fields]}


def resources(path: str, wrap: Any) -> dict[str, tuple[Json, Json]]:
    return {
        path: (wrap(), wrap(resources={"limits": {"cpu": 3}})),
        f"{path}.requests": (wrap(), wrap(resources={"requests": {"memory": "1Gi"}})),
        f"{path}.limits": (wrap(), wrap(resources={"limits": {"memory": "1Gi"}})),
    }


def storage(path: str, wrap: Any) -> dict[str, tuple[Json, Json]]:
    return {
        path: (wrap(), wrap(storage={})),
        f"{path}.size": (wrap(storage={}), wrap(storage={"size": "9Gi"})),
        f"{path}.storageClassName": (wrap(storage={}), wrap(storage={"storageClassName": "fast"})),
        f"{path}.retain": (wrap(storage={}), wrap(storage={"retain": True})),
    }


def template(path: str, wrap: Any) -> dict[str, tuple[Json, Json]]:
    return {
        path: (wrap(), wrap(podTemplate=LABELS)),
        f"{path}.metadata": (wrap(), wrap(podTemplate=LABELS)),
        f"{path}.metadata.labels": (wrap(), wrap(podTemplate=LABELS)),
        f"{path}.metadata.annotations": (wrap(), wrap(podTemplate=NOTES)),
        f"{path}.spec": (wrap(), wrap(podTemplate={"spec": {"nodeSelector": {"a": "b"}}})),
    }


def probes(path: str, wrap: Any) -> dict[str, tuple[Json, Json]]:
    def timing(probe: str) -> dict[str, tuple[Json, Json]]:
        fields = ("periodSeconds", "timeoutSeconds", "failureThreshold", "initialDelaySeconds")
        rows = {f"{path}.{probe}.{field}": (wrap(), wrap(probes={probe: {field: 77}})) for field in fields}
        return {f"{path}.{probe}": rows[f"{path}.{probe}.periodSeconds"], **rows}

    return {
        path: (wrap(), wrap(probes={"port": 9000})),
        f"{path}.port": (wrap(), wrap(probes={"port": 9000})),
        f"{path}.disabled": (wrap(), wrap(probes={"disabled": True})),
        **timing("liveness"),
        **timing("readiness"),
        **timing("startup"),
    }


def of_group(parent: str, **fields: Any) -> dict[str, tuple[Json, Json]]:
    """A field of a group that is an object, and each field of that."""
    rows = {f"workers[].{parent}.{name}": (group(), group(**{parent: {name: value}})) for name, value in fields.items()}
    return {f"workers[].{parent}": next(iter(rows.values())), **rows}


def managed_redis(side: str) -> dict[str, tuple[Json, Json]]:
    def wrap(**fields: Any) -> Json:
        return redis(side, **fields)

    return {
        f"{side}.redis": ({}, wrap()),
        f"{side}.redis.image": (wrap(), wrap(image="example.com/redis:8")),
        **storage(f"{side}.redis.storage", wrap),
        **resources(f"{side}.redis.resources", wrap),
    }


def url_from(field: str) -> dict[str, tuple[Json, Json]]:
    path = f"{field}.urlFrom"
    return {
        f"{field}.url": ({}, {field: {"url": "redis://other"}}),
        path: ({}, secret_url(field)),
        f"{path}.secretKeyRef": ({}, secret_url(field)),
        f"{path}.secretKeyRef.name": (secret_url(field), secret_url(field, name="t")),
        f"{path}.secretKeyRef.key": (secret_url(field), secret_url(field, key="l")),
    }


def key_reference(kind: str) -> dict[str, tuple[Json, Json]]:
    path, plain = f"env[].valueFrom.{kind}", source(kind, name="s", key="k")
    return {
        path: (env(), plain),
        f"{path}.name": (plain, source(kind, name="t", key="k")),
        f"{path}.key": (plain, source(kind, name="s", key="l")),
        f"{path}.optional": (plain, source(kind, name="s", key="k", optional=True)),
    }


def whole_reference(kind: str) -> dict[str, tuple[Json, Json]]:
    path, plain = f"envFrom[].{kind}", field_env_from(**{kind: {"name": "s"}})
    return {
        path: ({}, plain),
        f"{path}.name": (plain, field_env_from(**{kind: {"name": "t"}})),
        f"{path}.optional": (plain, field_env_from(**{kind: {"name": "s", "optional": True}})),
    }


def cluster_level(**fields: Any) -> Json:
    return fields


LENGTH: Json = {"minReplicas": 0, "maxReplicas": 3, "targetQueueLength": 10}
AT_RUN_TIME = tuple(
    f"workers[].autoscaling.{field}"
    for field in (
        *("targetQueueLength", "targetLatency", "expectedTaskDuration", "headroomPercent", "dryRun"),
        *("scaleUp", "scaleUp.maxPods", "scaleDown", "scaleDown.stabilizationWindow"),
        *("fallback", "fallback.replicas", "fallback.after"),
    )
)
MANAGEMENT = tuple(
    f"broker.management{field}"
    for field in ("", ".url", ".urlFrom", *(f".urlFrom.secretKeyRef{key}" for key in ("", ".name", ".key")))
)
MEMORY = {"resource": "limits.memory"}

TABLE: dict[str, tuple[Json, Json]] = {
    "image": ({}, {"image": "other"}),
    "imagePullPolicy": ({}, {"imagePullPolicy": "Always"}),
    "imagePullSecrets": ({}, {"imagePullSecrets": [{"name": "a"}]}),
    "imagePullSecrets[].name": ({"imagePullSecrets": [{"name": "a"}]}, {"imagePullSecrets": [{"name": "b"}]}),
    "app": ({}, {"app": "other"}),
    "command": ({}, {"command": ["poetry", "run", "python"]}),
    "workingDir": ({}, {"workingDir": "/srv"}),
    "config": ({}, {"config": {"a": 1}}),
    "taskDelivery": ({}, {"taskDelivery": "AtLeastOnce"}),
    "maxTaskDuration": ({}, {"maxTaskDuration": "1s"}),
    "env": ({}, env()),
    "env[].name": (env(), {"env": [{"name": "B"}]}),
    "env[].value": (env(), env(value="1")),
    "env[].valueFrom": (env(), source("fieldRef", fieldPath="spec.nodeName")),
    **key_reference("secretKeyRef"),
    **key_reference("configMapKeyRef"),
    "env[].valueFrom.fieldRef": (env(), source("fieldRef", fieldPath="spec.nodeName")),
    "env[].valueFrom.fieldRef.fieldPath": (source("fieldRef", fieldPath="a"), source("fieldRef", fieldPath="b")),
    "env[].valueFrom.fieldRef.apiVersion": (
        source("fieldRef", fieldPath="a"),
        source("fieldRef", fieldPath="a", apiVersion="v1"),
    ),
    "env[].valueFrom.resourceFieldRef": (env(), source("resourceFieldRef", **MEMORY)),
    "env[].valueFrom.resourceFieldRef.resource": (
        source("resourceFieldRef", **MEMORY),
        source("resourceFieldRef", resource="limits.cpu"),
    ),
    "env[].valueFrom.resourceFieldRef.containerName": (
        source("resourceFieldRef", **MEMORY),
        source("resourceFieldRef", **MEMORY, containerName="worker"),
    ),
    "env[].valueFrom.resourceFieldRef.divisor": (
        source("resourceFieldRef", **MEMORY),
        source("resourceFieldRef", **MEMORY, divisor="1Mi"),
    ),
    "envFrom": ({}, field_env_from(secretRef={"name": "s"})),
    "envFrom[].prefix": (field_env_from(secretRef={"name": "s"}), field_env_from(secretRef={"name": "s"}, prefix="P")),
    **whole_reference("secretRef"),
    **whole_reference("configMapRef"),
    "serviceAccountName": ({}, {"serviceAccountName": "other"}),
    "podSecurity": ({}, {"podSecurity": "Restricted"}),
    "podLabels": ({}, {"podLabels": {"a": "b"}}),
    "podAnnotations": ({}, {"podAnnotations": {"a": "b"}}),
    **template("podTemplate", cluster_level),
    **pod_fields.pods("", cluster_level),
    **pod_fields.spreading("", cluster_level),
    **pod_fields.spreading("workers[].", group),
    **pod_fields.overrides("workers[].", group),
    **pod_fields.worker("workers[].", group),
    **pod_fields.overrides("beat.", beat),
    "broker": ({}, BROKER),
    **url_from("broker"),
    **managed_redis("broker"),
    **CONNECTION_ROWS,
    "resultBackend": ({}, BACKEND),
    **url_from("resultBackend"),
    **managed_redis("resultBackend"),
    "resultBackend.sameAsBroker": ({}, {"resultBackend": {"sameAsBroker": True}}),
    "workers": ({}, {"workers": [{"name": "web"}, {"name": "mail"}]}),
    "workers[].name": (group(), {"workers": [{"name": "mail"}]}),
    "workers[].queues": (group(), group(queues=["a"])),
    "workers[].replicas": (group(), group(replicas=5)),
    "workers[].autoscaling": (group(), group(autoscaling=LENGTH)),
    "workers[].autoscaling.minReplicas": (group(autoscaling=LENGTH), group(autoscaling={**LENGTH, "minReplicas": 1})),
    "workers[].autoscaling.maxReplicas": (group(autoscaling=LENGTH), group(autoscaling={**LENGTH, "maxReplicas": 51})),
    "workers[].externalScaling": (group(), group(externalScaling={})),
    "workers[].concurrency": (group(), group(concurrency=5)),
    "workers[].processAutoscale": (group(), group(processAutoscale={"min": 2, "max": 8})),
    "workers[].processAutoscale.min": (
        group(processAutoscale={"min": 2, "max": 8}),
        group(processAutoscale={"min": 3, "max": 8}),
    ),
    "workers[].processAutoscale.max": (
        group(processAutoscale={"min": 2, "max": 8}),
        group(processAutoscale={"min": 2, "max": 9}),
    ),
    "workers[].pool": (group(), group(pool="threads")),
    "workers[].prefetchMultiplier": (group(), group(prefetchMultiplier=0)),
    "workers[].optimization": (group(), group(optimization="fair")),
    "workers[].maxTasksPerChild": (group(), group(maxTasksPerChild=5)),
    "workers[].maxMemoryPerChild": (group(), group(maxMemoryPerChild="1Gi")),
    "workers[].timeLimit": (group(), group(timeLimit="1m")),
    "workers[].softTimeLimit": (group(), group(softTimeLimit="1m")),
    "workers[].maxTaskDuration": (group(), group(maxTaskDuration="1s")),
    **of_group("shutdown", mode="Requeue", gracePeriod="1s"),
    **of_group("strategy", maxSurge=1, maxUnavailable=1, progressDeadline="1h"),
    **of_group("disruptionBudget", maxUnavailable=1, minAvailable=1, doNotDisrupt=True),
    "workers[].disruptionBudget.disabled": (group(replicas=2), group(replicas=2, disruptionBudget={"disabled": True})),
    **probes("workers[].probes", group),
    "workers[].mingle": (group(), group(mingle="Disabled")),
    "workers[].taskEvents": (group(), group(taskEvents=True)),
    "workers[].logLevel": (group(), group(logLevel="DEBUG")),
    "workers[].extraArgs": (group(), group(extraArgs=["--heartbeat-interval=5"])),
    **resources("workers[].resources", group),
    **template("workers[].podTemplate", group),
    "beat": ({}, beat()),
    "beat.schedule": (beat(), entry()),
    "beat.schedule[].name": (entry(), entry(name="other")),
    "beat.schedule[].task": (entry(), entry(task="other")),
    "beat.schedule[].crontab": (entry(every=None), entry(every=None, crontab="* * * * *")),
    "beat.schedule[].every": (entry(), entry(every="31s")),
    "beat.schedule[].solar": (entry(every=None), at_sun()),
    "beat.schedule[].solar.event": (at_sun(), at_sun(event="sunset")),
    "beat.schedule[].solar.latitude": (at_sun(), at_sun(latitude=-12.5)),
    "beat.schedule[].solar.longitude": (at_sun(), at_sun(longitude=99)),
    "beat.schedule[].args": (entry(), entry(args=[1])),
    "beat.schedule[].kwargs": (entry(), entry(kwargs={"a": 1})),
    "beat.schedule[].queue": (entry(), entry(queue="q")),
    "beat.schedule[].enabled": (entry(), entry(enabled=False)),
    "beat.scheduler": (beat(), beat(scheduler="a.b:C")),
    "beat.maxInterval": (beat(), beat(maxInterval="5s")),
    "beat.timezone": (beat(), beat(timezone="UTC")),
    **storage("beat.storage", beat),
    **probes("beat.probes", beat),
    "beat.logLevel": (beat(), beat(logLevel="DEBUG")),
    **resources("beat.resources", beat),
    **template("beat.podTemplate", beat),
    **{path: (row.without, row.with_it) for path, row in fields_of_children.ROWS.items()},
}
"""By field: a spec without it and one with it (or with another value of it)."""

WITHOUT_CHILDREN = {
    **fields_of_children.WITHOUT_CHILDREN,
    "paused": "stops every write: tested with the plan",
    **pod_fields.WITHOUT_CHILDREN,
    **dict.fromkeys(AT_RUN_TIME, "decides at run time: tested with the policy"),
    **dict.fromkeys(MANAGEMENT, "the operator alone asks there: tested with the readers"),
}
"""Fields that no child shows, and why."""


def models_in(annotation: Any) -> Iterator[tuple[type[BaseModel], bool]]:
    """The models within an annotation, and whether they stand in a list."""
    if isinstance(annotation, type) and issubclass(annotation, ApiModel):
        yield annotation, False
    in_list = getattr(annotation, "__origin__", None) is list
    for argument in get_args(annotation):
        for model, nested in models_in(argument):
            yield model, nested or in_list


def paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for field in model.model_fields.values():
        path = f"{prefix}{field.alias}"
        yield path
        for inner, in_list in models_in(field.annotation):
            yield from paths(inner, f"{path}[]." if in_list else f"{path}.")


@pytest.mark.parametrize(("without", "with_it"), TABLE.values(), ids=TABLE)
def test_a_field_changes_a_child(without: Json, with_it: Json) -> None:
    assert digest(children.build(cluster(without), WITH_REDIS)) != digest(children.build(cluster(with_it), WITH_REDIS))


def test_no_field_is_missing_from_the_table() -> None:
    assert set(paths(CeleryClusterSpec)) == set(TABLE) | set(WITHOUT_CHILDREN)
