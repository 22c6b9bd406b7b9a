"""The operator's own TLS to a broker: from Secrets' data in memory, and with the same checks as the pods'."""

from __future__ import annotations

import functools
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from celery_operator.api.broker import TLS_SCHEMES
from celery_operator.observe.broker.depth import Problem, Unreadable

_ADVICE: Final = "set or check spec.broker.tls, and let the certificate name the host of the broker's URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """The text of PEM files: the certificate authority's, the client's certificate and its key."""

    ca: str | None = field(default=None, repr=False)
    certificate: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)


def context(url: str, certificates: Certificates | None) -> ssl.SSLContext | None:
    """How to speak TLS with the broker at ``url``; None where the URL alone says it. Raises Unreadable."""
    if certificates is None:
        return None
    parts = urlsplit(url.split(";")[0])
    if parts.scheme not in TLS_SCHEMES:
        raise _invalid(
            f"spec.broker.tls is set, but the broker's address begins with {parts.scheme}, which asks for no TLS; let "
            f"it begin with one of {', '.join(TLS_SCHEMES)}, or remove tls"
        )
    if "ssl_" in parts.query:
        raise _invalid(
            "spec.broker.tls is set, and the broker's URL has options of its own for TLS (ssl_…), which would replace "
            "it; remove one of them"
        )
    return _context(certificates)


def system_trust(check: str) -> ssl.SSLContext:
    """What the system trusts, read once: that takes 30 ms, and each ping is a connection. Read again when it changes.

    ``check``: redis-py's ``ssl_cert_reqs``, of which "none" checks nothing.
    """
    file = ssl.get_default_verify_paths().cafile
    return _system_trust(check, file, None if file is None else Path(file).stat().st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _system_trust(check: str, file: str | None, changed: int | None) -> ssl.SSLContext:
    del file, changed  # of the key alone
    made = ssl.create_default_context()
    made.check_hostname = check != "none"
    made.verify_mode = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL}.get(check, ssl.CERT_REQUIRED)
    return made


def context_for_https(certificates: Certificates | None) -> ssl.SSLContext | None:
    """How to speak with the broker's pages, which may have a certificate of the same authority or of a public one.

    None where there are no certificates. Raises Unreadable.
    """
    return None if certificates is None else _context(certificates, public=True)


def failure(error: BaseException) -> Problem | None:
    """What to say of an error that comes from TLS; None for one that does not."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    what = "the broker's certificate is not trusted" if isinstance(cause, ssl.SSLCertVerificationError) else "it failed"
    return Problem(reason="TlsFailed", message=f"the connection to the broker is not secure ({what}); {_ADVICE}")


def _context(certificates: Certificates, *, public: bool = False) -> ssl.SSLContext:
    authority = certificates.ca
    if authority is not None:
        authority = authority.encode("ascii", "ignore").decode()  # comments may hold anything
    try:
        made = ssl.create_default_context(cadata=authority)
        if certificates.certificate is not None:
            _load_client(made, f"{certificates.certificate}\n{certificates.key or ''}\n".encode())
    except (ssl.SSLError, ValueError):
        raise _invalid(
            "the certificates of spec.broker.tls cannot be read: they must be PEM, the key without a password and the "
            "client certificate's own; correct their Secrets"
        ) from None
    if public:
        made.load_default_certs()
    return made


def _load_client(made: ssl.SSLContext, pem: bytes) -> None:
    """Python takes a client's certificate from a file alone; this one is in memory, and gone at once."""
    descriptor = os.memfd_create("client-certificate")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(pem)
        made.load_cert_chain(f"/proc/self/fd/{descriptor}", password=lambda: "")  # never asked for at a terminal
    finally:
        os.close(descriptor)


def _invalid(message: str) -> Unreadable:
    return Unreadable(Problem(reason="TlsInvalid", message=message))
