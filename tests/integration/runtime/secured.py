"""Redis, Sentinel and RabbitMQ that speak TLS alone, and only with clients whose certificate they know."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.cluster.local.pki import Authority, KeyPair
from tests.integration.broker.redis_program import RedisProgram
from tests.integration.servers import RabbitServer, free_port

HOST = "127.0.0.1"


class Certificates:
    """An authority, a server's certificate for 127.0.0.1 and a client's."""

    def __init__(self, folder: Path) -> None:
        self._authority = Authority.create(folder)
        self.server = self._authority.issue("server", "server", server_for=(HOST,))
        self.client = self._authority.issue("client", "client")
        self.ca = self._authority.certificate

    def server_for(self, name: str) -> KeyPair:
        """A server's certificate for another host."""
        return self._authority.issue(f"server-{name}", name, server_for=(name,))

    def secret(self) -> dict[str, str]:
        """The keys of a Secret of the type kubernetes.io/tls, as cert-manager writes it."""
        return {
            "ca.crt": self.ca.read_text(),
            "tls.crt": self.client.certificate.read_text(),
            "tls.key": self.client.key.read_text(),
        }


def redis_lines(port: int, certificates: Certificates, server: KeyPair | None = None) -> str:
    """Lines of redis.conf, also for a Sentinel: TLS on that port, none without."""
    pair = server or certificates.server
    return (
        f"port 0\ntls-port {port}\ntls-replication yes\ntls-auth-clients yes\ntls-cert-file {pair.certificate}\n"
        f"tls-key-file {pair.key}\ntls-ca-cert-file {certificates.ca}\n"
    )


def secured_redis(
    folder: Path, certificates: Certificates, *, name: str = "secured", password: str, server: KeyPair | None = None
) -> RedisProgram:
    """A Redis with a password."""
    port = free_port()
    lines = f'{redis_lines(port, certificates, server)}requirepass "{password}"\n'
    program = RedisProgram(folder=folder, name=name, arguments=[], configuration=lines)
    program.port = port
    return program


class SecuredRabbit(RabbitServer):
    """A RabbitMQ with a TLS listener beside its plain one, which the tests' own tools use."""

    def __init__(self, *, folder: Path, username: str, password: str, certificates: Certificates) -> None:
        super().__init__(folder=folder, username=username, password=password, name="secured-rabbit")
        self.tls_port = free_port()
        self.certificates = certificates

    def _answers(self) -> bool:
        """Its listeners are opened one after the other."""
        with socket.socket() as probe:
            return super()._answers() and probe.connect_ex((HOST, self.tls_port)) == 0

    def _write_configuration(self) -> None:
        super()._write_configuration()
        pair = self.certificates.server
        with (self.folder / "rabbitmq.conf").open("a") as file:
            file.write(
                f"listeners.ssl.1 = {HOST}:{self.tls_port}\nssl_options.cacertfile = {self.certificates.ca}\n"
                f"ssl_options.certfile = {pair.certificate}\nssl_options.keyfile = {pair.key}\n"
                "ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n"
            )
