"""The Redis that the operator runs for a quick start: StatefulSet, Service, password Secret and, if asked, a claim."""

from __future__ import annotations

from typing import Any, Final

from celery_operator.api.broker import ManagedRedis
from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import claim, names, scheduling
from celery_operator.desired.beat_statefulset import single_pod
from celery_operator.desired.connections import PASSWORD_KEY, REDIS_PORT
from celery_operator.desired.metadata import child_metadata, labels, selector
from celery_operator.desired.pod import RESTARTED_BY

COMPONENT: Final = "redis"
DEFAULT_IMAGE: Final = "redis:7"
_DATA: Final = "/data"
_USER: Final = 999
"""The user `redis` of the official image."""

_START: Final = """exec redis-server - <<EOF
port 6379
protected-mode no
dir /data
maxmemory-policy noeviction
{persistence}
requirepass $REDIS_PASSWORD
EOF
"""
_WITH_VOLUME: Final = "appendonly yes\nappendfsync everysec"
_WITHOUT_VOLUME: Final = 'appendonly no\nsave ""'


def settings(cluster: CeleryCluster) -> ManagedRedis:
    """What the user asked of the managed Redis: the broker's words win over the result backend's."""
    backend = cluster.spec.result_backend
    return cluster.spec.broker.redis or (backend.redis if backend is not None else None) or ManagedRedis()


def build(cluster: CeleryCluster, secret_uid: str) -> list[dict[str, Any]]:
    """Every child of the managed Redis but its Secret (see `secret`)."""
    redis = settings(cluster)
    children = [_service(cluster), _stateful_set(cluster, redis, secret_uid)]
    if redis.storage is not None:
        children.insert(0, claim.build(cluster, names.redis(cluster.metadata.name), COMPONENT, redis.storage))
    return children


def secret(cluster: CeleryCluster, password: str) -> dict[str, Any]:
    """The Secret with the generated password: created once, never rewritten."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": child_metadata(cluster, names.redis(cluster.metadata.name), component=COMPONENT),
        "type": "Opaque",
        "stringData": {PASSWORD_KEY: password},
    }


def _service(cluster: CeleryCluster) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": child_metadata(cluster, names.redis(cluster.metadata.name), component=COMPONENT),
        "spec": {
            "selector": selector(cluster, COMPONENT),
            "ports": [{"name": "redis", "port": REDIS_PORT, "targetPort": "redis", "protocol": "TCP"}],
        },
    }


def _stateful_set(cluster: CeleryCluster, redis: ManagedRedis, secret_uid: str) -> dict[str, Any]:
    name = names.redis(cluster.metadata.name)
    spec = cluster.spec
    pod_metadata = {
        "labels": {**(spec.pod_labels or {}), **labels(cluster, COMPONENT)},
        "annotations": {**(spec.pod_annotations or {}), RESTARTED_BY: secret_uid},
    }
    pull_secrets = [{"name": secret.name} for secret in spec.image_pull_secrets or []]
    template = {
        "metadata": pod_metadata,
        "spec": {
            **({"imagePullSecrets": pull_secrets} if pull_secrets else {}),
            "serviceAccountName": names.service_account(cluster.metadata.name),
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _USER,
                "runAsGroup": _USER,
                "fsGroup": _USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(name, redis)],
            "volumes": [claim.volume("data", name, redis.storage), {"name": "tmp", "emptyDir": {}}],
            **scheduling.of_cluster(spec),
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": child_metadata(cluster, name, component=COMPONENT),
        "spec": single_pod(name, selector(cluster, COMPONENT), template),
    }


def _container(name: str, redis: ManagedRedis) -> dict[str, Any]:
    """Redis reads its password from a configuration on standard input, so that it stands in no argument."""
    persistence = _WITHOUT_VOLUME if redis.storage is None else _WITH_VOLUME
    probe = {"tcpSocket": {"port": "redis"}, "timeoutSeconds": 5}
    out: dict[str, Any] = {
        "name": COMPONENT,
        "image": redis.image or DEFAULT_IMAGE,
        "command": ["sh", "-c", _START.format(persistence=persistence)],
        "env": [{"name": "REDIS_PASSWORD", "valueFrom": {"secretKeyRef": {"name": name, "key": PASSWORD_KEY}}}],
        "ports": [{"name": "redis", "containerPort": REDIS_PORT}],
        "readinessProbe": {**probe, "periodSeconds": 2},
        "livenessProbe": {**probe, "periodSeconds": 20, "failureThreshold": 6},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "data", "mountPath": _DATA}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }
    if redis.resources is not None:
        out["resources"] = redis.resources.model_dump(by_alias=True, exclude_none=True)
    return out
