"""Where the broker and the result backend are: a whole URL, its parts, or a service binding, composed in the pod.

Parts are percent-encoded here, because ``$(VAR)`` in a pod's environment cannot encode a password.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Iterator, List, Mapping, Optional
from urllib.parse import quote, unquote

from .failures import StartError, redactor

BROKER = "CELERY_OPERATOR_BROKER"
RESULT_BACKEND = "CELERY_OPERATOR_RESULT_BACKEND"
"""Prefixes of the variables that say where each of the two is."""

_LEAST_PIECE = 4
"""Characters of a piece of a password that is hidden for itself: shorter ones are parts of every other word."""

SENTINEL = "sentinel://"
"""What the URLs of Redis Sentinel begin with."""

BINDING_KEYS = ("type", "uri", "host", "port", "username", "password", "virtual-host", "database")
"""Keys of a service binding's Secret; the operator names a variable for each."""

_BINDINGS = {"rabbitmq": ("amqp", "amqps"), "redis": ("redis", "rediss", "sentinel")}
"""By the type of a service binding: the scheme without TLS, the one with it, and others that its URL may have."""

_AMQPS_PORT = "5671"
"""RabbitMQ's own port for TLS: its cluster operator writes it into the Secret, and no scheme."""


def url(prefix: str, environ: Mapping[str, str], tls: bool = False) -> Optional[str]:
    """The URL that the variables of ``prefix`` say; None when they say none. Raises StartError(ConfigInvalid).

    ``tls``: a service binding, which has no scheme, is asked with TLS.
    """
    username, password = text(environ.get(prefix + "_USERNAME")), text(environ.get(prefix + "_PASSWORD"))
    redactor.add(_spellings(password))
    address = text(environ.get(prefix + "_URL"))
    parts = environ.get(prefix + "_PARTS")
    if address:
        _hide_passwords(address)
    elif parts:
        address = compose(json.loads(parts), username, password)
    elif environ.get(prefix + "_BINDING_TYPE") is not None:
        address = bound({key: text(environ.get(variable(prefix, key))) for key in BINDING_KEYS}, tls)
    else:
        return None
    if password_of(address) or not parts:
        redactor.add([address])
    return completed(address)


def variable(prefix: str, key: str) -> str:
    """The variable that holds a service binding's key."""
    return "%s_BINDING_%s" % (prefix, key.upper().replace("-", "_"))


def text(value: Optional[str]) -> str:
    """A Secret's text without the line break at its end, which whoever wrote it with ``echo`` did not mean."""
    return (value or "").rstrip("\r\n")


def _spellings(password: str) -> List[str]:
    return list({password, quote(password, safe=""), unquote(password)}) if password else []


def _hide_passwords(address: str) -> None:
    """Let no password of one or of several URLs be printed; one with a semicolon in it counts as a whole, too."""
    for each in (address, *address.split(";")):
        for password in _passwords_in(each):
            redactor.add(_spellings(password))


def _passwords_in(address: str) -> Iterator[str]:
    """What may be meant as the password. One with a slash that is not encoded ends at the last @; who reads it as a
    port and a path quotes its pieces."""
    yield password_of(address)
    credentials, at, _ = address.partition("://")[2].rpartition("@")
    user, _, password = credentials.partition(":")
    if not at or "/" in user or user.startswith("[") or "://" in password:
        return
    yield password
    pieces = re.split("[/?#]", password)
    if not pieces[0].isdigit():  # of host:port/database?name=a@b
        yield from (piece for piece in pieces if len(piece) >= _LEAST_PIECE)


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
    database = parts.get("database")
    if database is None:
        database = parts.get("vhost")
    path = "" if database is None or database == "" else "/" + quote(str(database), safe="")
    return "%s://%s%s%s" % (parts["scheme"], _account(username, password), authority, path)


def _account(username: str, password: str) -> str:
    if not (username or password):
        return ""
    secret = ":" + quote(password, safe="") if password else ""
    return "%s%s@" % (quote(username, safe=""), secret)


def bound(binding: Mapping[str, str], tls: bool) -> str:
    """The URL that a service binding's keys say: its own ``uri`` where that is one of the server's, else composed.

    Raises StartError(ConfigInvalid), which names keys and never their values.
    """
    schemes = _BINDINGS.get(binding["type"].lower())
    if schemes is None:
        raise _invalid("its type is neither rabbitmq nor redis")
    redactor.add(_spellings(binding["password"]))
    uri = binding["uri"]
    scheme, _, rest = uri.partition("://")
    if scheme in schemes:
        _hide_passwords(uri)
        account = "" if "@" in rest.split("/", 1)[0] else _account(binding["username"], binding["password"])
        return "%s://%s%s" % (scheme, account, rest)
    if not binding["host"]:
        raise _invalid("it has no key host, and no key uri that begins with %s://" % schemes[0])
    if binding["port"] and not binding["port"].isdigit():
        raise _invalid("its port is no number")
    secured = tls or (schemes[0] == "amqp" and binding["port"] == _AMQPS_PORT)
    parts: Dict[str, Any] = {
        "scheme": schemes[1 if secured else 0],
        "host": binding["host"],
        "port": binding["port"],
        "database": binding["virtual-host" if schemes[0] == "amqp" else "database"],
    }
    return compose(parts, binding["username"], binding["password"])


def _invalid(problem: str) -> StartError:
    return StartError("ConfigInvalid", "the Secret of the serviceBinding cannot be used: %s" % problem)


def completed(address: str) -> str:
    """Several URLs of Sentinels, all with the first one's account and database.

    kombu begins with those of the first. After an outage it goes on with the next one's: without a password it is
    refused, and another database would be another broker.
    """
    if not address.startswith(SENTINEL) or ";" not in address:
        return address
    first, *others = [part.partition("://")[2] for part in address.split(";")]
    authority, slash, path = first.partition("/")
    account, at, _ = authority.rpartition("@")
    out = [first]
    for other in others:
        host = other.partition("/")[0]
        out.append("%s%s%s" % (host if "@" in host else account + at + host, slash, path))
    return ";".join(SENTINEL + part for part in out)


def with_certificate_check(address: str) -> str:
    """Celery's Redis backend refuses a rediss:// URL that does not say whether certificates are checked."""
    if address.startswith("rediss://") and "ssl_cert_reqs" not in address:
        return address + ("&" if "?" in address else "?") + "ssl_cert_reqs=CERT_REQUIRED"
    return address
