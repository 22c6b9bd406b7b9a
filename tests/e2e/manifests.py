"""The objects that end-to-end tests apply: the samples that users get, and small variations of them."""

from __future__ import annotations

import copy
from typing import Any

import yaml

from celery_operator.api import API_VERSION, KIND
from celery_operator.kube.objects import Manifest
from tests.e2e.release import ROOT, WORKER_IMAGE

SAMPLES = ROOT / "manifests" / "samples"
QUEUES = ["default", "high_priority", "low_priority", "scheduled"]
CLIENT_VOLUME = "celery-client"
"""The ConfigMap for clients, as pod.yaml in it calls its volume."""
LEDGER_URL = "redis://ledger:6379/0"
LEDGER_ENV = {"name": "LEDGER_URL", "value": LEDGER_URL}
PATIENT_ENV = {"name": "PUBLISH_TIMEOUT_SECONDS", "value": "15"}
"""For a producer: a message that it gave up too early is sent twice, once by whoever asks again."""


def sample(name: str) -> list[Manifest]:
    """The objects of a sample file."""
    return list(yaml.safe_load_all((SAMPLES / f"{name}.yaml").read_text()))


def cluster(name: str = "shop", **spec: Any) -> Manifest:
    """A CeleryCluster of the example application with one small worker, a Redis of its own and no beat.

    None takes a field away.
    """
    fields = {
        "image": WORKER_IMAGE,
        "app": "celery_tasks.app",
        "podSecurity": "Restricted",
        "broker": {"redis": {}},
        "resultBackend": {"sameAsBroker": True},
        "workers": [worker()],
        **spec,
    }
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name},
        "spec": {key: value for key, value in fields.items() if value is not None},
    }


def worker(name: str = "default", **fields: Any) -> dict[str, Any]:
    """A worker group of one pod, unless it scales, with two slots for all queues of the example application."""
    scales = "autoscaling" in fields or "externalScaling" in fields
    size = {} if scales else {"replicas": 1}
    return {"name": name, "queues": QUEUES, **size, "concurrency": 2, **fields}


def producer(cluster_name: str, *, env: list[dict[str, Any]] | None, with_ledger: bool) -> list[Manifest]:
    """The sample's producer for a cluster with a managed Redis; with `env` for any other broker.

    It is told URLs, as a producer that knows nothing of the operator is, instead of the ConfigMap for clients.
    """
    objects = copy.deepcopy(sample("producer"))
    pod = objects[0]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    for owner, field in ((pod, "volumes"), (container, "volumeMounts")):
        owner[field] = [one for one in owner[field] if one["name"] != CLIENT_VOLUME]
    container["env"] = [*(env or _managed_redis(f"{cluster_name}-redis")), PATIENT_ENV]
    if with_ledger:
        container["env"].append(LEDGER_ENV)
    container["readinessProbe"]["periodSeconds"] = 1
    return objects


def ledger() -> list[Manifest]:
    """A Redis that keeps the ledger, apart from every broker."""
    return plain_redis("ledger", "--appendonly", "yes")


def plain_redis(name: str, *arguments: str, labels: dict[str, str] | None = None) -> list[Manifest]:
    """A Redis that the operator knows nothing about: Deployment and Service."""
    pod_labels = {"app": name, **(labels or {})}
    container = {
        "name": "redis",
        "image": "redis:7",
        "args": ["redis-server", "--save", "", *arguments],
        "readinessProbe": {"tcpSocket": {"port": 6379}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "workingDir": "/data",
    }
    pod = {
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 999,
            "runAsGroup": 999,
            "fsGroup": 999,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "data", "emptyDir": {}}],
    }
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": pod_labels}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": [{"port": 6379}]},
        },
    ]


def _managed_redis(name: str) -> list[dict[str, Any]]:
    return [
        {"name": "REDIS_PASSWORD", "valueFrom": {"secretKeyRef": {"name": name, "key": "password"}}},
        {"name": "CELERY_BROKER_URL", "value": f"redis://:$(REDIS_PASSWORD)@{name}:6379/0"},
        {"name": "CELERY_RESULT_BACKEND", "value": f"redis://:$(REDIS_PASSWORD)@{name}:6379/1"},
    ]
