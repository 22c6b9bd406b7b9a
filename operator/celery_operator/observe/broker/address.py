"""All that leads to a broker, as the operator itself can use it: read from the spec and from Secrets, never stored."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

from celery_operator.api.cluster import CeleryCluster
from celery_operator.api.connection import Parts, SecretSetting
from celery_operator.api.pod import RequiredSecretKey, SecretKeySource
from celery_operator.api.tls import Tls
from celery_operator.desired import connections, launch_settings, names, tls_files
from celery_operator.kube.client import KubeClient
from celery_operator.kube.objects import SECRET, SERVICE, Manifest, ObjectRef
from celery_operator.observe.broker.certificates import Certificates
from celery_operator.observe.broker.composed import BindingError, url_of, url_of_binding
from celery_operator.observe.broker.depth import Problem

_REDIS: Final = ("redis", "rediss", connections.SENTINEL)
_EXCHANGE_SETTING: Final = "event_exchange"
_DEFAULT_EXCHANGE: Final = "celeryev"
_UNREADABLE: Final = (
    "host and port cannot be read from the broker's address; write it as scheme://user:password@host:port/path, with "
    "the password percent-encoded"
)
"""Not the error's own text, which may quote a part of the password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """An account of AWS."""

    id: str = field(repr=False)
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """All that leads to one broker's queues. Equal addresses share one connection, so every part counts."""

    url: str = field(repr=False)
    """As ``broker_url`` of Celery; it may hold a password. Empty where there is a problem."""
    management_url: str | None = field(default=None, repr=False)
    """RabbitMQ's management API, its account in the URL."""
    options: str = field(default="{}", repr=False)
    """``broker_transport_options`` as JSON; options that nobody here knows are ignored."""
    event_exchange: str = _DEFAULT_EXCHANGE
    """``event_exchange`` of Celery, where heartbeats go."""
    certificates: Certificates | None = None
    """For TLS; None where the URL alone says how."""
    access_key: AccessKey | None = None
    """For Amazon SQS; it counts before the account that the URL names."""
    problem: Problem | None = None
    """Why there is no URL, although everything is there that the spec names."""


async def resolve(client: KubeClient, cluster: CeleryCluster) -> BrokerAddress | None:
    """All but the management API; None while a Secret, its key or the managed Redis' Service does not exist."""
    options = launch_settings.transport_options(cluster.spec)
    return await _resolve(client, cluster, connections.broker(cluster.spec), options, "spec.broker")


async def resolve_results(client: KubeClient, cluster: CeleryCluster) -> BrokerAddress | None:
    """The same of the result backend, which is no broker; None where the spec names none."""
    connection = connections.result_backend(cluster.spec)
    if connection is None or connection.disabled:
        return None
    options = launch_settings.transport_options(cluster.spec, launch_settings.BACKEND_OPTIONS)
    return await _resolve(client, cluster, connection, options, "spec.resultBackend", ours=_REDIS)


async def _resolve(
    client: KubeClient,
    cluster: CeleryCluster,
    connection: connections.Connection,
    options: dict[str, Any],
    path: str,
    *,
    ours: Collection[str] | None = None,
) -> BrokerAddress | None:
    """``ours``: schemes of the addresses that we read; of another one no more is told than its scheme."""
    secrets = _Secrets(client, cluster.metadata.namespace)
    config = cluster.spec.config or {}
    try:
        url = await _url(secrets, cluster, connection)
        scheme, separator, _ = url.partition("://")
        if separator and ours is not None and scheme not in ours:
            return BrokerAddress(url=f"{scheme}://")
        return BrokerAddress(
            url=from_namespace(url, cluster.metadata.namespace),
            options=json.dumps(await _options(secrets, options, connection.secret_options), sort_keys=True),
            event_exchange=str(config.get(_EXCHANGE_SETTING) or _DEFAULT_EXCHANGE),
            certificates=await _certificates(secrets, connection.tls),
            access_key=await _access_key(secrets, connection),
        )
    except _MissingError:
        return None
    except BindingError as error:
        message = f"the Secret of {path}.serviceBinding cannot be used: {error}; correct it"
        return BrokerAddress(url="", problem=Problem(reason="BindingInvalid", message=message))
    except ValueError:
        return BrokerAddress(url="", problem=Problem(reason="AddressInvalid", message=_UNREADABLE))


