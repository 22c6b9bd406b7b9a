"""How URLs reach the pods: as Secret references or as parts that the launcher composes, never as arguments."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from celery_operator.api.broker import Broker, ResultBackend
from celery_operator.api.cluster import CeleryCluster, CeleryClusterSpec
from celery_operator.api.pod import RequiredSecretKey
from celery_operator.desired import names

REDIS_PORT: Final = 6379
PASSWORD_KEY: Final = "password"  # noqa: S105 - the name of a key
BROKER_DATABASE: Final = "0"
RESULT_DATABASE: Final = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where to connect to: a plain URL, a Secret's key with a URL, or a database of the managed Redis."""

    url: str | None = None
    url_from: RequiredSecretKey | None = None
    managed_database: str | None = None


def broker(spec: CeleryClusterSpec) -> Connection:
    """The connection of the broker."""
    return _connection(spec.broker, BROKER_DATABASE)


def result_backend(spec: CeleryClusterSpec) -> Connection | None:
    """The connection of the result backend; None leaves the application its own."""
    backend = spec.result_backend
    if backend is None:
        return None
    if backend.same_as_broker:
        return _connection(spec.broker, RESULT_DATABASE)
    return _connection(backend, RESULT_DATABASE)


def wants_managed_redis(spec: CeleryClusterSpec) -> bool:
    """Whether the operator runs a Redis for this cluster: one serves both broker and results."""
    return spec.broker.redis is not None or (spec.result_backend is not None and spec.result_backend.redis is not None)


def environment(cluster: CeleryCluster) -> list[dict[str, Any]]:
    """The environment variables from which the launcher composes `CELERY_BROKER_URL` and `CELERY_RESULT_BACKEND`."""
    out = _variables(cluster, "CELERY_OPERATOR_BROKER", broker(cluster.spec))
    backend = result_backend(cluster.spec)
    if backend is not None:
        out += _variables(cluster, "CELERY_OPERATOR_RESULT_BACKEND", backend)
    return out


def redis_parts(cluster: CeleryCluster, database: str) -> dict[str, Any]:
    """The parts of the managed Redis' URL without its password."""
    return {
        "scheme": "redis",
        "host": names.redis(cluster.metadata.name),
        "port": REDIS_PORT,
        "database": database,
    }


def _connection(source: Broker | ResultBackend, database: str) -> Connection:
    if source.redis is not None:
        return Connection(managed_database=database)
    if source.url_from is not None:
        return Connection(url_from=source.url_from.secret_key_ref)
    return Connection(url=source.url)


def _variables(cluster: CeleryCluster, prefix: str, connection: Connection) -> list[dict[str, Any]]:
    if connection.managed_database is not None:
        parts = json.dumps(redis_parts(cluster, connection.managed_database), sort_keys=True)
        secret = {"name": names.redis(cluster.metadata.name), "key": PASSWORD_KEY}
        return [
            {"name": f"{prefix}_PARTS", "value": escape(parts)},
            {"name": f"{prefix}_PASSWORD", "valueFrom": {"secretKeyRef": secret}},
        ]
    if connection.url_from is not None:
        reference = {"name": connection.url_from.name, "key": connection.url_from.key}
        return [{"name": f"{prefix}_URL", "valueFrom": {"secretKeyRef": reference}}]
    return [{"name": f"{prefix}_URL", "value": escape(connection.url or "")}]


def escape(value: str) -> str:
    """The value with every dollar sign made literal: the kubelet reads `$(NAME)` as a variable, `$$` as `$`."""
    return value.replace("$", "$$")
