"""redis-server in modes that a plain broker does not have: Sentinel, Cluster, replica, TLS."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

from tests.cluster.packages import SERVERS, install_missing
from tests.integration.servers import Process, ServerError, free_port


class RedisProgram(Process):
    """One process on 127.0.0.1, with options of its own and lines for its configuration file."""

    def __init__(self, *, folder: Path, name: str, arguments: list[str], configuration: str = "") -> None:
        super().__init__(name=name, folder=folder / name)
        self.port = free_port()
        self._arguments = arguments
        self._configuration = configuration

    def start(self) -> None:
        """Start it and return when it listens."""
        install_missing(SERVERS)
        program = shutil.which("redis-server")
        if program is None:
            raise ServerError("redis-server is missing")
        self.folder.mkdir(parents=True)
        file = self.folder / "redis.conf"
        file.write_text(f"port {self.port}\nbind 127.0.0.1\nsave ''\ndir {self.folder}\n{self._configuration}")
        self.launch([program, str(file), *self._arguments])
        self.wait_ready(self._listens, timeout=60)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
