"""Kinds of other projects with the schemas and rules that those publish, on an API server that need not know them.

Each CRD is installed as a copy in an API group of its own: with the real one, every operator that runs beside these
tests would begin to make objects of that kind, and would stumble when it goes again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest
import yaml

from tests.cluster.toolchain import module_files
from tests.cluster.versions import GATEWAY_API, KEDA, PROMETHEUS_OPERATOR, RABBITMQ_CLUSTER_OPERATOR
from tests.integration.crd.server import MANAGER, Answer, Server

Manifest = dict[str, Any]

_COPIES: Final = "celery-operator.test"
"""What the copies' groups end in; a group below k8s.io would need the Kubernetes project's approval."""
_CRDS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_SERVED_SECONDS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One CRD as its project publishes it: a file of a folder of a Go module."""

    kind: str
    group: str
    module: str
    version: str
    folder: str
    file: str

    @property
    def copied_group(self) -> str:
        """The group of the copy."""
        return f"{self.group}.{_COPIES}"

    def definition(self) -> Manifest:
        """The copy: nothing of it is changed but its group, its names for kubectl and its annotations."""
        path = module_files(self.module, self.version, self.folder) / self.file
        real = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        spec = real["spec"]
        assert (spec["group"], spec["names"]["kind"]) == (self.group, self.kind)
        names = {key: value for key, value in spec["names"].items() if key not in ("shortNames", "categories")}
        return {
            "apiVersion": real["apiVersion"],
            "kind": real["kind"],
            "metadata": {"name": f"{names['plural']}.{self.copied_group}"},
            "spec": {**spec, "group": self.copied_group, "names": names},
        }


def _of_prometheus(kind: str) -> Published:
    return Published(
        kind=kind,
        group="monitoring.coreos.com",
        module="github.com/prometheus-operator/prometheus-operator",
        version=PROMETHEUS_OPERATOR,
        folder="example/prometheus-operator-crd",
        file=f"monitoring.coreos.com_{kind.lower()}s.yaml",
    )


PUBLISHED: Final = (
    Published(
        kind="HTTPRoute",
        group="gateway.networking.k8s.io",
        module="sigs.k8s.io/gateway-api",
        version=GATEWAY_API,
        folder="config/crd/standard",
        file="gateway.networking.k8s.io_httproutes.yaml",
    ),
    _of_prometheus("PodMonitor"),
    _of_prometheus("ServiceMonitor"),
    _of_prometheus("PrometheusRule"),
    Published(
        kind="ScaledObject",
        group="keda.sh",
        module="github.com/kedacore/keda/v2",
        version=KEDA,
        folder="config/crd/bases",
        file="keda.sh_scaledobjects.yaml",
    ),
    Published(
        kind="RabbitmqCluster",
        group="rabbitmq.com",
        module="github.com/rabbitmq/cluster-operator/v2",
        version=RABBITMQ_CLUSTER_OPERATOR,
        folder="config/crd/bases",
        file="rabbitmq.com_rabbitmqclusters.yaml",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """The copies on a server that serves them."""

    server: Server

    def apply(self, manifest: Mapping[str, Any], *, dry_run: bool = True) -> Answer:
        """What the server says to the object if it is applied to the tests' namespace as an object of the copy.

        Without the owner: there is none, and an object whose owner does not exist is deleted at once.
        """
        metadata = {
            key: manifest["metadata"][key] for key in ("name", "labels", "annotations") if key in manifest["metadata"]
        }
        group, _, version = manifest["apiVersion"].partition("/")
        (published,) = (one for one in PUBLISHED if (one.group, one.kind) == (group, manifest["kind"]))
        parameters = {"fieldManager": MANAGER, "fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})}
        return self.server.call(
            "APPLY",
            f"{_collection(self.server, published, version)}/{metadata['name']}",
            {**manifest, "apiVersion": f"{published.copied_group}/{version}", "metadata": metadata},
            **parameters,
        )


def is_published(manifest: Mapping[str, Any]) -> bool:
    """Whether the object is of one of these kinds."""
    group = manifest["apiVersion"].partition("/")[0]
    return any((one.group, one.kind) == (group, manifest["kind"]) for one in PUBLISHED)


@contextmanager
def installed_copies(server: Server) -> Iterator[Copies]:
    """The copies, served; they are removed at the end, and everything of these kinds with them."""
    definitions = [one.definition() for one in PUBLISHED]
    try:
        for definition in definitions:
            url = f"{_CRDS}/{definition['metadata']['name']}"
            answer = server.call("APPLY", url, definition, fieldManager=MANAGER, force="true")
            assert answer.code in (200, 201), answer.body
        for published, definition in zip(PUBLISHED, definitions, strict=True):
            _wait_until_served(server, published, definition)
        yield Copies(server=server)
    finally:
        for definition in definitions:
            server.call("DELETE", f"{_CRDS}/{definition['metadata']['name']}")


def _collection(server: Server, published: Published, version: str) -> str:
    plural = f"{published.kind.lower()}s"
    return f"/apis/{published.copied_group}/{version}/namespaces/{server.namespace}/{plural}"


def _wait_until_served(server: Server, published: Published, definition: Manifest) -> None:
    versions = [one["name"] for one in definition["spec"]["versions"] if one["served"]]
    deadline = time.monotonic() + _SERVED_SECONDS
    while not all(server.call("GET", _collection(server, published, version)).code == 200 for version in versions):
        if time.monotonic() > deadline:
            pytest.fail(f"the API server does not serve the copy of {published.kind} after {_SERVED_SECONDS} s")
        time.sleep(0.1)