async def resolve_all(client: KubeClient, cluster: CeleryCluster) -> BrokerAddress | None:
    """All that leads to the cluster's queues; None while the broker's address cannot be read.

    A management URL that cannot be read is left out: what waits can be read without it.
    """
    found, management = await resolve(client, cluster), cluster.spec.broker.management
    if found is None or management is None:
        return found
    url, secrets = management.url, _Secrets(client, cluster.metadata.namespace)
    try:
        if management.url_from is not None:
            url = (await secrets.text(management.url_from.secret_key_ref)).strip()
        return replace(found, management_url=from_namespace(url or "", cluster.metadata.namespace))
    except (_MissingError, ValueError):
        return found


class _MissingError(Exception):
    """A Secret, or a key of one, that does not exist (yet)."""


class _Secrets:
    """Secrets of one namespace, each asked for once."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self.client = client
        self.namespace = namespace
        self._found: dict[str, Manifest | None] = {}

    async def value(self, name: str, key: str) -> str | None:
        """The text of a key as the launcher reads it, without a line break at its end; None where there is none."""
        if name not in self._found:
            self._found[name] = await self.client.get(ObjectRef(kind=SECRET, namespace=self.namespace, name=name))
        encoded = ((self._found[name] or {}).get("data") or {}).get(key)
        return None if encoded is None else base64.b64decode(encoded).decode("utf-8", "replace").rstrip("\r\n")

    async def text(self, reference: RequiredSecretKey) -> str:
        """The same of a key that must be there. Raises _MissingError."""
        found = await self.value(reference.name, reference.key)
        if found is None:
            raise _MissingError(reference.name)
        return found

    async def optional(self, source: SecretKeySource | None) -> str | None:
        """The same of a field that may be absent from the spec."""
        return None if source is None else await self.text(source.secret_key_ref)


async def _url(secrets: _Secrets, cluster: CeleryCluster, connection: connections.Connection) -> str:
    if connection.managed_database is not None:
        return await _managed_url(secrets, names.redis(cluster.metadata.name), connection.managed_database)
    if connection.parts is not None:
        return await _url_of_parts(secrets, connection.parts)
    if connection.binding is not None:
        found = {key: await secrets.value(connection.binding, key) for key in connections.BINDING_KEYS}
        if found[connections.BINDING_TYPE] is None:
            raise _MissingError(connection.binding)
        known = {key: value for key, value in found.items() if value is not None}
        return url_of_binding(known, tls=connection.tls is not None)
    if connection.url_from is not None:
        return (await secrets.text(connection.url_from)).strip()
    return connection.url or ""


async def _url_of_parts(secrets: _Secrets, parts: Parts) -> str:
    username = parts.username or await secrets.optional(parts.username_from)
    password = await secrets.optional(parts.password_from)
    return url_of(connections.plain_parts(parts), username or "", password or "")


async def _options(secrets: _Secrets, plain: dict[str, Any], secret_options: Iterable[SecretSetting]) -> dict[str, Any]:
    """The transport options with those from Secrets: a dot in a name goes one level down."""
    out = plain
    for option in secret_options:
        out = _set(out, option.name.split("."), await secrets.text(option.secret_key_ref))
    return out


def _set(options: Any, path: list[str], value: str) -> dict[str, Any]:
    """A copy with the value at the end of the path; what stands in its way is replaced (the launcher refuses it)."""
    own = dict(options) if isinstance(options, dict) else {}
    name, below = path[0], path[1:]
    own[name] = _set(own.get(name), below, value) if below else value
    return own


async def _certificates(secrets: _Secrets, tls: Tls | None) -> Certificates | None:
    if tls is None:
        return None
    found = {name: await secrets.text(reference) for name, _, reference in tls_files.keys(tls)}
    return Certificates(
        ca=found.get(tls_files.CA), certificate=found.get(tls_files.CERTIFICATE), key=found.get(tls_files.KEY)
    )


async def _access_key(secrets: _Secrets, connection: connections.Connection) -> AccessKey | None:
    found = {name: await secrets.text(reference) for name, _, reference in connections.access_key(connection)}
    if not found:
        return None
    return AccessKey(id=found[connections.ACCESS_KEY_ID], secret=found[connections.SECRET_ACCESS_KEY])


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


async def _managed_url(secrets: _Secrets, name: str, database: str) -> str:
    """By the Service's address, not its name: an operator outside the cluster has no cluster DNS."""
    password = await secrets.value(name, connections.PASSWORD_KEY)
    service = await secrets.client.get(ObjectRef(kind=SERVICE, namespace=secrets.namespace, name=name))
    address = ((service or {}).get("spec") or {}).get("clusterIP")
    if password is None or not address:
        raise _MissingError(name)
    host = f"[{address}]" if ":" in address else address
    return f"redis://:{quote(password, safe='')}@{host}:{connections.REDIS_PORT}/{database}"
