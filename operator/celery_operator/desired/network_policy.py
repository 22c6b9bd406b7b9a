"""A NetworkPolicy for each component: what is not said here is denied, where the cluster's network enforces it.

The kubelet's probes need no rule: traffic between a pod and its own node is always allowed (Kubernetes' documentation,
"Network Policies").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from celery_operator.api.cluster import CeleryCluster, CeleryClusterSpec
from celery_operator.api.flower import Flower
from celery_operator.api.network_policy import NetworkPolicies
from celery_operator.desired import beat_statefulset, connections, flower, hook_job, managed_redis, names, probes
from celery_operator.desired import worker_deployment as worker
from celery_operator.desired.connections import Connection
from celery_operator.desired.metadata import child_metadata, selector
from celery_operator.desired.pod import Surroundings

Rule = dict[str, Any]

NAMESPACE_LABEL: Final = "kubernetes.io/metadata.name"
"""Kubernetes itself gives every namespace this label, with the namespace's name."""

_DNS_PORTS: Final = (53, 5353)
"""Rules see the port of the pod that answers, and DNS pods of OpenShift listen at 5353."""

USUAL_PORTS: Final = (5671, 5672, 6379, 6380, 26379)
"""RabbitMQ with and without TLS, Redis without and with, Sentinel: for a URL that only the pods know."""

_HTTPS: Final = 443
_MANAGEMENT: Final = (15671, 15672)
_PORTS: Final = {
    "redis": (6379,),
    "rediss": (6379,),
    "amqp": (5672,),
    "pyamqp": (5672,),
    "amqps": (5671,),
    "sqs": (_HTTPS,),
    "gcpubsub": (_HTTPS,),
    "s3": (_HTTPS,),
    "gs": (_HTTPS,),
    "dynamodb": (_HTTPS,),
    "azureblockblob": (_HTTPS,),
    "postgresql": (5432,),
    "postgres": (5432,),
    "mysql": (3306,),
    "mariadb": (3306,),
    "mssql": (1433,),
    "oracle": (1521,),
    "mongodb": (27017,),
    "cassandra": (9042,),
    "couchbase": (8091, 11210),
    "arangodb": (8529,),
    "consul": (8500,),
    "memcached": (11211,),
    "elasticsearch": (9200,),
    "http": (80,),
    "https": (_HTTPS,),
    "rpc": (),
}
"""Ports of the servers behind URLs that name none, by the first or last word of the scheme; rpc uses the broker."""


