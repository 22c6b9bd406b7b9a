"""What end-to-end tests share: the cluster, the operator installed by Helm, a namespace a test, one quick start."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster import provider, tool
from tests.demo.producer import Producer
from tests.e2e import manifests
from tests.e2e.api import Api, served
from tests.e2e.release import OPERATOR_IMAGE, TAKE_OVER_SECONDS, WORKER_IMAGE, Release
from tests.e2e.sharing import folder_of_run, once, shared
from tests.e2e.space import PodSecurity, Space
from tests.e2e.until import until
from tests.integration.kubectl import Kubectl

MakeSpace = Callable[..., Space]


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this run share."""
    return folder_of_run(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def kubeconfig(run_folder: Path) -> Path:
    """The kubeconfig of a cluster that is up."""
    cluster = provider()
    once(run_folder, "cluster", cluster.up)
    return cluster.kubeconfig()


@pytest.fixture(scope="session")
def api(kubeconfig: Path) -> Iterator[Api]:
    """The API server, with all rights."""
    with served(tool("kubectl"), kubeconfig) as connection:
        yield connection


@pytest.fixture(scope="session")
def images(kubeconfig: Path) -> None:
    """Both images are on a node; they are built and loaded by `make images`."""
    kubectl = Kubectl(tool("kubectl"), kubeconfig, namespace="default")

    def present() -> bool:
        names = kubectl.run("get", "nodes", "-o", "jsonpath={.items[*].status.images[*].names[*]}").stdout.split()
        return all(any(name.endswith(image) for name in names) for image in (OPERATOR_IMAGE, WORKER_IMAGE))

    try:
        until(present, within=180)  # the kubelet lists its images every 30 s, and reports them with its next status
    except AssertionError:
        pytest.fail(f"no node has {OPERATOR_IMAGE} and {WORKER_IMAGE}; run `make images` first")


@pytest.fixture(scope="session")
def session_release(api: Api, kubeconfig: Path, images: None, run_folder: Path) -> Iterator[Release]:
    """The operator, installed anew at the beginning and removed at the end: the integration tests want none."""
    release = Release(api, kubeconfig)
    with shared(run_folder, "operator", make=release.install, remove=release.uninstall):
        yield release


@pytest.fixture
def release(session_release: Release) -> Release:
    """The operator with the chart's defaults and a leader."""
    until(session_release.leader, within=TAKE_OVER_SECONDS)
    return session_release


@pytest.fixture
def make_space(api: Api, kubeconfig: Path) -> Iterator[MakeSpace]:
    """Makes namespaces of the test's own, by default such that enforce the Pod Security level `restricted`."""
    made: list[Space] = []

    def make(pod_security: PodSecurity = "restricted") -> Space:
        space = Space(api, kubeconfig, f"e2e-{uuid.uuid4().hex[:8]}")
        space.create(pod_security)
        made.append(space)
        return space

    yield make
    if not os.environ.get("KEEP_NAMESPACES"):
        for space in made:
            space.remove()


@pytest.fixture
def space(release: Release, make_space: MakeSpace) -> Space:
    """A namespace of the test's own, with the operator there."""
    return make_space()


@dataclass(frozen=True, slots=True, kw_only=True)
class QuickStart:
    """The sample as users apply it, Ready, with its producer. Tests that share it change nothing."""

    space: Space
    producer: Producer
    name: str = "quickstart"


@pytest.fixture(scope="session")
def quick_start(session_release: Release, api: Api, kubeconfig: Path) -> Iterator[QuickStart]:
    """One quick start for the whole session, read-only."""
    space = Space(api, kubeconfig, f"e2e-quickstart-{uuid.uuid4().hex[:8]}")
    space.create("restricted")
    space.apply(*manifests.sample("quickstart"))
    space.wait_ready("quickstart")
    for condition in ("BrokerReachable", "ResultBackendReachable", "WorkersConsuming"):
        space.wait_condition("quickstart", condition, "True", within=90)
    producer = space.start_producer("quickstart")
    yield QuickStart(space=space, producer=producer)
    producer.close()
    if not os.environ.get("KEEP_NAMESPACES"):
        space.remove()
