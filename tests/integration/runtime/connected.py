"""What a kubelet does with a CeleryCluster's connections: variables and files, from Secrets that only this knows.

The same Secrets are what the operator reads, so that one spec leads both the pod and the operator to the broker.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import connections, launch_settings, tls_files
from celery_operator.kube.client import KubeClient
from celery_operator.kube.objects import Manifest, ObjectRef
from celery_operator.observe.broker import address
from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Depth
from celery_operator.observe.broker.hub import TRANSPORTS
from celery_operator.observe.broker.monitor import PINGS
from tests.integration.runtime.pods import Pod
from tests.unit.desired.clusters import cluster
from tests.unit.desired.kubelet import expand

Json = dict[str, Any]
Secrets = Mapping[str, Mapping[str, str]]
"""Texts by key, by the Secret's name."""


def key(name: str, key_: str) -> Json:
    """A reference to a Secret's key, as `…From` has it."""
    return {"secretKeyRef": {"name": name, "key": key_}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A CeleryCluster of this spec among these Secrets."""

    spec: Json
    secrets: Secrets

    @property
    def cluster(self) -> CeleryCluster:
        """As the operator reads it."""
        return cluster(self.spec)

    def settings(self) -> Json:
        """What the launcher is told of spec.config, with what the connections add to it."""
        return {"config": launch_settings.config(self.cluster.spec)}

    def environment(self, folder: Path) -> dict[str, str]:
        """The pod's variables. Its certificates are written into the folder, as if that were mounted."""
        out = {"CELERY_OPERATOR_RESULT_BACKEND_DISABLED": "0"} if self.cluster.spec.result_backend else {}
        for variable in connections.environment(self.cluster):
            value = self._value(variable)
            if value is not None:
                out[variable["name"]] = value.replace(tls_files.MOUNT_PATH, str(folder))
        for volume in connections.volumes(self.cluster.spec):
            for source in volume["projected"]["sources"]:
                for item in source["secret"]["items"]:
                    path = folder / item["path"]
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(self.secrets[source["secret"]["name"]][item["key"]])
        return out

    def _value(self, variable: Json) -> str | None:
        if "value" in variable:
            return expand(variable["value"], {})
        reference = variable["valueFrom"]["secretKeyRef"]
        found = self.secrets.get(reference["name"], {}).get(reference["key"])
        assert found is not None or reference.get("optional"), (
            f"the kubelet would not start the pod without {reference}"
        )
        return found

    async def address(self) -> BrokerAddress:
        """Where the operator finds the broker."""
        client = cast("KubeClient", _Client(self.secrets))
        found = await address.resolve_all(client, self.cluster)
        assert found is not None
        return found

    async def depth(self, queue: str) -> Depth:
        """What the operator reads of a queue."""
        broker = await self.address()
        reader = TRANSPORTS[broker.url.partition("://")[0]].reader(broker)
        try:
            return (await reader.read([queue], unacked=False))[queue]
        finally:
            await reader.close()

    async def reachable(self) -> tuple[bool | None, str]:
        """What the operator says of the broker, and why."""
        broker = await self.address()
        found = await PINGS[broker.url.partition("://")[0]](broker)
        return found.reachable, found.reason

    def told_by(self, pod: Pod) -> str:
        """All that is seen of a pod without its environment."""
        return pod.output() + Path(f"/proc/{pod.pid}/cmdline").read_text() + pod.get("/status").text


class _Client:
    """The part of the API server that has Secrets."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    async def get(self, ref: ObjectRef) -> Manifest | None:
        """The Secret, as the API server sends it."""
        data = self._secrets.get(ref.name)
        if data is None:
            return None
        return {"data": {key_: base64.b64encode(text.encode()).decode() for key_, text in data.items()}}
