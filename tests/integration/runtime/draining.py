"""Speaks to a pod's /drain as the operator does, and to the brokers as producers do."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

import httpx
import kombu

from tests.integration.runtime.lossy_proxy import Fate, Proxy
from tests.integration.runtime.pods import Pod
from tests.integration.servers import wait_until

LEASE = 300.0
"""Seconds: longer than any test waits."""


class Way(Proxy):
    """A way to the broker that can be closed and opened again."""

    def __init__(self, target: int) -> None:
        self._open = threading.Event()
        self._open.set()
        super().__init__(target, self._pass_or_break)

    def _pass_or_break(self, _: bytes) -> Fate:
        if not self._open.is_set():
            raise ConnectionResetError
        return Fate.PASS

    def close(self) -> None:
        """Break every connection on both sides; new ones break at their first word."""
        self._open.clear()
        for link in self._links:
            for side in (link.client, link.server):
                with contextlib.suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)

    def open(self) -> None:
        """New connections work."""
        self._open.set()

    def cut(self, pod: Pod) -> None:
        """Close it until the worker knows; returns when the worker is connected again."""
        self.close()
        wait_until(lambda: pod.status()["connected"] is False, timeout=60.0, what="the lost connection is seen")
        self.open()
        wait_until(lambda: pod.status()["connected"] is True, timeout=60.0, what="the worker is connected again")


def post(pod: Pod, body: Any, *, token: str | None = None) -> httpx.Response:
    """One POST /drain; ``token``: instead of the pod's UID."""
    headers = {"Authorization": f"Bearer {pod.uid if token is None else token}"}
    return httpx.post(f"http://127.0.0.1:{pod.port}/drain", json=body, headers=headers, timeout=10.0, trust_env=False)


def drain(pod: Pod, seconds: float = LEASE) -> dict[str, Any]:
    """Begin or renew the lease, or end it; the pod's answer."""
    response = post(pod, {"bootId": pod.status()["bootId"], "seconds": seconds})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def undrain(pod: Pod) -> None:
    """End the lease."""
    assert drain(pod, 0.0)["draining"] is False


def wait_drained(pod: Pod, *, timeout: float = 60.0) -> dict[str, Any]:
    """Drain until the worker says that it is drained; that answer."""
    answers = [drain(pod)]

    def drained() -> bool:
        answers.append(drain(pod))
        return bool(answers[-1]["drained"])

    wait_until(drained, timeout=timeout, what="the worker is drained")
    return answers[-1]


def waiting(url: str, queue: str = "celery") -> int:
    """Messages in a queue that nobody has."""
    with kombu.Connection(url) as connection:
        channel: Any = connection.channel()
        if hasattr(channel, "_size"):
            return int(channel._size(queue))
        return int(channel.queue_declare(queue, passive=True).message_count)
