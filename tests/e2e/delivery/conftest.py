"""What the rows share: the second image, the second node, and the bench of a case."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cluster import provider, tool
from tests.e2e.release import WORKER_IMAGE
from tests.integration.kubectl import Kubectl

NEXT_IMAGE = f"{WORKER_IMAGE}-next"


@pytest.fixture(scope="session")
def next_image(images: None) -> str:
    """Release 2 of the task image, on every node."""
    cluster = provider()
    cluster.build_image(Path(__file__).parent / "next_release", NEXT_IMAGE, build_args={"BASE_IMAGE": WORKER_IMAGE})
    cluster.load_image(NEXT_IMAGE)
    return NEXT_IMAGE


@pytest.fixture(scope="session")
def two_nodes(kubeconfig: Path, next_image: str) -> list[str]:
    """The names of the nodes, at least two; a node that had to be added stays until the cluster goes."""
    provider().up(nodes=2)
    kubectl = Kubectl(tool("kubectl"), kubeconfig, namespace="default")
    return sorted(kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.name}").split())


@pytest.fixture(scope="session")
def kubernetes_version(kubeconfig: Path) -> str:
    """The API server's version."""
    command = [str(tool("kubectl")), f"--kubeconfig={kubeconfig}", "version", "-o", "json"]
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return str(answer["serverVersion"]["gitVersion"])
