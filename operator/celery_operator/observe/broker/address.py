"""The broker's URL as the operator itself can use it: read from the spec or from a Secret, never stored."""

from __future__ import annotations

import base64
from urllib.parse import quote, urlsplit, urlunsplit

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import connections, names
from celery_operator.kube.client import KubeClient
from celery_operator.kube.objects import SECRET, SERVICE, Manifest, ObjectRef


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
    """The URL as it is meant in that namespace: a host without dots is a Service there, not beside the operator."""
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
