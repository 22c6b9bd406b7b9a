"""What the rows share: the second image, the second node, and the bench of a case."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cluster import provider, tool
from tests.e2e.release import WORKER_IMAGE
from tests.e2e.sharing import once
from tests.integration.kubectl import Kubectl

NEXT_IMAGE = f"{WORKER_IMAGE}-next"


@pytest.fixture(scope="session")
def next_image(images: None, run_folder: Path) -> str:
    """Release 2 of the task image, on every node."""

    def make() -> None:
        cluster = provider()
        context = Path(__file__).parent / "next_release"
        cluster.build_image(context, NEXT_IMAGE, build_args={"BASE_IMAGE": WORKER_IMAGE})
        cluster.load_image(NEXT_IMAGE)

    once(run_folder, "next-image", make)
    return NEXT_IMAGE


@pytest.fixture(scope="session")
def two_nodes(kubeconfig: Path, next_image: str, run_folder: Path) -> list[str]:
    """The names of the nodes, at least two; a node that had to be added stays until the cluster goes."""
    once(run_folder, "two-nodes", lambda: provider().up(nodes=2))
    kubectl = Kubectl(tool("kubectl"), kubeconfig, namespace="default")
    return sorted(kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.name}").split())


@pytest.fixture(scope="session")
def kubernetes_version(kubeconfig: Path) -> str:
    """The API server's version."""
    command = [str(tool("kubectl")), f"--kubeconfig={kubeconfig}", "version", "-o", "json"]
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return str(answer["serverVersion"]["gitVersion"])
