"""URLs from their parts and from service bindings, letter for letter as the launcher makes them in the pods.

The launcher's own code cannot be used: it is text for other processes (see runtime/addresses.py, and the test that
compares the two).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

_BINDINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "rabbitmq": ("amqp", "amqps"),
    "redis": ("redis", "rediss", "sentinel"),
}
"""By the type of a service binding: the scheme without TLS, the one with it, and others that its URL may have."""
_AMQPS_PORT: Final = "5671"


class BindingError(ValueError):
    """A service binding that leads nowhere; the text says why, and holds no value of the Secret."""


def url_of(parts: Mapping[str, Any], username: str, password: str) -> str:
    """``scheme://username:password@host:port/database`` with every variable part percent-encoded.

    ``parts``: scheme and host, and perhaps port, vhost or database.
    """
    host = str(parts["host"])
    authority = f"[{host}]" if ":" in host and not host.startswith("[") else host
    if parts.get("port"):
        authority += f":{int(parts['port'])}"
    database = parts.get("database") or parts.get("vhost")
    path = "" if database is None else "/" + quote(str(database), safe="")
    return f"{parts['scheme']}://{_account(username, password)}{authority}{path}"


def url_of_binding(binding: Mapping[str, str], *, tls: bool) -> str:
    """The URL that the keys of a service binding's Secret say; an absent key counts as an empty one.

    ``tls``: certificates are set, so TLS is wanted. Raises BindingError.
    """
    schemes = _BINDINGS.get(binding.get("type", "").lower())
    if schemes is None:
        raise BindingError("its type is neither rabbitmq nor redis")
    username, password = binding.get("username", ""), binding.get("password", "")
    scheme, _, rest = binding.get("uri", "").partition("://")
    if scheme in schemes:
        account = "" if "@" in rest.split("/", 1)[0] else _account(username, password)
        return f"{scheme}://{account}{rest}"
    if not binding.get("host"):
        raise BindingError(f"it has no key host, and no key uri that begins with {schemes[0]}://")
    port = binding.get("port", "")
    if port and not port.isdigit():
        raise BindingError("its port is no number")
    secured = tls or (schemes[0] == "amqp" and port == _AMQPS_PORT)
    database = binding.get("virtual-host" if schemes[0] == "amqp" else "database") or None
    parts = {"scheme": schemes[1 if secured else 0], "host": binding["host"], "port": port, "database": database}
    return url_of(parts, username, password)


def _account(username: str, password: str) -> str:
    if not (username or password):
        return ""
    secret = ":" + quote(password, safe="") if password else ""
    return f"{quote(username, safe='')}{secret}@"
