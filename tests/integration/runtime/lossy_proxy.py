"""A TCP proxy in front of a broker that loses what a network loses: one reply, the rest of a request, one side."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from enum import Enum
from types import TracebackType
from typing import Self


class Fate(Enum):
    """What happens to bytes on their way to the server."""

    PASS = "pass"
    REPLY_LOST = "reply lost"
    """Delivered; then the connection breaks in place of the reply."""
    SWALLOWED = "swallowed"
    """Neither these nor later bytes of the connection arrive, and nobody is told."""


class Proxy:
    """Listens on ``port`` of 127.0.0.1; ``judge`` sees every chunk that a client sends."""

    def __init__(self, target: int, judge: Callable[[bytes], Fate] = lambda _: Fate.PASS) -> None:
        self._target = target
        self._judge = judge
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._links: list[_Link] = []
        self.fates: list[Fate] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def half_open(self) -> None:
        """Break every connection on the client's side only: the server believes it alive."""
        for link in self._links:
            link.half_open = True
            _end(link.client)

    def hold_ends(self) -> None:
        """From now on the server does not see that a client ended its connection."""
        for link in self._links:
            link.end_held = True

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                link = _Link(client, socket.create_connection(("127.0.0.1", self._target)), self)
                self._links.append(link)
                threading.Thread(target=link.up, daemon=True).start()
                threading.Thread(target=link.down, daemon=True).start()

    def fate(self, data: bytes) -> Fate:
        """Judge and remember."""
        fate = self._judge(data)
        if fate is not Fate.PASS:
            self.fates.append(fate)
        return fate

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _end(self._listener)
        for link in self._links:
            _end(link.client)
            _end(link.server)


class _Link:
    """One client's connection and the one to the server."""

    def __init__(self, client: socket.socket, server: socket.socket, proxy: Proxy) -> None:
        self.client = client
        self.server = server
        self.half_open = False
        self.end_held = False
        self._proxy = proxy
        self._reply_lost = False

    def up(self) -> None:
        """From the client to the server."""
        with contextlib.suppress(OSError):
            while data := self.client.recv(65536):
                fate = self._proxy.fate(data)
                if fate is Fate.SWALLOWED:
                    return
                self._reply_lost = self._reply_lost or fate is Fate.REPLY_LOST
                self.server.sendall(data)
        if not self.half_open and not self.end_held:
            _end(self.server)

    def down(self) -> None:
        """From the server to the client."""
        with contextlib.suppress(OSError):
            while data := self.server.recv(65536):
                if self._reply_lost:
                    break
                if not self.half_open:
                    self.client.sendall(data)
        _end(self.client)
        _end(self.server)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
