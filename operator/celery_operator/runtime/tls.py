"""Certificates that are mounted into the pod, as the options of each transport: every one has names of its own."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional

from .failures import StartError
from .guard import harmless

BROKER_SCHEMES = ("rediss", "amqps", "sentinel")
BACKEND_SCHEMES = ("rediss", "sentinel")
"""Schemes of URLs that are asked with TLS; sentinel has no spelling of its own for it."""


@dataclass(frozen=True)
class Files:
    """Paths of PEM files: the certificate authority's, the client's certificate and its key; None where absent."""

    ca: Optional[str] = None
    certificate: Optional[str] = None
    key: Optional[str] = None


def read(prefix: str, environ: Mapping[str, str]) -> Optional[Files]:
    """The files that ``<prefix>_TLS`` names; None where there are none."""
    named = environ.get(prefix + "_TLS")
    return Files(**json.loads(named)) if named else None


def check(field: str, files: Optional[Files], address: Optional[str], schemes: Any) -> None:
    """Raise StartError(ConfigInvalid) where the certificates could not be used, or would be without a word."""
    if files is None or not address:
        return
    scheme = address.partition("://")[0]
    if scheme not in schemes:
        raise StartError(
            "ConfigInvalid",
            "%s.tls is set, but the address begins with %s, which asks for no TLS; let it begin with one of %s, "
            "or remove tls" % (field, scheme, ", ".join(schemes)),
        )
    if "ssl_" in address.partition("?")[2]:
        raise StartError(
            "ConfigInvalid",
            "%s.tls is set, and the URL has options of its own for TLS (ssl_…), which would replace it; remove one "
            "of them" % field,
        )


def broker_options(files: Files, address: str) -> Dict[str, Any]:
    """Celery's broker_use_ssl."""
    return _amqp_options(files) if address.startswith("amqps://") else redis_options(files)


def redis_options(files: Files) -> Dict[str, Any]:
    """Celery's redis_backend_use_ssl, and the options of every client of redis-py.

    Before its 6.0 redis-py compared no names, so that any certificate of the authority would have done.
    """
    named = {"ssl_ca_certs": files.ca, "ssl_certfile": files.certificate, "ssl_keyfile": files.key}
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True, **_present(named)}


def _amqp_options(files: Files) -> Dict[str, Any]:
    """py-amqp looks at the server's name only when it is told it; kombu puts that of the URL for None."""
    named = {"ca_certs": files.ca, "certfile": files.certificate, "keyfile": files.key}
    return {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None, **_present(named)}


def sentinel_options(files: Files) -> Dict[str, Any]:
    """``sentinel_kwargs`` to reach the Sentinels themselves the same way."""
    return {"ssl": True, **redis_options(files)}


def _present(options: Mapping[str, Optional[str]]) -> Dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


@harmless
def keep_server_names() -> None:
    """Let every server of a broker be known by its own name.

    kombu writes the first server's name into the very options that were configured, so that it expects that one of
    all others as well.
    """
    from kombu.connection import Connection

    original = Connection._init_params  # type: ignore[attr-defined]

    def init_params(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if isinstance(self.ssl, dict):
            self.ssl = dict(self.ssl)

    Connection._init_params = init_params  # type: ignore[attr-defined, method-assign]
