"""A small custom kind that nothing else works on, and a network that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from celery_operator.kube.client import KubeClient
from celery_operator.kube.errors import Conflict, NotFound, Unavailable
from celery_operator.kube.objects import Kind, Manifest, ObjectRef, register

FIELD_MANAGER = "kube-tests"
GROUP = f"{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}.kube-tests.celery-operator.dev"
"""One for each process of a run: the end of one must not take the kind away from another."""
SOON = 60.0
"""Seconds in which happens what takes a moment on an idle machine."""
CRD = register(
    Kind(
        api_version="apiextensions.k8s.io/v1",
        kind="CustomResourceDefinition",
        plural="customresourcedefinitions",
        namespaced=False,
    )
)
THING = register(Kind(api_version=f"{GROUP}/v1", kind="Thing", plural="things"))


@pytest.fixture
def client(api: KubeClient) -> KubeClient:
    """The client under test."""
    return api


@pytest.fixture(scope="session")
def things(kubeconfig: Path) -> Iterator[Kind]:
    """The kind `Thing` with a status subresource: served when this returns, removed at the end."""
    asyncio.run(_serve_things(kubeconfig))
    yield THING
    asyncio.run(_remove_things(kubeconfig))


async def _serve_things(kubeconfig: Path) -> None:
    async with await KubeClient.connect(kubeconfig=kubeconfig) as client, asyncio.timeout(2 * SOON):
        while True:
            # Again and again: a definition of an earlier run may still be on its way out.
            with contextlib.suppress(Conflict, NotFound, Unavailable):
                await client.apply(_thing_definition(), field_manager=FIELD_MANAGER)
                await client.list(THING)
                return
            await asyncio.sleep(0.05)


async def _remove_things(kubeconfig: Path) -> None:
    async with await KubeClient.connect(kubeconfig=kubeconfig) as client:
        await client.delete(ObjectRef.of(_thing_definition()))
        async with asyncio.timeout(SOON):
            while await client.get(ObjectRef.of(_thing_definition())) is not None:
                await asyncio.sleep(0.05)


def _thing_definition() -> Manifest:
    integers = {"type": "array", "items": {"type": "integer"}}
    properties = {
        "spec": {"type": "object", "properties": {"size": {"type": "integer"}, "text": {"type": "string"}}},
        "status": {
            "type": "object",
            "properties": {"count": {"type": "integer"}, "text": {"type": "string"}, "list": integers},
        },
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
    }
    return {
        "apiVersion": CRD.api_version,
        "kind": CRD.kind,
        "metadata": {"name": f"things.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things", "singular": "thing"},
            "versions": [version],
        },
    }


class Network:
    """A TCP relay to the API server.

    `cut` resets every connection and refuses new ones, `freeze_answers` keeps back what the server says once the
    connection is encrypted, and `heal` ends both.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._cut = False
        self._flows = asyncio.Event()
        self._flows.set()
        self.answer_withheld = asyncio.Event()
        self.refused = asyncio.Event()
        """A connection was asked for while the network was cut."""

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        self._cut = True
        self.reset()

    def freeze_answers(self) -> None:
        self.answer_withheld.clear()
        self._flows.clear()

    def heal(self) -> None:
        self._cut = False
        self._flows.set()

    def reset(self) -> None:
        """Reset the connections that exist; new ones work."""
        for writer in self._writers:
            writer.transport.abort()

    async def close(self) -> None:
        self.heal()
        self.reset()
        self._server.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            self.refused.set()
            return
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        pair = {writer, far_writer}
        self._writers |= pair
        try:
            await asyncio.gather(
                self._copy(reader, far_writer, answers=False), self._copy(far_reader, writer, answers=True)
            )
        finally:
            self._writers -= pair
            for each in pair:
                each.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                # TLS 1.3: the handshake's messages start with 0x16 or 0x14, application data with 0x17.
                if answers and not self._flows.is_set() and data[0] == 0x17:
                    self.answer_withheld.set()
                    await self._flows.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


@pytest.fixture
async def network(kubeconfig: Path) -> AsyncIterator[Network]:
    config = yaml.safe_load(kubeconfig.read_text())
    server = urlsplit(config["clusters"][0]["cluster"]["server"])
    relay = Network(server.hostname or "", server.port or 443)
    yield relay
    await relay.close()


@pytest.fixture
async def relayed_kubeconfig(kubeconfig: Path, network: Network, tmp_path: Path) -> Path:
    """A kubeconfig whose way to the API server is `network`."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster = config["clusters"][0]["cluster"]
    cluster["server"] = f"https://127.0.0.1:{await network.start()}"
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path
