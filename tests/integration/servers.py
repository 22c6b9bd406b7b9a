"""Real Redis and RabbitMQ servers as child processes, each with its own folder and free ports.

Debian's packages ``redis-server`` and ``rabbitmq-server`` supply the programs. Nothing here listens on
anything but 127.0.0.1, and nothing outside the given folder is written. A server may be stopped and started
again: it keeps its port and its data folder, which is how a broker outage is tried.

    with RedisServer(folder=tmp_path) as redis_server:
        celery_worker(broker=redis_server.url())
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

import redis

from tests.cluster.packages import SERVERS, install_missing

_RABBITMQ_PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""The program behind Debian's wrapper: the wrapper in /usr/sbin changes to the user ``rabbitmq`` when run by root."""


_PORTS = range(12000, 30000)
"""Below Kubernetes' node ports (30000) and those of outgoing connections (`net.ipv4.ip_local_port_range`, 32768)."""
_given: deque[int] = deque(maxlen=1000)
"""Ports that may not be bound yet."""


class ServerError(RuntimeError):
    """A server could not be started, or did not become ready; the text ends with its log's last lines."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago, and that no outgoing connection can get meanwhile.

    Nor does another test get it until it is bound: of processes of pytest-xdist, each has ports of its own.
    """
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ours = _PORTS[number :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]
    while True:
        port = random.SystemRandom().choice(ours)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.append(port)
                return port


def wait_until(condition: Callable[[], bool], *, timeout: float, what: str, interval: float = 0.02) -> None:
    """Return as soon as ``condition()`` is true; raise TimeoutError naming ``what`` after ``timeout`` seconds.

    The last look is after that: a machine that stood still in between has cost nothing but time.
    """
    deadline = time.monotonic() + timeout
    last = False
    while not condition():
        if last:
            raise TimeoutError(f"{what}: still not so after {timeout:g} s")
        time.sleep(interval)
        last = time.monotonic() > deadline


