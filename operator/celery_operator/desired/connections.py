"""How URLs reach the pods: as Secret references or as parts that the launcher composes, never as arguments."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from celery_operator.api.broker import Broker, ResultBackend
from celery_operator.api.cluster import CeleryCluster, CeleryClusterSpec
from celery_operator.api.connection import Parts, SecretSetting
from celery_operator.api.pod import RequiredSecretKey
from celery_operator.api.sqs import SqsCredentials
from celery_operator.api.tls import Tls
from celery_operator.desired import names, tls_files

REDIS_PORT: Final = 6379
PASSWORD_KEY: Final = "password"  # noqa: S105 - the name of a key
BROKER_DATABASE: Final = "0"
RESULT_DATABASE: Final = "1"

SENTINEL: Final = "sentinel"
"""The URL scheme of Redis Sentinel."""
SENTINEL_OPTIONS: Final = ("master_name", "min_other_sentinels", "sentinel_kwargs")
"""Transport options without which no Sentinel can be asked, for tasks and results alike."""

BINDING_TYPE: Final = "type"
BINDING_KEYS: Final = (
    BINDING_TYPE,
    "uri",
    "host",
    "port",
    "username",
    "password",
    "virtual-host",
    "database",
)
"""Keys of a service binding (servicebinding.io, "Well-known Secret Entries") and those that RabbitMQ and Redis add."""

ACCESS_KEY_ID: Final = "AWS_ACCESS_KEY_ID"
SECRET_ACCESS_KEY: Final = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 - the name of a variable
"""What boto3 in the pods reads where an sqs:// URL names no account."""

_BROKER: Final = "CELERY_OPERATOR_BROKER"
_BACKEND: Final = "CELERY_OPERATOR_RESULT_BACKEND"
_CONFIG: Final = "CELERY_OPERATOR_CONFIG"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where to connect to, said in exactly one way, and what belongs to it."""

    url: str | None = None
    url_from: RequiredSecretKey | None = None
    parts: Parts | None = None
    binding: str | None = None
    """Name of a Secret in the service-binding shape."""
    managed_database: str | None = None
    """A database of the managed Redis."""
    disabled: bool = False
    tls: Tls | None = None
    folder: str = ""
    """Of its certificates."""
    secret_options: tuple[SecretSetting, ...] = ()
    """Transport options from Secrets, by their dotted names."""
    access_key: SqsCredentials | None = None
    """The account for Amazon SQS."""

    @property
    def scheme(self) -> str:
        """What the URL begins with; empty where it stands in a Secret, and for the managed Redis."""
        return self.parts.scheme if self.parts is not None else (self.url or "").partition("://")[0]


def broker(spec: CeleryClusterSpec) -> Connection:
    """The connection of the broker."""
    return _connection(spec.broker, BROKER_DATABASE)


def result_backend(spec: CeleryClusterSpec) -> Connection | None:
    """The connection of the result backend; None leaves the application its own."""
    backend = spec.result_backend
    if backend is None:
        return None
    if not backend.same_as_broker:
        return _connection(backend, RESULT_DATABASE)
    own = tuple(backend.transport_options_from or ())
    shared = (option for option in spec.broker.transport_options_from or () if _is_sentinels(option))
    return _connection(spec.broker, RESULT_DATABASE, own or tuple(shared))


def shares_server(spec: CeleryClusterSpec) -> bool:
    """Whether the results are kept by the broker's own server."""
    backend = spec.result_backend
    if backend is None:
        return False
    return backend.same_as_broker is True or (backend.redis is not None and spec.broker.redis is not None)


def wants_managed_redis(spec: CeleryClusterSpec) -> bool:
    """Whether the operator runs a Redis for this cluster: one serves both broker and results."""
    return spec.broker.redis is not None or (spec.result_backend is not None and spec.result_backend.redis is not None)


def environment(cluster: CeleryCluster, users: Collection[str] = ()) -> list[dict[str, Any]]:
    """The environment variables from which the launcher composes `CELERY_BROKER_URL` and `CELERY_RESULT_BACKEND`.

    With the access key for Amazon SQS, unless one is among the variables that the user sets: the halves of two accounts
    are none.
    """
    out = _variables(cluster, _BROKER, broker(cluster.spec))
    if not {ACCESS_KEY_ID, SECRET_ACCESS_KEY}.intersection(users):
        out += [_from_secret(name, reference) for name, _, reference in access_key(broker(cluster.spec))]
    backend = result_backend(cluster.spec)
    if backend is not None:
        out += _variables(cluster, _BACKEND, backend)
    return [*out, *_secret_settings(_CONFIG, "FROM", tuple(cluster.spec.config_from or ()))]


def access_key(connection: Connection) -> Iterator[tuple[str, str, RequiredSecretKey]]:
    """Variable, field and Secret's key of either half of the access key, where there is one."""
    found = connection.access_key
    if found is not None:
        yield ACCESS_KEY_ID, "accessKeyIdFrom", found.access_key_id_from.secret_key_ref
        yield SECRET_ACCESS_KEY, "secretAccessKeyFrom", found.secret_access_key_from.secret_key_ref


def volumes(spec: CeleryClusterSpec) -> list[dict[str, Any]]:
    """The volume with the certificates, where there are any."""
    return tls_files.volumes(_mounted(spec))


