"""The kind provider: the same cluster by the usual road, where Docker works and the node image can be pulled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.audit import AUDIT_POLICY
from tests.cluster.cache import cache_folder, locked, remove, say, step
from tests.cluster.commands import output_of, run_logged, succeeds
from tests.cluster.docker import docker_answers, docker_build
from tests.cluster.errors import ClusterError, UnsupportedByProvider
from tests.cluster.toolchain import tool
from tests.cluster.versions import KIND_NODE_IMAGE

CLUSTER_NAME = "celery-operator"
_INSIDE = "/var/log/celery-operator-audit"
_COMPLETE = "/var/lib/celery-operator-complete"
"""A file in the first node's container: it is made when `kind create` has succeeded, and goes with the container."""
_LEAST_NODES = 2
"""Tests that drain a node need a second one, and kind can add none later: so whoever comes first makes two."""
_ALSO_RUNS_PODS = {"kind": "InitConfiguration", "nodeRegistration": {"taints": []}}
"""kind takes the control plane's taint away only where it is the one node; of two, pods would run on one alone."""


class KindProvider:
    """A kind cluster named celery-operator; other kind clusters of the machine are not touched."""

    name = "kind"

    @property
    def audit_log(self) -> Path | None:
        """The API server's audit log, through a folder that its container shares."""
        return _folder() / "audit" / "audit.log"

    def up(self, nodes: int = 1) -> None:
        """Create the cluster, of two nodes at least, unless it exists with enough of them.

        One whose creation was killed is created anew.
        """
        with locked(cache_folder() / "locks" / "kind.lock", "kind cluster"):
            have = len(_nodes())
            if have and not _is_complete():
                say("kind cluster: its creation was not completed, or its first node is stopped; creating it anew")
                _delete()
                have = 0
            if have >= nodes:
                say(f"kind cluster: already up with {have} node(s)")
                self._write_kubeconfig()
                return
            if have:
                raise UnsupportedByProvider(
                    f"the kind cluster has {have} node(s), {nodes} are wanted: take it down first"
                )
            remove(_folder())
            (_folder() / "audit").mkdir(parents=True)
            (_folder() / "audit" / "policy.json").write_text(json.dumps(AUDIT_POLICY))
            configuration = _folder() / "kind.json"
            wanted = max(nodes, _LEAST_NODES)
            configuration.write_text(json.dumps(_configuration(wanted), indent=1))
            words = ["--image", KIND_NODE_IMAGE, "--config", configuration, "--wait", "120s"]
            log = cache_folder() / "logs" / "kind.log"
            with step("kind cluster", f"starting with {wanted} nodes", 60):
                run_logged([*_kind("create", "cluster"), *words, "--kubeconfig", _folder() / "kubeconfig"], log)
                output_of("docker", "exec", _first_node(), "touch", _COMPLETE)

    def down(self) -> None:
        """Delete the cluster."""
        with locked(cache_folder() / "locks" / "kind.lock", "kind cluster"):
            if not _nodes():
                say("kind cluster: not up, nothing to do")
                return
            _delete()

    def status(self) -> list[str]:
        """The kubeconfig's path, then a line for each node."""
        return [f"kind cluster, kubeconfig {self.kubeconfig()}, audit log {self.audit_log}", *_nodes()]

    def kubeconfig(self) -> Path:
        """The kubeconfig that kind wrote for this cluster alone."""
        path = _folder() / "kubeconfig"
        if not path.exists() or not _nodes() or not _is_complete():
            raise ClusterError("the kind cluster is not up; start it with `make cluster-up`")
        return path

    def build_image(
        self, context: Path, tag: str, dockerfile: Path | None = None, build_args: Mapping[str, str] | None = None
    ) -> Path | None:
        """Build with Docker."""
        docker_build(context, tag, dockerfile, build_args or {})
        return None

    def load_image(self, image: str) -> None:
        """Load an archive, or an image that Docker has."""
        what = "image-archive" if Path(image).is_file() else "docker-image"
        with step(f"image {image}", "loading"):
            run_logged([*_kind("load", what), image], cache_folder() / "logs" / "kind.log")

    def add_node(self) -> str:
        """Not possible with kind."""
        raise UnsupportedByProvider("kind adds no node to a running cluster; `make cluster-down cluster-up NODES=N`")

    def stop_node(self, name: str) -> None:
        """Kill the node's container."""
        if name not in _nodes():
            raise ClusterError(f"the kind cluster has no node {name!r}; it has {', '.join(_nodes()) or 'none'}")
        output_of("docker", "kill", name)

    def _write_kubeconfig(self) -> None:
        run_logged(
            [*_kind("export", "kubeconfig"), "--kubeconfig", _folder() / "kubeconfig"],
            cache_folder() / "logs" / "kind.log",
        )


def _folder() -> Path:
    return cache_folder() / "kind"


def _kind(*words: str) -> list[str | Path]:
    return [tool("kind"), *words, "--name", CLUSTER_NAME]


def _nodes() -> list[str]:
    if not docker_answers():
        raise ClusterError("kind needs Docker and none answers on this machine; start it, or use CLUSTER=local")
    return output_of(*_kind("get", "nodes"), timeout=30).split()


def _first_node() -> str:
    return f"{CLUSTER_NAME}-control-plane"


def _is_complete() -> bool:
    """Whether the cluster's creation ended well, and its first node runs."""
    return succeeds("docker", "exec", _first_node(), "test", "-e", _COMPLETE)


def _delete() -> None:
    with step("kind cluster", "deleting"):
        log = cache_folder() / "logs" / "kind.log"
        run_logged([*_kind("delete", "cluster"), "--kubeconfig", _folder() / "kubeconfig"], log)
        remove(_folder())


def _configuration(nodes: int) -> dict[str, object]:
    mount = {"hostPath": str(_folder() / "audit"), "containerPath": _INSIDE}
    patch = {
        "kind": "ClusterConfiguration",
        "apiServer": {
            "extraArgs": {
                "audit-policy-file": f"{_INSIDE}/policy.json",
                "audit-log-path": f"{_INSIDE}/audit.log",
                "audit-log-mode": "blocking",
            },
            "extraVolumes": [{"name": "audit", "hostPath": _INSIDE, "mountPath": _INSIDE, "pathType": "Directory"}],
        },
    }
    patches = [json.dumps(one) for one in (patch, _ALSO_RUNS_PODS)]
    first = {"role": "control-plane", "extraMounts": [mount], "kubeadmConfigPatches": patches}
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [first, *({"role": "worker"} for _ in range(nodes - 1))],
    }