def build(cluster: CeleryCluster, policies: NetworkPolicies, surroundings: Surroundings) -> Iterator[dict[str, Any]]:
    """The policies of the components that there are. A managed Redis that is being left keeps the one that it has."""
    spec = cluster.spec
    operator = {"namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: surroundings.platform.operator_namespace}}}
    asks = [{"from": [operator], "ports": _tcp(probes.PORT_NAME)}]
    needs_redis = connections.wants_managed_redis(spec) or surroundings.leaves_redis
    out = _outwards(cluster, policies, needs_redis)
    extra_in, extra_out = policies.extra_ingress or [], policies.extra_egress or []
    yield _policy(cluster, worker.COMPONENT, [*asks, *extra_in], [*out, *extra_out])
    if spec.beat is not None:
        yield _policy(cluster, beat_statefulset.COMPONENT, [*asks, *extra_in], [*out, *extra_out])
    if hook_job.wanted(spec) is not None:
        yield _policy(cluster, hook_job.COMPONENT, [], [*out, *extra_out])
    if spec.flower is not None:
        opened = [_who_opens_flower(spec, spec.flower), *extra_in]
        yield _policy(cluster, flower.COMPONENT, opened, [*out, *_flowers_own(spec, spec.flower), *extra_out])
    if connections.wants_managed_redis(spec):
        clients: Rule = {"from": [{"podSelector": {}}, operator], "ports": _tcp("redis")}
        yield _policy(cluster, managed_redis.COMPONENT, [clients], [])


def _policy(cluster: CeleryCluster, component: str, ingress: list[Rule], egress: list[Rule]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": child_metadata(
            cluster, names.network_policy(cluster.metadata.name, component), component=component
        ),
        "spec": {
            "podSelector": {"matchLabels": selector(cluster, component)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress,
            "egress": egress,
        },
    }


def _outwards(cluster: CeleryCluster, policies: NetworkPolicies, needs_redis: bool) -> list[Rule]:
    """What every process of Celery needs: names, the broker and the result backend."""
    rules: list[Rule] = [
        {"ports": [{"protocol": protocol, "port": port} for port in _DNS_PORTS for protocol in ("UDP", "TCP")]}
    ]
    if needs_redis:
        redis = {"podSelector": {"matchLabels": selector(cluster, managed_redis.COMPONENT)}}
        rules.append({"to": [redis], "ports": _tcp(connections.REDIS_PORT)})
    ports = policies.broker_ports if policies.broker_ports is not None else sorted(set(_ports(cluster.spec)))
    if ports:
        rules.append({"ports": _tcp(*ports)})
    return rules


def _ports(spec: CeleryClusterSpec) -> Iterator[int]:
    backend = connections.result_backend(spec)
    yield from _ports_of(connections.broker(spec))
    if backend is None:
        yield from USUAL_PORTS  # the application's own, which nobody here knows
    else:
        yield from _ports_of(backend)


def _ports_of(connection: Connection) -> Iterator[int]:
    if connection.managed_database is not None or connection.disabled:
        return
    if connection.scheme == connections.SENTINEL:
        # The Sentinels name Redis servers, wherever those listen.
        yield from USUAL_PORTS
    if connection.parts is not None:
        port = connection.parts.port
        yield from (port,) if port is not None else _usual(connection.scheme)
    elif connection.url is not None:
        scheme = connection.url.partition("://")[0]
        for address in connection.url.split(";"):
            # Further servers of memcached, and the settings of azureblockblob, have no scheme of their own.
            yield from _ports_of_url(address if "://" in address else f"{scheme}://{address}")
    else:
        yield from USUAL_PORTS


def _ports_of_url(address: str) -> tuple[int, ...]:
    """The port that a URL names, else that of its scheme; one that cannot be read is the pod's to complain about."""
    try:
        port = urlsplit(address).port
    except ValueError:
        port = None
    return (port,) if port is not None else _usual(address.partition("://")[0])


def _usual(scheme: str) -> tuple[int, ...]:
    """The ports of a scheme such as `redis`, `db+postgresql` or `postgresql+psycopg`."""
    words = scheme.removeprefix("db+").removeprefix("cache+").split("+")
    return next((_PORTS[word] for word in words if word in _PORTS), USUAL_PORTS)


def _who_opens_flower(spec: CeleryClusterSpec, settings: Flower) -> Rule:
    """Everybody, where something outside of the namespace reaches it: Ingress, Gateway or (where Flower asks who comes)
    Prometheus."""
    service = settings.service.type if settings.service is not None else None
    # Prometheus shares the port with the pages, and those may be opened by anybody where Flower itself asks nobody.
    asks = settings.auth is not None and not settings.auth.external
    scraped = spec.monitoring is not None and asks
    outside = settings.ingress or settings.http_route or scraped or service in ("NodePort", "LoadBalancer")
    rule: Rule = {"ports": _tcp(flower.PORT_NAME)}
    return rule if outside else {"from": [{"podSelector": {}}], **rule}


def _flowers_own(spec: CeleryClusterSpec, settings: Flower) -> Iterator[Rule]:
    """RabbitMQ's management API, and who knows the people that log in."""
    management = spec.broker.management
    if management is not None:
        yield {"ports": _tcp(*(_MANAGEMENT if management.url is None else _ports_of_url(management.url)))}
    if settings.auth is not None and settings.auth.oauth is not None:
        yield {"ports": _tcp(_HTTPS)}


def _tcp(*ports: int | str) -> list[dict[str, Any]]:
    """Numbers, or names that the pods' containers give their ports."""
    return [{"protocol": "TCP", "port": port} for port in ports]
