"""Flower in a container of its own: the same broker, transport options and queues as the workers have.

Flower waits for replies of workers. On Redis such a client restores everybody's unacknowledged messages by its own
visibility timeout, so with kombu's default it would start long tasks a second time.
"""

from __future__ import annotations

import importlib.util
import os
from typing import Any, Dict, List, Optional, Tuple
from urllib.parse import unquote

from .addresses import text
from .environment import Settings
from .failures import StartError, redactor
from .versions import Installed

APPLICATION = "celery_operator_runtime.flower_application"
"""What ``-A`` names where Flower does not load the user's application."""

MANAGEMENT_URL = "CELERY_OPERATOR_MANAGEMENT_URL"
"""The address of spec.broker.management."""

_SECRETS = ("FLOWER_BASIC_AUTH", "FLOWER_COOKIE_SECRET", "FLOWER_OAUTH2_KEY", "FLOWER_OAUTH2_SECRET")
"""Texts of Secrets, at whose end `echo` may have left a line break."""

_SERVICE_LINKS = ("FLOWER_PORT",)
"""A Service called ``flower`` gives every container a variable of this name, and Flower takes it for an option."""


class FlowerState:
    """What the launcher fills in. Flower has probes of its own, so nothing is served from it."""

    def __init__(self, settings: Settings, versions: Installed) -> None:
        self.settings = settings
        self.versions = versions
        self.effective: Dict[str, Any] = {}
        self.warnings: List[str] = []


def prepare(settings: Settings, versions: Installed) -> FlowerState:
    """Check that there is a Flower to run. Raises StartError."""
    if importlib.util.find_spec("flower") is None:
        raise StartError(
            "StartFailed",
            "there is no Flower in the image; install the package flower, or remove spec.flower.image",
            exception="ModuleNotFoundError",
        )
    for name in _SERVICE_LINKS:
        if "://" in os.environ.get(name, ""):
            del os.environ[name]
    os.environ.update({name: text(os.environ[name]) for name in _SECRETS if name in os.environ})
    _check_accounts(os.environ.get("FLOWER_BASIC_AUTH"))
    _management_api(settings.broker_url)
    return FlowerState(settings, versions)


def _check_accounts(accounts: Optional[str]) -> None:
    """Flower splits them at commas and compares each with what a browser sends, an empty one with nothing at all."""
    if accounts is None or all(
        user and found for user, found, _ in (one.partition(":") for one in accounts.split(","))
    ):
        return
    raise StartError(
        "StartFailed",
        "the Secret of spec.flower.auth.basicFrom has to hold user:password, or several with commas between them and "
        "none in a password; Flower would let in whoever sends an empty account, or nobody",
    )


def _management_api(broker_url: Optional[str]) -> None:
    """Tell Flower where RabbitMQ's management API is: without it there are no queues on its page.

    An account that is the broker's own is left out: Flower then takes it from the broker's URL, and decodes it, which
    its HTTP client does not do with one in the address of the API (tornado/simple_httpclient.py).
    """
    address = os.environ.pop(MANAGEMENT_URL, "").rstrip("/")
    if not address:
        return
    redactor.add([address])
    scheme, _, rest = address.partition("://")
    if _account(address) == _account(broker_url or ""):
        rest = rest.rpartition("@")[2]
    path = "" if rest.endswith("/api") else "/api"
    os.environ["FLOWER_BROKER_API"] = "%s://%s%s/" % (scheme, rest, path)


def _account(address: str) -> Tuple[str, str]:
    """User and password of a URL, decoded."""
    authority = address.partition("://")[2].partition("/")[0]
    user, _, password = authority.rpartition("@")[0].partition(":")
    return unquote(user), unquote(password)
