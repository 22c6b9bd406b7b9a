"""The broker's URL as the operator itself can use it: read from the spec or from a Secret, never stored."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import connections, launch_settings, names
from celery_operator.kube.client import KubeClient
from celery_operator.kube.objects import SECRET, SERVICE, Manifest, ObjectRef

_EXCHANGE_SETTING: Final = "event_exchange"
_DEFAULT_EXCHANGE: Final = "celeryev"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """All that leads to one broker's queues. Equal addresses share one connection, so every part counts."""

    url: str = field(repr=False)
    """As ``broker_url`` of Celery; it may hold a password."""
    management_url: str | None = field(default=None, repr=False)
    """RabbitMQ's management API, its account in the URL."""
    options: str = field(default="{}", repr=False)
    """``broker_transport_options`` as JSON; options that nobody here knows are ignored."""
    event_exchange: str = _DEFAULT_EXCHANGE
    """``event_exchange`` of Celery, where heartbeats go."""


async def resolve_all(client: KubeClient, cluster: CeleryCluster) -> BrokerAddress | None:
    """All that leads to the cluster's queues; None while the broker's URL cannot be read.

    A management URL that cannot be read is left out: what waits can be read without it.
    """
    url = await resolve(client, cluster)
    if url is None:
        return None
    config = cluster.spec.config or {}
    return BrokerAddress(
        url=url,
        management_url=await _management_url(client, cluster),
        options=json.dumps(launch_settings.transport_options(cluster.spec), sort_keys=True),
        event_exchange=str(config.get(_EXCHANGE_SETTING) or _DEFAULT_EXCHANGE),
    )


async def _management_url(client: KubeClient, cluster: CeleryCluster) -> str | None:
    management, namespace = cluster.spec.broker.management, cluster.metadata.namespace
    if management is None:
        return None
    url = management.url
    if management.url_from is not None:
        reference = management.url_from.secret_key_ref
        secret = await client.get(ObjectRef(kind=SECRET, namespace=namespace, name=reference.name))
        url = _value(secret, reference.key)
    return None if url is None else from_namespace(url, namespace)


async def resolve(client: KubeClient, cluster: CeleryCluster) -> str | None:
    """The URL; None while its Secret, its key or the managed Redis' Service does not exist."""
    connection = connections.broker(cluster.spec)
    namespace = cluster.metadata.namespace
    if connection.managed_database is not None:
        return await _managed_url(client, namespace, names.redis(cluster.metadata.name), connection.managed_database)
    if connection.url_from is not None:
        reference = connection.url_from
        secret = await client.get(ObjectRef(kind=SECRET, namespace=namespace, name=reference.name))
        url = _value(secret, reference.key)
    else:
        url = connection.url
    return None if url is None else from_namespace(url, namespace)


def from_namespace(url: str, namespace: str) -> str:
    """The URL as it is meant in that namespace: a host without dots is a Service there, not beside the operator.

    Several URLs stand between semicolons, as Celery has it.
    """
    if ";" in url:
        return ";".join(from_namespace(part, namespace) for part in url.split(";"))
    parts = urlsplit(url)
    host = parts.hostname
    if not host or "." in host or ":" in host or host == "localhost":
        return url
    user_info, at, address = parts.netloc.rpartition("@")
    port = address[len(host) :]
    return urlunsplit(parts._replace(netloc=f"{user_info}{at}{host}.{namespace}.svc{port}"))


async def _managed_url(client: KubeClient, namespace: str, name: str, database: str) -> str | None:
    """By the Service's address, not its name: an operator outside the cluster has no cluster DNS."""
    secret = await client.get(ObjectRef(kind=SECRET, namespace=namespace, name=name))
    service = await client.get(ObjectRef(kind=SERVICE, namespace=namespace, name=name))
    password = _value(secret, connections.PASSWORD_KEY)
    address = ((service or {}).get("spec") or {}).get("clusterIP")
    if password is None or not address:
        return None
    host = f"[{address}]" if ":" in address else address
    return f"redis://:{quote(password, safe='')}@{host}:{connections.REDIS_PORT}/{database}"


def _value(secret: Manifest | None, key: str) -> str | None:
    """The text of a Secret's key; None where there is none."""
    encoded = ((secret or {}).get("data") or {}).get(key)
    return None if encoded is None else base64.b64decode(encoded).decode("utf-8", "replace").strip()
