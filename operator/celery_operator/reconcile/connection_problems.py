"""Whether what a spec says of broker and result backend goes together: said once, and of use to Celery."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from celery_operator.api.broker import Broker, ResultBackend
from celery_operator.api.cluster import CeleryCluster, CeleryClusterSpec
from celery_operator.api.connection import AMQP_SCHEMES, SecretSetting
from celery_operator.desired import connections, launch_settings
from celery_operator.reconcile.claimed_names import OWNED_SETTINGS

_WITHOUT_RESULTS: Final = (*AMQP_SCHEMES, "sqs")
"""Schemes of brokers that Celery 5 keeps no results in."""
_READ_AS_URLS: Final = (*AMQP_SCHEMES, "redis", "rediss", "sentinel")
"""Others have rules of their own: several hosts (mongodb), a key with slashes (azureservicebus)."""
_MASTER: Final = "master_name"
_OPTIONS: Final = {
    launch_settings.TRANSPORT_OPTIONS: "spec.broker.transportOptionsFrom",
    launch_settings.BACKEND_OPTIONS: "spec.resultBackend.transportOptionsFrom",
}
"""Settings that are no text, so that no Secret's key can be their value, and the field for what is secret in them."""


def problems(cluster: CeleryCluster) -> Iterator[str]:
    """What no worker could start with, or what would silently lose to something else."""
    spec = cluster.spec
    yield from _no_results(spec)
    yield from _said_twice(spec)
    yield from _secret_config(spec)
    for path, source in (("spec.broker", spec.broker), ("spec.resultBackend", spec.result_backend)):
        if source is not None:
            yield from _unreadable(path, source)
            yield from _options(path, source)
    yield from _no_master(spec)


def _no_results(spec: CeleryClusterSpec) -> Iterator[str]:
    backend, connection = spec.result_backend, connections.result_backend(spec)
    if backend is None or connection is None or connection.scheme not in _WITHOUT_RESULTS:
        return
    path = "spec.resultBackend.sameAsBroker" if backend.same_as_broker else "spec.resultBackend"
    yield (
        f"{path}: a broker of type {connection.scheme!r} keeps no results; set resultBackend.url to rpc:// or to "
        "another store"
    )


def _said_twice(spec: CeleryClusterSpec) -> Iterator[str]:
    """Settings of spec.config beside the field that stands for the same."""
    backend = spec.result_backend or ResultBackend()
    both_tls = backend.tls is not None or (backend.same_as_broker is True and spec.broker.tls is not None)
    fields = (
        ("spec.broker.transportOptions", spec.broker.transport_options, {launch_settings.TRANSPORT_OPTIONS}),
        ("spec.broker.tls", spec.broker.tls, {"broker_use_ssl"}),
        ("spec.resultBackend.transportOptions", backend.transport_options, {launch_settings.BACKEND_OPTIONS}),
        ("spec.resultBackend.expires", backend.expires, {launch_settings.RESULT_EXPIRES, "task_result_expires"}),
        ("spec.resultBackend.tls", both_tls or None, {"redis_backend_use_ssl"}),
    )
    for field, value, settings in fields:
        for name in spec.config or {} if value is not None else ():
            if _plain(name) in settings:
                yield f"spec.config[{name}]: {field} is set too, and stands for the same setting; move everything there"


def _secret_config(spec: CeleryClusterSpec) -> Iterator[str]:
    known = {_plain(name): name for name in spec.config or {}}
    for setting in spec.config_from or []:
        path, plain = f"spec.configFrom[{setting.name}]", _plain(setting.name)
        lower = setting.name.lower().replace(".", "_")
        field = OWNED_SETTINGS.get(lower) or OWNED_SETTINGS.get(plain)
        if field is not None:
            yield f"{path}: use {field} instead; the operator sets this Celery setting"
        elif plain in _OPTIONS:
            yield f"{path}: this setting is a map; use {_OPTIONS[plain]} for what is secret in it"
        elif plain in known:
            yield f"{path}: spec.config[{known[plain]}] says the same setting; remove one of them"


def _unreadable(path: str, source: Broker | ResultBackend) -> Iterator[str]:
    for address in (source.url or "").split(";"):
        scheme, found, _ = address.partition("://")
        if found and scheme not in _READ_AS_URLS:
            continue
        try:
            urlsplit(address).port  # noqa: B018 - it is read from the text now
        except ValueError:
            # The error's own text may quote a part of the password.
            yield (
                f"{path}.url: host and port cannot be read from this URL; write it as "
                "scheme://user:password@host:port/path, with the password percent-encoded"
            )


def _options(path: str, source: Broker | ResultBackend) -> Iterator[str]:
    secret = list(source.transport_options_from or ())
    for option in secret:
        where = f"{path}.transportOptionsFrom[{option.name}]"
        if any(_below(option.name, other.name) for other in secret):
            yield f"{where}: another entry stands for a map that holds this one; remove one of them"
        elif not _free(source.transport_options, option.name.split(".")):
            yield f"{where}: {path}.transportOptions has a value there already; remove it"


def _below(name: str, other: str) -> bool:
    return name.startswith(f"{other}.")


def _free(options: Any, names: Collection[str]) -> bool:
    """Whether a value can be put at the end of ``names`` without replacing anything."""
    for name in names:
        if options is None:
            return True
        if not isinstance(options, Mapping):
            return False
        options = options.get(name)
    return options is None


def _no_master(spec: CeleryClusterSpec) -> Iterator[str]:
    """Options of the spec replace the application's, so the master's name must be among them."""
    backend = spec.result_backend
    own = backend is not None and (backend.transport_options is not None or not backend.same_as_broker)
    sources: list[tuple[str, connections.Connection | None, Broker | ResultBackend | None]] = [
        ("spec.broker", connections.broker(spec), spec.broker),
        ("spec.resultBackend", connections.result_backend(spec), backend if own else None),
    ]
    for path, connection, source in sources:
        if connection is None or source is None or connection.scheme != connections.SENTINEL:
            continue
        options, secret = source.transport_options, source.transport_options_from
        if (options is None and not secret) or _MASTER in {*(options or {}), *_names(secret)}:
            continue
        yield f"{path}.transportOptions: Redis Sentinel needs the name of its master; add {_MASTER}"


def _names(settings: Collection[SecretSetting] | None) -> list[str]:
    return [setting.name for setting in settings or ()]


def _plain(name: str) -> str:
    """The name of a setting in lower case, without the prefix that Django projects give it."""
    return name.lower().replace(".", "_").removeprefix("celery_")
