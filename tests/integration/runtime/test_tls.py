"""The certificate of a rediss:// broker is checked, unless its URL says that it must not be."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.runtime.conftest import PodMaker
from tests.integration.servers import wait_until


class Impostor:
    """Listens with a certificate that nobody signed, and notes whether clients mind."""

    def __init__(self, folder: Path) -> None:
        key, certificate = folder / "key.pem", folder / "certificate.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1",
             "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
            check=True, capture_output=True,
        )  # fmt: skip
        self.trusted: list[bool] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                client.settimeout(60.0)
                try:
                    with self._context.wrap_socket(client, server_side=True) as secured:
                        self.trusted.append(bool(secured.recv(64)))
                except OSError:
                    self.trusted.append(False)


@pytest.fixture
def impostor(tmp_path: Path) -> Iterator[Impostor]:
    """An impostor for one test."""
    one = Impostor(tmp_path)
    yield one
    one.listener.shutdown(socket.SHUT_RDWR)
    one.listener.close()


@pytest.mark.parametrize(("query", "trusted"), [("", False), ("?ssl_cert_reqs=CERT_NONE", True)])
def test_an_impostor_is_trusted_only_on_request(
    query: str, trusted: bool, impostor: Impostor, make_pod: PodMaker
) -> None:
    make_pod(broker=f"rediss://127.0.0.1:{impostor.port}/0{query}", settings={"pool": "solo"}).start()
    wait_until(lambda: impostor.trusted != [], timeout=90.0, what="a connection to the impostor")
    assert impostor.trusted[0] is trusted
