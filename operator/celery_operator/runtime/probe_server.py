"""A very small HTTP server on one real thread: kubelet's probes and the operator's questions, without a process.

One request per connection, one connection at a time: every answer is ready in memory. It imports nothing and
logs nothing while it answers, because it runs beside forks and under green pools.
"""

from __future__ import annotations

import hmac
import json
import os
import time
from typing import Any, Callable, Dict, Mapping, Optional, Tuple, Union

from .failures import StartError
from .originals import Socket, socket_module, start_new_thread

Answer = Callable[[], Tuple[bool, str]]
Status = Callable[[], Mapping[str, Any]]
Command = Callable[[Mapping[str, str], bytes], Tuple[int, Union[str, Mapping[str, Any]]]]
"""What a POST does: from headers (lower-case names) and body to a status code and a line of text, or a JSON object."""

CONNECTION_SECONDS = 1.0
"""Seconds one connection may take from the first byte to the last: the longest that a client keeps others waiting."""

REQUEST_LIMIT = 4096


class ProbeServer:
    """Answers /livez, /readyz, /startupz and /status; ``bind`` early, ``serve`` once the pool has forked.

    ``commands``: what a POST to a path does.
    """

    def __init__(
        self, answers: Mapping[str, Answer], status: Status, commands: Optional[Mapping[str, Command]] = None
    ) -> None:
        self._answers: Dict[str, Answer] = dict(answers)
        self._status = status
        self._commands: Dict[str, Command] = dict(commands or {})
        self._listener: Optional[Any] = None
        self._serving = False

    def bind(self, port: int) -> None:
        """Take the port without listening: connections are refused until ``serve``. Raises StartError(PortTaken)."""
        try:
            self._listener = _dual_stack(port)
        except OSError as error:
            raise StartError(
                "PortTaken",
                "the probe port %d cannot be used: %s; something else in this pod listens there"
                % (port, error.strerror),
                exception=type(error).__name__,
            ) from error
        os.register_at_fork(after_in_child=self.close)

    def serve(self) -> None:
        """Listen and answer on a thread of the operating system's."""
        if self._listener is None or self._serving:
            return
        self._serving = True
        self._listener.listen(64)
        start_new_thread(self._loop, (self._listener,))

    def close(self) -> None:
        """In pool children: the port is the parent's."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()

    def _loop(self, listener: Any) -> None:
        while True:
            try:
                descriptor, _ = listener._accept()
            except OSError:
                if listener.fileno() < 0:
                    return
                continue
            client = Socket(fileno=descriptor)
            deadline = time.monotonic() + CONNECTION_SECONDS
            try:
                answer = self._respond(_read(client, deadline))
                client.settimeout(_left(deadline))
                client.sendall(answer)
            except OSError:
                pass
            finally:
                client.close()

    def _respond(self, request: bytes) -> bytes:
        words = request.split(b"\r\n", 1)[0].split(b" ")
        if len(words) < 2:
            return _response(400, "text/plain", "not HTTP")
        path = words[1].split(b"?", 1)[0].decode("latin-1")
        command = self._commands.get(path)
        if words[0] not in (b"GET", b"HEAD") and (words[0] != b"POST" or command is None):
            return _response(405, "text/plain", "only GET")
        if words[0] != b"POST" and command is not None:
            return _response(405, "text/plain", "only POST")
        try:
            if command is not None:
                head, _, body = request.partition(b"\r\n\r\n")
                return _said(*command(_headers(head), body))
            return self._answer(path)
        except Exception as error:  # noqa: BLE001 - reading a live worker's state must not end the probe thread
            # Alive without a doubt: this thread answers. What could not be read is said, not punished.
            return _response(200 if path == "/livez" else 500, "text/plain", type(error).__name__)

    def _answer(self, path: str) -> bytes:
        if path == "/status":
            return _response(200, "application/json", json.dumps(self._status(), default=str))
        answer = self._answers.get(path)
        if answer is None:
            return _response(404, "text/plain", "there are /livez, /readyz, /startupz and /status")
        good, why = answer()
        return _response(200 if good else 503, "text/plain", why)


def _dual_stack(port: int) -> Any:
    """A bound socket for IPv6 and IPv4 at once, for IPv4 alone where there is no IPv6."""
    s = socket_module
    try:
        listener = Socket(s.AF_INET6, s.SOCK_STREAM)
        listener.setsockopt(s.IPPROTO_IPV6, s.IPV6_V6ONLY, 0)
        address: Tuple[Any, ...] = ("::", port)
        return _bound(listener, address)
    except OSError as error:
        if error.errno == _errno("EADDRINUSE"):
            raise
    return _bound(Socket(s.AF_INET, s.SOCK_STREAM), ("0.0.0.0", port))


def _bound(listener: Any, address: Tuple[Any, ...]) -> Any:
    s = socket_module
    listener.setsockopt(s.SOL_SOCKET, s.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def _errno(name: str) -> int:
    import errno

    return int(getattr(errno, name))


def _left(deadline: float) -> float:
    """Seconds left, for settimeout: never 0, which would mean "do not block". Raises TimeoutError."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _headers(head: bytes) -> Dict[str, str]:
    """Header fields by lower-case name; the last of several wins."""
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _complete(data: bytes) -> bool:
    """Whether the request's head, and as much body as it promises, has arrived."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not end or not head.startswith(b"POST "):
        return bool(end)
    length = _headers(head).get("content-length", "0")
    return not length.isdecimal() or len(body) >= int(length)


def _read(client: Any, deadline: float) -> bytes:
    data = b""
    while len(data) < REQUEST_LIMIT and not _complete(data):
        client.settimeout(_left(deadline))
        chunk = client.recv(REQUEST_LIMIT)
        if not chunk:
            break
        data += chunk
    return data


def is_authorized(headers: Mapping[str, str], token: str) -> bool:
    """Whether a command's headers (lower-case names) prove that it is from who knows ``token``; "" is nobody's."""
    given = headers.get("authorization", "").encode("utf-8", "replace")
    return bool(token) and hmac.compare_digest(given, b"Bearer " + token.encode())


def _said(code: int, answer: Union[str, Mapping[str, Any]]) -> bytes:
    if isinstance(answer, str):
        return _response(code, "text/plain", answer)
    return _response(code, "application/json", json.dumps(answer))


NO_CONTENT = 204

_REASONS = {
    200: "OK",
    204: "No Content",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    500: "Error",
    503: "Unavailable",
}


def _response(code: int, kind: str, text: str) -> bytes:
    head = "HTTP/1.1 %d %s\r\nConnection: close\r\n" % (code, _REASONS[code])
    if code == NO_CONTENT:
        return (head + "\r\n").encode("ascii")
    body = text.encode("utf-8", "replace") + b"\n"
    head += "Content-Type: %s; charset=utf-8\r\nContent-Length: %d\r\n\r\n" % (kind, len(body))
    return head.encode("ascii") + body
