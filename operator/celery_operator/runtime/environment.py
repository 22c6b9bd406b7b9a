"""What the operator tells the pod: CELERY_OPERATOR_SETTINGS, the broker's and backend's addresses, and secrets."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, MutableMapping, Optional, Tuple

from . import PROTOCOL, secret_settings, tls
from .addresses import BROKER, RESULT_BACKEND, text, url, with_certificate_check
from .failures import StartError
from .secret_settings import CONFIG, SecretSettings

SETTINGS = "CELERY_OPERATOR_SETTINGS"
MINGLE = "CELERY_OPERATOR_MINGLE"
"""``on`` or ``off``, in a variable of its own: see the operator's launch settings."""

DISABLED = "disabled://"

_SECRET_PARTS = ("_URL", "_USERNAME", "_PASSWORD", "_BINDING_", "_SECRET_")
"""What follows a prefix in the names of variables that hold, or may hold, a secret."""

_WITHOUT_RESULTS = ("amqp", "amqps", "pyamqp")
"""Schemes of brokers that Celery 5 cannot keep results in."""

DEFAULT_GRACE_SECONDS = 300.0
"""When an operator of another version says nothing."""

DEFAULT_VISIBILITY_SECONDS = 3600.0
"""kombu's own."""

DEFAULT_PROBE_PORT = 9540


@dataclass(frozen=True)
class ScheduleItem:
    """One entry of spec.beat.schedule; exactly one of ``crontab``, ``every_seconds`` and ``solar``.

    ``solar``: event, latitude and longitude.
    """

    name: str
    task: str
    crontab: Optional[str] = None
    every_seconds: Optional[float] = None
    solar: Optional[Mapping[str, Any]] = None
    args: Tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    queue: Optional[str] = None
    enabled: bool = True


@dataclass(frozen=True)
class BeatSettings:
    """spec.beat: ``scheduler`` None means the application's own beat_scheduler."""

    scheduler: Optional[str] = None
    max_interval_seconds: Optional[float] = None
    timezone: Optional[str] = None
    schedule: Tuple[ScheduleItem, ...] = ()


@dataclass(frozen=True)
class Settings:
    """CELERY_OPERATOR_SETTINGS, and the URLs (None: the application's own).

    ``grace_period_seconds``: from SIGTERM to SIGKILL. ``concurrency``: ``auto``, or None when the command line says
    it. ``cpu_request``: cores. ``probe_port``: None means no HTTP server at all. ``pod_uid``: the operator's token.
    ``queues``: name, exchange, exchangeType, routingKey and arguments each.
    """

    cluster: str
    component: str
    group: Optional[str] = None
    config: Mapping[str, Any] = field(default_factory=dict)
    task_delivery: str = "AtMostOnce"
    max_task_duration_seconds: Optional[float] = None
    grace_period_seconds: float = DEFAULT_GRACE_SECONDS
    shutdown_mode: str = "Drain"
    visibility_timeout_seconds: float = DEFAULT_VISIBILITY_SECONDS
    pool: str = "prefork"
    concurrency: Optional[str] = None
    cpu_request: Optional[float] = None
    mingle: bool = True
    probe_port: Optional[int] = DEFAULT_PROBE_PORT
    pod_uid: str = ""
    beat: BeatSettings = BeatSettings()
    queues: Tuple[Mapping[str, Any], ...] = ()
    broker_url: Optional[str] = None
    broker_tls: Optional[tls.Files] = None
    result_backend: Optional[str] = None
    result_backend_tls: Optional[tls.Files] = None
    secrets: SecretSettings = field(default_factory=SecretSettings)


def read(component: str, environ: Mapping[str, str]) -> Settings:
    """The pod's settings. Raises StartError(ConfigInvalid) when they cannot be understood."""
    text = environ.get(SETTINGS)
    if not text:
        raise StartError("ConfigInvalid", "the environment variable %s is missing" % SETTINGS)
    try:
        raw = json.loads(text)
        if raw["protocol"] != PROTOCOL:
            raise StartError(
                "ConfigInvalid",
                "the settings speak protocol %s, this runtime speaks %d" % (raw["protocol"], PROTOCOL),
            )
        if raw["component"] != component:
            raise StartError(
                "ConfigInvalid", "the settings are for %s, the command says %s" % (raw["component"], component)
            )
        return _parse(raw, environ)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StartError(
            "ConfigInvalid", "%s cannot be read: %s: %s" % (SETTINGS, type(error).__name__, error)
        ) from error


