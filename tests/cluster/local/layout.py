"""Where the local cluster keeps what it has and which addresses it uses: one cluster a machine, so these are constants.

Sockets have short paths (108 bytes is the kernel's limit); images, volumes and the database lie on a disk because
/run is often in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

STATE = Path("/run/celery-operator-cluster")
DATA = Path("/var/lib/celery-operator-cluster")
LOCK = Path("/run/celery-operator-cluster.lock")

KUBECONFIG = STATE / "kubeconfig"
AUDIT_LOG = STATE / "audit" / "audit.log"
PKI = STATE / "pki"
LOGS = STATE / "logs"
VOLUMES = DATA / "volumes"

BRIDGE = "kube0"
HOST_ADDRESS = "10.99.0.1"
NODE_NETWORK = "10.99.0.0/24"
SERVICE_NETWORK = "10.96.0.0/16"
SERVICE_OF_API = "10.96.0.1"
POD_NETWORK = "10.244.0.0/16"
API_URL = f"https://{HOST_ADDRESS}:6443"
ETCD_URL = f"http://{HOST_ADDRESS}:2379"
DNS_DOMAIN = "cluster.local"

NETWORK_NAME = "celery-operator-cluster"
"""Name of the pods' network: container network rules and results carry it, so that clean-up finds ours only."""
PROCESS_MARK = "CELERY_OPERATOR_CLUSTER_PROCESS"
"""An environment variable of every process that we start and of every shim below them; its value is a process name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlace:
    """Names, addresses and folders of the node with this number. Node 1 lives on the machine itself."""

    number: int

    @property
    def name(self) -> str:
        return f"node-{self.number}"

    @property
    def address(self) -> str:
        return f"10.99.0.{self.number}"

    @property
    def pod_range(self) -> str:
        return f"10.244.{self.number}.0/24"

    @property
    def network_namespace(self) -> str | None:
        """The network namespace that is the node's machine; None for the first node."""
        return None if self.number == 1 else f"celery-operator-{self.name}"

    @property
    def outer_device(self) -> str:
        return f"kube-{self.name}"

    @property
    def pod_bridge(self) -> str:
        return f"kube-pods{self.number}"

    @property
    def cgroup(self) -> str:
        """Below every cgroup hierarchy. Kubelets that share one would remove each other's pods as orphans."""
        return f"celery-operator-{self.name}"

    @property
    def folder(self) -> Path:
        """Configuration and sockets."""
        return STATE / self.name

    @property
    def data(self) -> Path:
        """Images, pods' folders and logs."""
        return DATA / self.name

    @property
    def containerd_socket(self) -> Path:
        return self.folder / "containerd.sock"

    def process(self, program: str) -> str:
        """The recorded name of one of the node's processes."""
        return f"{self.name}/{program}"
