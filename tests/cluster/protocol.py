"""What every provider of a cluster can be asked for, so that tests and the Makefile need not know which one it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class Provider(Protocol):
    """One cluster. Every method returns when what it promises is true, and raises ClusterError when it cannot be."""

    @property
    def name(self) -> str:
        """`current`, `kind` or `local`."""

    @property
    def audit_log(self) -> Path | None:
        """The API server's audit log of writes (level Metadata, a JSON event a line); None where nobody can have it."""

    def up(self, nodes: int = 1) -> None:
        """Make the cluster with at least that many nodes; quick when it is up already."""

    def down(self) -> None:
        """Remove the cluster; nothing happens when there is none. A cluster of the user's own is left alone."""

    def status(self) -> list[str]:
        """Lines for people about a cluster that is up."""

    def kubeconfig(self) -> Path:
        """The path of a kubeconfig whose current context is this cluster, for one with all rights."""

    def build_image(
        self, context: Path, tag: str, dockerfile: Path | None = None, build_args: Mapping[str, str] | None = None
    ) -> Path | None:
        """Build an image that `load_image(tag)` can load; returns its OCI archive where the provider makes one."""

    def load_image(self, image: str) -> None:
        """Give every node an image: a path of an OCI or Docker archive, or a name as it was built."""

    def add_node(self) -> str:
        """Add a node and return its name."""

    def stop_node(self, name: str) -> None:
        """Lose a node without warning: its kubelet, its container runtime and its pods die."""
