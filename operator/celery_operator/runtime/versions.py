"""Which Celery, kombu, redis-py and billiard are really in the image, and whether they go together."""

from __future__ import annotations

import logging
import platform
import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Dict, List, Optional, Tuple

from .failures import StartError

logger = logging.getLogger("celery.operator")

Version = Tuple[int, ...]

OLDEST_CELERY: Version = (5, 3)
REDIS_SCHEMES = ("redis", "rediss", "sentinel", "redis+socket")
AMQP_SCHEMES = ("amqp", "amqps", "pyamqp", "py-amqp")
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


def check_celery(found: Installed) -> None:
    """Raise StartError(UnsupportedVersion) for a Celery that is too old; before it is imported, which may fail."""
    if found.celery is not None and found.number("celery") < OLDEST_CELERY:
        raise StartError(
            "UnsupportedVersion",
            "celery %s is installed, this operator needs 5.3 or newer; upgrade celery in the image" % found.celery,
        )


def check_broker(found: Installed, broker_url: Optional[str]) -> None:
    """Raise StartError for a kombu that refuses its redis-py (UnsupportedVersion), or a missing package."""
    if scheme(broker_url) in REDIS_SCHEMES:
        _check_redis(found)


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