def volume_mounts(spec: CeleryClusterSpec) -> list[dict[str, Any]]:
    """Where the launcher's environment says that the certificates are."""
    return tls_files.mounts(_mounted(spec))


def redis_parts(cluster: CeleryCluster, database: str) -> dict[str, Any]:
    """The parts of the managed Redis' URL without its password."""
    return {
        "scheme": "redis",
        "host": names.redis(cluster.metadata.name),
        "port": REDIS_PORT,
        "database": database,
    }


def _connection(
    source: Broker | ResultBackend, database: str, options: tuple[SecretSetting, ...] | None = None
) -> Connection:
    secret = tuple(source.transport_options_from or ()) if options is None else options
    if source.redis is not None:
        return Connection(managed_database=database, secret_options=secret)
    return Connection(
        url=source.url,
        url_from=None if source.url_from is None else source.url_from.secret_key_ref,
        parts=source.parts,
        binding=None if source.service_binding is None else source.service_binding.name,
        disabled=isinstance(source, ResultBackend) and source.disabled is True,
        tls=source.tls,
        folder=_folder(source),
        secret_options=secret,
        access_key=None if isinstance(source, ResultBackend) or source.sqs is None else source.sqs.credentials_from,
    )


def _is_sentinels(option: SecretSetting) -> bool:
    return option.name.partition(".")[0] in SENTINEL_OPTIONS


def _mounted(spec: CeleryClusterSpec) -> dict[str, Tls]:
    """The certificates of each connection of its own, by the folder that its files are in."""
    out: dict[str, Tls] = {}
    for source in (spec.broker, spec.result_backend):
        if source is not None and source.tls is not None:
            out[_folder(source)] = source.tls
    return out


def _variables(cluster: CeleryCluster, prefix: str, connection: Connection) -> list[dict[str, Any]]:
    out = list(_address(cluster, prefix, connection))
    if connection.tls is not None:
        out.append({"name": f"{prefix}_TLS", "value": tls_files.paths(connection.folder, connection.tls)})
    return [*out, *_secret_settings(prefix, "OPTIONS", connection.secret_options)]


def _address(cluster: CeleryCluster, prefix: str, connection: Connection) -> Iterator[dict[str, Any]]:
    if connection.managed_database is not None:
        parts = json.dumps(redis_parts(cluster, connection.managed_database), sort_keys=True)
        secret = {"name": names.redis(cluster.metadata.name), "key": PASSWORD_KEY}
        yield {"name": f"{prefix}_PARTS", "value": escape(parts)}
        yield {"name": f"{prefix}_PASSWORD", "valueFrom": {"secretKeyRef": secret}}
    elif connection.parts is not None:
        yield from _parts(prefix, connection.parts)
    elif connection.binding is not None:
        yield from _binding(prefix, connection.binding)
    elif connection.url_from is not None:
        yield _from_secret(f"{prefix}_URL", connection.url_from)
    elif connection.disabled:
        yield {"name": f"{prefix}_DISABLED", "value": "1"}
    else:
        yield {"name": f"{prefix}_URL", "value": escape(connection.url or "")}


def _parts(prefix: str, parts: Parts) -> Iterator[dict[str, Any]]:
    yield {"name": f"{prefix}_PARTS", "value": escape(json.dumps(plain_parts(parts), sort_keys=True))}
    if parts.username is not None:
        yield {"name": f"{prefix}_USERNAME", "value": escape(parts.username)}
    if parts.username_from is not None:
        yield _from_secret(f"{prefix}_USERNAME", parts.username_from.secret_key_ref)
    if parts.password_from is not None:
        yield _from_secret(f"{prefix}_PASSWORD", parts.password_from.secret_key_ref)


def plain_parts(parts: Parts) -> dict[str, Any]:
    """What of a URL's parts is no secret, as the launcher reads it."""
    found = {
        "scheme": parts.scheme,
        "host": parts.host,
        "port": parts.port,
        "vhost": parts.vhost,
        "database": None if parts.database is None else str(parts.database),
    }
    return {name: value for name, value in found.items() if value is not None}


def _binding(prefix: str, name: str) -> Iterator[dict[str, Any]]:
    """Every key that may be there; without its type nobody knows what a service binding leads to."""
    for key in BINDING_KEYS:
        reference: dict[str, Any] = {"name": name, "key": key}
        if key != BINDING_TYPE:
            reference["optional"] = True
        variable = f"{prefix}_BINDING_{key.upper().replace('-', '_')}"
        yield {"name": variable, "valueFrom": {"secretKeyRef": reference}}


def _secret_settings(prefix: str, suffix: str, settings: tuple[SecretSetting, ...]) -> list[dict[str, Any]]:
    """The names in one variable, the values in one each, in the order of the names."""
    if not settings:
        return []
    listed = json.dumps([setting.name for setting in settings])
    values = [_from_secret(f"{prefix}_SECRET_{i}", setting.secret_key_ref) for i, setting in enumerate(settings)]
    return [{"name": f"{prefix}_{suffix}", "value": listed}, *values]


def _from_secret(variable: str, reference: RequiredSecretKey) -> dict[str, Any]:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": reference.name, "key": reference.key}}}


def _folder(source: Broker | ResultBackend) -> str:
    return "broker" if isinstance(source, Broker) else "result-backend"


def escape(value: str) -> str:
    """The value with every dollar sign made literal: the kubelet reads `$(NAME)` as a variable, `$$` as `$`."""
    return value.replace("$", "$$")
