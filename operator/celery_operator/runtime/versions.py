"""Which flags and settings fit the Celery, kombu and redis-py that are really in the image: one table.

Sources: Celery's and kombu's changelogs, and runs of 5.3.6, 5.4.0, 5.5.3, 5.6.3 and 5.7.0.
"""

from __future__ import annotations

import logging
import platform
import re
import ssl
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .environment import Settings
from .failures import StartError

logger = logging.getLogger("celery.operator")

Version = Tuple[int, ...]

OLDEST_CELERY: Version = (5, 3)
REDIS_SCHEMES = ("redis", "rediss", "sentinel", "redis+socket")
PACKAGES = ("celery", "kombu", "redis", "billiard")


@dataclass(frozen=True)
class Installed:
    """Version texts by package; None where a package is missing."""

    celery: Optional[str] = None
    kombu: Optional[str] = None
    redis: Optional[str] = None
    billiard: Optional[str] = None

    def number(self, package: str) -> Version:
        """``(5, 7, 0)``; ``()`` for a missing package, which is older than everything."""
        text = getattr(self, package)
        return parse(text) if text else ()

    def as_dict(self) -> Dict[str, Optional[str]]:
        """For /status, with Python's version."""
        found: Dict[str, Optional[str]] = {package: getattr(self, package) for package in PACKAGES}
        found["python"] = platform.python_version()
        return found


@dataclass(frozen=True)
class Choice:
    """What the table chose.

    ``flags`` go to the command line. ``forced`` settings win over the application, ``defaults`` apply where
    neither the application nor spec.config sets the key, ``merged`` fill missing keys of a dict setting.
    """

    flags: Tuple[str, ...] = ()
    forced: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    merged: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def parse(text: str) -> Version:
    """``"5.7.0rc1"`` -> ``(5, 7, 0)``: leading numbers only."""
    numbers: List[int] = []
    for part in text.split("."):
        match = re.match(r"\d+", part)
        if match is None:
            break
        numbers.append(int(match.group()))
        if match.group() != part:
            break
    return tuple(numbers)


def installed() -> Installed:
    """Read the packages' metadata; imports none of them."""
    from importlib.metadata import PackageNotFoundError, version

    found: Dict[str, Optional[str]] = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return Installed(**found)


def scheme(address: Optional[str]) -> str:
    """The URL's scheme, empty when there is no URL."""
    return (address or "").partition("://")[0].lower()


def check(versions: Installed, broker_url: Optional[str]) -> None:
    """Raise StartError(UnsupportedVersion) for a Celery that is too old or a kombu that refuses its redis-py."""
    if versions.number("celery") < OLDEST_CELERY:
        raise StartError(
            "UnsupportedVersion",
            "celery %s is installed, this operator needs 5.3 or newer; upgrade celery in the image" % versions.celery,
        )
    if scheme(broker_url) in REDIS_SCHEMES:
        _check_redis(versions)


def _check_redis(versions: Installed) -> None:
    """Ask kombu itself: it refuses a redis-py that is too old only when the worker connects, deep in a log."""
    from kombu.exceptions import VersionMismatch
    from kombu.transport import redis as redis_transport

    transport: Any = redis_transport

    if transport.redis is None:
        raise StartError(
            "StartFailed", "the broker is Redis, but the image has no package redis; install celery[redis]"
        )
    try:
        transport.Channel._get_client(SimpleNamespace(global_keyprefix=""))
    except VersionMismatch as error:
        raise StartError(
            "UnsupportedVersion",
            "celery %s with kombu %s and redis %s do not go together: %s Pin versions that were released together."
            % (versions.celery, versions.kombu, versions.redis, error),
        ) from error
    except Exception:
        # A private function of kombu's: whatever else happens in it says nothing about the versions.
        logger.debug("celery-operator: kombu could not be asked about its redis-py", exc_info=True)


def choose(versions: Installed, settings: Settings) -> Choice:
    """The table."""
    on_redis = scheme(settings.broker_url) in REDIS_SCHEMES
    flags: List[str] = []
    forced: Dict[str, Any] = {}
    defaults: Dict[str, Any] = {
        # Pods start before brokers do, and a broker that is away must not end the fleet (Celery: 100, then exit).
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
    }
    merged: Dict[str, Dict[str, Any]] = {}
    if on_redis:
        # Without them a publish or an acknowledgement on a half-open connection waits for ever.
        merged["broker_transport_options"] = {
            "socket_timeout": 30,
            "socket_keepalive": True,
            "health_check_interval": 25,
        }
    if scheme(settings.broker_url) == "rediss":
        # kombu checks no certificate unless told to. Not in the URL, as for the result backend: there it would
        # replace all of the application's own broker_use_ssl, its certificate authority included.
        defaults["broker_use_ssl"] = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    if settings.component == "worker":
        # 4 s kills children that start slowly under a small CPU limit, in a loop (celery#9781).
        defaults["worker_proc_alive_timeout"] = 30
        if settings.mingle is False:
            flags.append("--without-mingle")
        if settings.task_delivery == "AtLeastOnce":
            _at_least_once(versions, on_redis, forced, defaults)
    if settings.component == "beat" and settings.beat.timezone:
        forced["timezone"] = settings.beat.timezone
    return Choice(flags=tuple(flags), forced=forced, defaults=defaults, merged=merged)


def _at_least_once(versions: Installed, on_redis: bool, forced: Dict[str, Any], defaults: Dict[str, Any]) -> None:
    """Settings that make acks_late true. The visibility timeout and shutdown modes belong here too, later."""
    forced["task_acks_late"] = True
    defaults["worker_prefetch_multiplier"] = 1
    defaults["worker_cancel_long_running_tasks_on_connection_loss"] = True
    if versions.number("celery") >= (5, 7):
        # Bounded by max_retries; reject_on_worker_lost requeues a task that kills its child for ever.
        defaults["task_retry_on_worker_lost"] = True
    else:
        defaults["task_reject_on_worker_lost"] = True
    if on_redis and versions.number("celery") >= (5, 6):
        defaults["worker_disable_prefetch"] = True
