"""The provider for a cluster that the user named: it is never made, changed or removed here."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.cache import cache_folder, say
from tests.cluster.commands import output_of, run_logged
from tests.cluster.docker import docker_build
from tests.cluster.errors import ClusterError, UnsupportedByProvider
from tests.cluster.toolchain import tool

KUBECONFIG_VARIABLE = "CELERY_OPERATOR_KUBECONFIG"
LOAD_COMMAND_VARIABLE = "CELERY_OPERATOR_LOAD_COMMAND"


class CurrentProvider:
    """The cluster of the kubeconfig that CELERY_OPERATOR_KUBECONFIG names; an ambient KUBECONFIG is never read."""

    name = "current"
    audit_log: Path | None = None

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig

    def up(self, nodes: int = 1) -> None:
        """Check that the cluster answers and has enough nodes."""
        have = len(self.status()) - 1
        if have < nodes:
            raise UnsupportedByProvider(f"{nodes} nodes are wanted and the cluster of {self._kubeconfig} has {have}")

    def down(self) -> None:
        """Leave the cluster as it is: it is the user's."""
        say(f"current cluster: {self._kubeconfig} is yours and stays as it is")

    def status(self) -> list[str]:
        """The kubeconfig's path, then a line for each node."""
        words = ("--kubeconfig", self._kubeconfig, "get", "nodes", "-o", "name", "--request-timeout=15s")
        return [f"current cluster, kubeconfig {self._kubeconfig}", *output_of(tool("kubectl"), *words).split()]

    def kubeconfig(self) -> Path:
        """The path that the user named."""
        return self._kubeconfig

    def build_image(
        self, context: Path, tag: str, dockerfile: Path | None = None, build_args: Mapping[str, str] | None = None
    ) -> Path | None:
        """Build with Docker."""
        docker_build(context, tag, dockerfile, build_args or {})
        return None

    def load_image(self, image: str) -> None:
        """Run the command of CELERY_OPERATOR_LOAD_COMMAND with the image's name (or archive) as its last word."""
        command = os.environ.get(LOAD_COMMAND_VARIABLE)
        if not command:
            raise ClusterError(
                f"how image {image} gets into your cluster is not known here; set {LOAD_COMMAND_VARIABLE} to a command "
                "that takes the image's name as its last word, for example 'k3d image import' or 'docker push'"
            )
        run_logged([*shlex.split(command), image], cache_folder() / "logs" / "load.log")

    def add_node(self) -> str:
        """Not possible."""
        raise UnsupportedByProvider("nodes of a cluster that is yours are not added here; use CLUSTER=local")

    def stop_node(self, name: str) -> None:
        """Not possible."""
        raise UnsupportedByProvider(f"node {name} of a cluster that is yours is not stopped here; use CLUSTER=local")