def _parse(raw: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    broker_tls, backend_tls = tls.read(BROKER, environ), tls.read(RESULT_BACKEND, environ)
    broker = url(BROKER, environ, broker_tls is not None)
    tls.check("spec.broker", broker_tls, broker, tls.BROKER_SCHEMES)
    backend = _result_backend(environ, backend_tls)
    return Settings(
        cluster=str(raw["cluster"]),
        component=raw["component"],
        group=raw.get("group"),
        config=dict(raw.get("config") or {}),
        task_delivery=raw.get("taskDelivery") or "AtMostOnce",
        max_task_duration_seconds=raw.get("maxTaskDurationSeconds"),
        grace_period_seconds=float(raw.get("gracePeriodSeconds") or DEFAULT_GRACE_SECONDS),
        shutdown_mode=raw.get("shutdownMode") or "Drain",
        visibility_timeout_seconds=float(raw.get("visibilityTimeoutSeconds") or DEFAULT_VISIBILITY_SECONDS),
        pool=raw.get("pool") or "prefork",
        concurrency=raw.get("concurrency"),
        cpu_request=raw.get("cpuRequest"),
        mingle=environ.get(MINGLE) != "off",
        probe_port=_port(raw.get("probePort", DEFAULT_PROBE_PORT)),
        pod_uid=environ.get("POD_UID", ""),
        beat=_parse_beat(raw.get("beat") or {}),
        queues=tuple(raw.get("queues") or ()),
        broker_url=broker,
        broker_tls=broker_tls,
        result_backend=with_certificate_check(backend) if backend else None,
        result_backend_tls=backend_tls,
        secrets=secret_settings.read(environ),
    )


def _result_backend(environ: Mapping[str, str], files: Optional[tls.Files]) -> Optional[str]:
    if environ.get(RESULT_BACKEND + "_DISABLED") == "1":
        return DISABLED
    backend = url(RESULT_BACKEND, environ, files is not None)
    if backend and backend.partition("://")[0] in _WITHOUT_RESULTS:
        raise StartError(
            "ConfigInvalid",
            "RabbitMQ keeps no results for Celery; set spec.resultBackend.url to rpc:// or another store",
        )
    tls.check("spec.resultBackend", files, backend, tls.BACKEND_SCHEMES)
    return backend


def _port(value: Any) -> Optional[int]:
    return None if value is None else int(value)


def _parse_beat(raw: Mapping[str, Any]) -> BeatSettings:
    return BeatSettings(
        scheduler=raw.get("scheduler"),
        max_interval_seconds=raw.get("maxIntervalSeconds"),
        timezone=raw.get("timezone"),
        schedule=tuple(
            ScheduleItem(
                name=item["name"],
                task=item["task"],
                crontab=item.get("crontab"),
                every_seconds=item.get("everySeconds"),
                solar=item.get("solar"),
                args=tuple(item.get("args") or ()),
                kwargs=dict(item.get("kwargs") or {}),
                queue=item.get("queue"),
                enabled=item.get("enabled", True) is not False,
            )
            for item in raw.get("schedule") or ()
        ),
    )


_ACCESS_KEY = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
"""Of spec.broker.sqs.credentialsFrom. boto3 would sign with a line break at the end of either."""


def publish(settings: Settings, environ: MutableMapping[str, str]) -> None:
    """Set Celery's own variables, which beat an application's code, and take ours with secrets away.

    ``REMAP_SIGTERM`` is read while celery is imported: the mode of shutdown, not the image, says what SIGTERM does.
    """
    environ.pop("REMAP_SIGTERM", None)
    if settings.component == "worker" and settings.shutdown_mode == "Requeue":
        environ["REMAP_SIGTERM"] = "SIGQUIT"
    urls: Dict[str, Optional[str]] = {
        "CELERY_BROKER_URL": settings.broker_url,
        "CELERY_BROKER_READ_URL": settings.broker_url,
        "CELERY_BROKER_WRITE_URL": settings.broker_url,
        "CELERY_RESULT_BACKEND": settings.result_backend,
    }
    for name, value in urls.items():
        if value:
            environ[name] = value
    for name in _ACCESS_KEY:
        if name in environ:
            environ[name] = text(environ[name])
    secret = tuple(prefix + part for prefix in (BROKER, RESULT_BACKEND, CONFIG) for part in _SECRET_PARTS)
    for name in [name for name in environ if name.startswith(secret)]:
        del environ[name]
