"""The probe server answers kubelet in time, whatever other clients do."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from celery_operator.runtime.probe_server import ProbeServer
from tests.integration.servers import free_port


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a server that says ok."""
    server = ProbeServer({"/livez": lambda: (True, "ok")}, dict)
    number = free_port()
    server.bind(number)
    server.serve()
    yield number
    server.close()


def test_a_dripping_client_delays_a_probe_by_one_second_at_most(port: int) -> None:
    over = threading.Event()
    with socket.create_connection(("127.0.0.1", port)) as dripping:
        dripping.sendall(b"G")

        def drip() -> None:
            while not over.wait(0.2):
                try:
                    dripping.sendall(b"x")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        started = time.monotonic()
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/livez", timeout=6.0, trust_env=False)
        finally:
            over.set()
            thread.join()
    assert answer.text == "ok\n"
    assert time.monotonic() - started < 2.0
