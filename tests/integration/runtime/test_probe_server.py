"""The probe server answers kubelet in time, whatever other clients do."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from celery_operator.runtime.deadline import Deadline
from celery_operator.runtime.probe_server import ProbeServer
from tests.integration.servers import free_port


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a server that says ok."""
    server = ProbeServer({"/livez": lambda: (True, "ok")}, dict, {"/deadline": Deadline(60.0, "uid").command})
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
            answer = httpx.get(f"http://127.0.0.1:{port}/livez", timeout=60.0, trust_env=False)
        finally:
            over.set()
            thread.join()
    assert answer.text == "ok\n"
    # One second, and time for a busy machine. With a second for each byte it would be minutes.
    assert time.monotonic() - started < 10.0


@pytest.mark.parametrize(
    ("method", "path", "token", "body", "code"),
    [
        ("POST", "/deadline", "Bearer uid", b'{"seconds": 5}', 204),
        ("POST", "/deadline", "Bearer other", b'{"seconds": 5}', 403),
        ("POST", "/deadline", None, b'{"seconds": 5}', 403),
        ("POST", "/deadline", "Bearer uid", b"soon", 400),
        ("GET", "/deadline", "Bearer uid", None, 405),
        ("PUT", "/deadline", "Bearer uid", b'{"seconds": 5}', 405),
        ("POST", "/livez", "Bearer uid", b"{}", 405),
        ("DELETE", "/status", "Bearer uid", None, 405),
    ],
)
def test_the_deadline_is_the_only_command(
    method: str, path: str, token: str | None, body: bytes | None, code: int, port: int
) -> None:
    headers = {"Authorization": token} if token else {}
    url = f"http://127.0.0.1:{port}{path}"
    answer = httpx.request(method, url, content=body, headers=headers, timeout=30.0, trust_env=False)
    assert answer.status_code == code


def test_a_body_that_comes_after_its_head_is_waited_for(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30.0) as client:
        client.sendall(b"POST /deadline HTTP/1.1\r\nAuthorization: Bearer uid\r\nContent-Length: 13\r\n\r\n")
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(b'{"seconds"')
        client.sendall(b":5}")
        assert client.recv(100).startswith(b"HTTP/1.1 204 ")


@pytest.mark.parametrize("length", ["²", "-1", "1e3", "", "x"])
def test_a_length_that_is_no_number_ends_nothing(length: str, port: int) -> None:
    """Whoever reaches the port can send one: a thread that ended with it would cost the worker its life."""
    with socket.create_connection(("127.0.0.1", port), timeout=30.0) as client:
        client.sendall(f"POST /deadline HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode("latin-1"))
        assert client.recv(100).startswith(b"HTTP/1.1 403 ")
    assert httpx.get(f"http://127.0.0.1:{port}/livez", timeout=30.0, trust_env=False).text == "ok\n"
