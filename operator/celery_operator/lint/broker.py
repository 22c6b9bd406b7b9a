"""What kind of broker a CeleryCluster has, and which one it is: as far as its spec or the operator's readings tell."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote, urlsplit

from celery_operator.api.broker import Broker
from celery_operator.api.cluster import CeleryCluster

REDIS: Final = "redis"
RABBITMQ: Final = "amqp"

_KINDS: Final = {
    **dict.fromkeys(("redis", "rediss", "sentinel", "redis+socket"), REDIS),
    **dict.fromkeys(("amqp", "amqps", "pyamqp", "py-amqp", "librabbitmq"), RABBITMQ),
}
"""By URL scheme (kombu/transport/__init__.py)."""

_PORTS: Final = {REDIS: 6379, RABBITMQ: 5672}
_INNER: Final = {REDIS: "0", RABBITMQ: "/"}
"""The database and the virtual host where a URL names none."""
_CLUSTER_DOMAIN: Final = ".cluster.local"
"""What Kubernetes lets everybody leave out, as it does `.svc` and the namespace of a Service in one's own."""


def scheme(broker: Broker) -> str | None:
    """What its URL begins with; None where a Secret holds that."""
    if broker.redis is not None:
        return "redis"
    if broker.parts is not None:
        return broker.parts.scheme
    return None if broker.url is None else broker.url.partition("://")[0]


def kind_of(url_scheme: str | None) -> str | None:
    """REDIS, RABBITMQ, or the scheme itself for everything else; None where it is unknown."""
    return None if url_scheme is None else _KINDS.get(url_scheme, url_scheme)


def identity(cluster: CeleryCluster) -> str | None:
    """Equal for two CeleryClusters whose messages meet: the same server and database or virtual host.

    None where that cannot happen, or cannot be told: a Redis of the operator's own, several URLs. Credentials do not
    count. URLs in Secrets are the same when the Secret's key is.
    """
    broker, namespace = cluster.spec.broker, cluster.metadata.namespace
    if broker.url_from is not None:
        reference = broker.url_from.secret_key_ref
        return f"secret:{namespace}/{reference.name}/{reference.key}"
    if broker.service_binding is not None:
        return f"binding:{namespace}/{broker.service_binding.name}"
    if broker.parts is not None:
        parts = broker.parts
        inner = parts.vhost or (None if parts.database is None else str(parts.database))
        return _address(kind_of(parts.scheme), parts.host, parts.port, inner, namespace)
    if broker.url is None or ";" in broker.url:
        return None
    try:
        url = urlsplit(broker.url)
        port = url.port
    except ValueError:
        return None
    return _address(kind_of(url.scheme), url.hostname, port, unquote(url.path.removeprefix("/")) or None, namespace)


def _address(kind: str | None, host: str | None, port: int | None, inner: str | None, namespace: str) -> str | None:
    """`inner` is the database or the virtual host."""
    if kind not in (REDIS, RABBITMQ) or not host:
        return None
    host = host.removesuffix(_CLUSTER_DOMAIN)
    if "." not in host and ":" not in host and host != "localhost":
        host = f"{host}.{namespace}"
    host = host.removesuffix(".svc")
    return f"{kind}://{host}:{port or _PORTS[kind]}/{inner or _INNER[kind]}"


def kind(cluster: CeleryCluster, read_scheme: str | None) -> str | None:
    """REDIS, RABBITMQ or another scheme; ``read_scheme`` is what the operator's readings know of a Secret's URL."""
    return kind_of(scheme(cluster.spec.broker) or read_scheme)