class Process:
    """One child process in a process group of its own, with its output in a log file.

    ``stop`` sends SIGTERM, ``kill`` SIGKILL to the group; both wait until the process is gone.
    """

    def __init__(self, *, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None

    def launch(self, command: list[str], *, env: dict[str, str] | None = None, cwd: Path | None = None) -> None:
        """Start ``command``; a process that is still running is an error."""
        if self.running:
            raise ServerError(f"{self.name} is already running")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._close_output()
        self._output = self.log.open("ab")
        self._process = subprocess.Popen(
            command,
            env=env,
            cwd=cwd or self.folder,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id; ServerError when it never started."""
        if self._process is None:
            raise ServerError(f"{self.name} was never started")
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return None if self._process is None else self._process.poll()

    def wait_ready(self, ready: Callable[[], bool], *, timeout: float) -> None:
        """Wait for ``ready()``; ServerError with the log's end when the process dies or time runs out."""

        def ready_or_dead() -> bool:
            return ready() or not self.running

        try:
            wait_until(ready_or_dead, timeout=timeout, what=f"{self.name} ready")
        except TimeoutError as late:
            self.kill()
            raise ServerError(f"{late}; its log ends:\n{self.log_tail()}") from late
        if not self.running:
            raise ServerError(f"{self.name} ended with {self.returncode}; its log ends:\n{self.log_tail()}")

    def signal(self, number: int) -> None:
        """Send a signal to the process alone, not to its children."""
        os.kill(self.pid, number)

    def wait(self, *, timeout: float) -> int:
        """Wait for the end and return the exit code; subprocess.TimeoutExpired after ``timeout`` seconds."""
        if self._process is None:
            raise ServerError(f"{self.name} was never started")
        return self._process.wait(timeout)

    def stop(self, *, timeout: float = 20.0) -> None:
        """SIGTERM to the process, SIGKILL to the whole group when it does not end in ``timeout`` seconds."""
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        self._close_output()

    def kill(self) -> None:
        """SIGKILL to the whole process group, at once."""
        if self._process is not None and self.running:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(60)
        self._close_output()

    def log_tail(self, lines: int = 30) -> str:
        """The last lines of the log, for an error's text."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def _close_output(self) -> None:
        if self._output is not None:
            self._output.close()
            self._output = None


class RedisServer(Process):
    """A redis-server on 127.0.0.1, without snapshots; ``append_only`` keeps data over a restart (fsync always)."""

    def __init__(
        self, *, folder: Path, append_only: bool = False, password: str | None = None, name: str = "redis"
    ) -> None:
        super().__init__(name=name, folder=folder)
        self.port = free_port()
        self.password = password
        self._append_only = append_only

    def url(self, database: int = 0) -> str:
        """``redis://…/database``, the password percent-encoded."""
        credentials = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"redis://{credentials}127.0.0.1:{self.port}/{database}"

    def start(self) -> Self:
        """Start it (again) and return when it answers PING; ServerError otherwise."""
        install_missing(SERVERS)
        program = shutil.which("redis-server")
        if program is None:
            raise ServerError("redis-server is missing although its package is installed")
        command = [
            program,
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(self.folder),
        ]
        if self._append_only:
            command += ["--appendonly", "yes", "--appendfsync", "always"]
        if self.password:
            command += ["--requirepass", self.password]
        self.launch(command)
        self.wait_ready(self._answers, timeout=60.0)
        return self

    def client(self, database: int = 0) -> redis.Redis:
        """A client of one database; the caller closes it."""
        return redis.Redis.from_url(self.url(database), decode_responses=True)

    def _answers(self) -> bool:
        """A server that is up answers PONG, or NOAUTH when it has a password; LOADING is not up yet."""
        reply = _exchange(self.port, b"PING\r\n")
        return reply.startswith((b"+PONG", b"-NOAUTH"))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class RabbitServer(Process):
    """A RabbitMQ node of its own: own name, cookie, data folder, ports and epmd (the Erlang name daemon).

    ``management=True`` adds the management plugin on ``management_port`` (about 2 s more to start).
    The account has every right on the virtual host ``/``, the only one.
    """

    def __init__(
        self,
        *,
        folder: Path,
        username: str = "guest",
        password: str = "guest",  # RabbitMQ's own default account
        management: bool = False,
        name: str = "rabbitmq",
    ) -> None:
        super().__init__(name=name, folder=folder)
        self.port = free_port()
        self.management_port = free_port()
        self.username = username
        self.password = password
        self._management = management
        self._distribution_port = free_port()
        self._epmd = Process(name=f"{name}-epmd", folder=folder)
        self._epmd_port = free_port()

    def url(self, vhost: str = "/") -> str:
        """``amqp://user:password@host:port/vhost``, every part percent-encoded."""
        credentials = f"{quote(self.username, safe='')}:{quote(self.password, safe='')}"
        return f"amqp://{credentials}@127.0.0.1:{self.port}/{quote(vhost, safe='')}"

    def management_url(self) -> str:
        """The management API's address with the account in it; only with ``management=True``."""
        credentials = f"{quote(self.username, safe='')}:{quote(self.password, safe='')}"
        return f"http://{credentials}@127.0.0.1:{self.management_port}"

    def control(self, *command: str) -> None:
        """A command of rabbitmqctl."""
        subprocess.run(
            ["/usr/lib/rabbitmq/bin/rabbitmqctl", *command],
            env=self._environment(),
            cwd=self.folder,
            check=True,
            capture_output=True,
            timeout=120,
        )

    def start(self) -> Self:
        """Start it (again) and return when it speaks AMQP; about 4 s. ServerError otherwise."""
        install_missing(SERVERS)
        epmd = shutil.which("epmd")
        if epmd is None or not _RABBITMQ_PROGRAM.exists():
            raise ServerError("rabbitmq-server is missing although its package is installed")
        self._write_configuration()
        if not self._epmd.running:
            self._epmd.launch([epmd, "-port", str(self._epmd_port), "-address", "127.0.0.1"])
            self._epmd.wait_ready(lambda: _listens(self._epmd_port), timeout=60.0)
        self.launch([str(_RABBITMQ_PROGRAM)], env=self._environment())
        self.wait_ready(self._answers, timeout=120.0)
        return self

    def stop(self, *, timeout: float = 60.0) -> None:
        """Stop the node, then its epmd."""
        super().stop(timeout=timeout)
        self._epmd.stop()

    def kill(self) -> None:
        """SIGKILL to the node and its epmd."""
        super().kill()
        self._epmd.kill()

    def _answers(self) -> bool:
        """The node sends Connection.Start (a method frame, type 1) to the protocol header of AMQP 0-9-1."""
        if not _exchange(self.port, b"AMQP\x00\x00\x09\x01").startswith(b"\x01"):
            return False
        return not self._management or _exchange(self.management_port, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.")

    def _write_configuration(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        plugins = "[rabbitmq_management]." if self._management else "[]."
        (self.folder / "enabled_plugins").write_text(plugins + "\n")
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nmanagement.tcp.ip = 127.0.0.1\n"
            f"management.tcp.port = {self.management_port}\n"
            if self._management
            else f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
        )
        # Erlang terms, since rabbitmq.conf reads # in a password as a comment.
        (self.folder / "advanced.config").write_text(
            "[{rabbit, [{loopback_users, []},"
            f" {{default_user, <<{_erlang_string(self.username)}>>}},"
            f" {{default_pass, <<{_erlang_string(self.password)}>>}}]}}].\n"
        )

    def _environment(self) -> dict[str, str]:
        folder = str(self.folder)
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith(("RABBITMQ_", "ERL_"))},
            "HOME": folder,  # the Erlang cookie is made in HOME
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": f"{self.name}-{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": f"{folder}/rabbitmq.pid",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{folder}/advanced.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_ALLOW_INPUT": "1",  # the shell script becomes the Erlang process: signals arrive
            # Fewer schedulers and no busy waiting: two nodes share two cores with the tests.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
        }

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _erlang_string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _exchange(port: int, request: bytes) -> bytes:
    """The first bytes a server answers, or nothing when it does not listen or stays silent for a second."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(request)
            return connection.recv(64)
    except OSError:
        return b""
