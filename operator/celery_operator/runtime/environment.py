"""What the operator tells the pod: CELERY_OPERATOR_SETTINGS and the broker's and backend's addresses.

Addresses arrive whole or in parts; parts are percent-encoded and composed here, because `$(VAR)` in a pod's
environment cannot encode a password.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, MutableMapping, Optional, Tuple
from urllib.parse import quote

from . import PROTOCOL
from .failures import StartError, redactor

SETTINGS = "CELERY_OPERATOR_SETTINGS"
MINGLE = "CELERY_OPERATOR_MINGLE"
"""``on`` or ``off``, in a variable of its own: see the operator's launch settings."""

BROKER = "CELERY_OPERATOR_BROKER"
RESULT_BACKEND = "CELERY_OPERATOR_RESULT_BACKEND"
DISABLED = "disabled://"

DEFAULT_GRACE_SECONDS = 300.0
"""When an operator of another version says nothing."""

DEFAULT_VISIBILITY_SECONDS = 3600.0
"""kombu's own."""

DEFAULT_PROBE_PORT = 9540


@dataclass(frozen=True)
class ScheduleItem:
    """One entry of spec.beat.schedule; exactly one of ``crontab`` and ``every_seconds``."""

    name: str
    task: str
    crontab: Optional[str] = None
    every_seconds: Optional[float] = None
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
    broker_url: Optional[str] = None
    result_backend: Optional[str] = None


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
    backend = url(RESULT_BACKEND, environ)
    if environ.get(RESULT_BACKEND + "_DISABLED") == "1":
        backend = DISABLED
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
        broker_url=url(BROKER, environ),
        result_backend=with_certificate_check(backend) if backend else None,
    )


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
                args=tuple(item.get("args") or ()),
                kwargs=dict(item.get("kwargs") or {}),
                queue=item.get("queue"),
                enabled=item.get("enabled", True) is not False,
            )
            for item in raw.get("schedule") or ()
        ),
    )


def url(prefix: str, environ: Mapping[str, str]) -> Optional[str]:
    """The URL given whole as ``<prefix>_URL`` or as ``<prefix>_PARTS`` with username and password beside it."""
    whole = environ.get(prefix + "_URL")
    parts = environ.get(prefix + "_PARTS")
    username = environ.get(prefix + "_USERNAME") or ""
    password = environ.get(prefix + "_PASSWORD") or ""
    redactor.add(_spellings(password))
    if whole:
        redactor.add([whole])
        redactor.add(_spellings(password_of(whole)))
        return whole
    if not parts:
        return None
    composed = compose(json.loads(parts), username, password)
    redactor.add([composed] if password else [])
    return composed


def _spellings(password: str) -> List[str]:
    return [password, quote(password, safe="")] if password else []


def password_of(address: str) -> str:
    """The password as it stands in a URL, still encoded; empty when there is none."""
    authority = address.partition("://")[2].split("/", 1)[0]
    credentials, at, _ = authority.rpartition("@")
    return credentials.partition(":")[2] if at else ""


def compose(parts: Mapping[str, Any], username: str, password: str) -> str:
    """``scheme://username:password@host:port/database`` with every variable part percent-encoded.

    ``database`` is Redis' number or RabbitMQ's virtual host (also accepted as ``vhost``): the default virtual
    host ``/`` becomes ``%2F``.
    """
    host = str(parts["host"])
    authority = "[%s]" % host if ":" in host and not host.startswith("[") else host
    if parts.get("port"):
        authority += ":%d" % int(parts["port"])
    if username or password:
        secret = ":" + quote(password, safe="") if password else ""
        authority = "%s%s@%s" % (quote(username, safe=""), secret, authority)
    database = parts.get("database")
    if database is None:
        database = parts.get("vhost")
    path = "" if database is None or database == "" else "/" + quote(str(database), safe="")
    return "%s://%s%s" % (parts["scheme"], authority, path)


def with_certificate_check(address: str) -> str:
    """Celery's Redis backend refuses a rediss:// URL that does not say whether certificates are checked."""
    if address.startswith("rediss://") and "ssl_cert_reqs" not in address:
        return address + ("&" if "?" in address else "?") + "ssl_cert_reqs=CERT_REQUIRED"
    return address


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
    for prefix in (BROKER, RESULT_BACKEND):
        for part in ("_URL", "_USERNAME", "_PASSWORD"):
            environ.pop(prefix + part, None)
