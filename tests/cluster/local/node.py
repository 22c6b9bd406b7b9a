"""One node: containerd, kubelet, kube-proxy, on the machine itself or in a network namespace that plays a machine."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cluster.commands import output_of, run_logged
from tests.cluster.errors import ClusterError
from tests.cluster.images import PAUSE_IMAGE
from tests.cluster.local import cgroups, network
from tests.cluster.local.api import Api, wait_for
from tests.cluster.local.image_store import copy_store
from tests.cluster.local.layout import (
    DNS_DOMAIN,
    HOST_ADDRESS,
    LOGS,
    NETWORK_NAME,
    PKI,
    POD_NETWORK,
    NodePlace,
)
from tests.cluster.local.pki import Authority
from tests.cluster.local.processes import end, is_alive, log_tail, marked_processes, start
from tests.cluster.local.state import State
from tests.cluster.packages import program
from tests.cluster.toolchain import tool

_CONTAINERD = """version = 2
root = "{data}/containerd"
state = "{folder}/containerd"
temp = "{data}/tmp"

[grpc]
  address = "{socket}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{data}/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  disable_apparmor = {no_apparmor}
  netns_mounts_under_state_dir = true

[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "overlayfs"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  Root = "{folder}/runc"

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "{folder}/cni"
"""


def start_containerd(state: State, place: NodePlace) -> None:
    """Make the node's folders, network and cgroup and start its container runtime; returns when that answers."""
    for folder in (place.folder / "cni", place.data / "tmp", place.data / "kubelet"):
        folder.mkdir(parents=True)
    if place.number not in state.nodes:
        state.nodes.append(place.number)
        state.save()
    copy_store(Path(state.image_store), place.data / "containerd")
    network.make_node_namespace(place)
    cgroups.make_node_cgroup(place)
    (place.folder / "cni" / "10-pods.conflist").write_text(json.dumps(_pod_network(place), indent=1))
    configuration = place.folder / "containerd.toml"
    configuration.write_text(
        _CONTAINERD.format(
            data=place.data,
            folder=place.folder,
            socket=place.containerd_socket,
            pause=PAUSE_IMAGE,
            no_apparmor="false" if Path("/sys/kernel/security/apparmor").exists() else "true",
        )
    )
    name = place.process("containerd")
    record = start(state, name, [program("containerd"), "-c", configuration], network_namespace=place.network_namespace)

    def answers() -> bool:
        if not is_alive(record):
            raise ClusterError(f"{name} ended; {log_tail(name)}")
        return place.containerd_socket.exists()

    wait_for(f"{name} answering", 30, answers, lambda: log_tail(name))
    output_of(*_ctr(place, "version"))


def start_kubelet(state: State, place: NodePlace, authority: Authority) -> None:
    """Start the node's kubelet and kube-proxy; the node becomes Ready some time later."""
    identity = authority.issue(place.name, f"system:node:{place.name}", organization="system:nodes")
    kubeconfig = authority.kubeconfig(place.folder / "kubelet.kubeconfig", identity)
    configuration = place.folder / "kubelet.json"
    configuration.write_text(json.dumps(_kubelet_configuration(place), indent=1))
    flags = {
        "config": configuration,
        "kubeconfig": kubeconfig,
        "hostname-override": place.name,
        "node-ip": place.address,
        "root-dir": place.data / "kubelet",
        "cert-dir": place.data / "kubelet" / "pki",
    }
    words = [f"--{name}={value}" for name, value in flags.items()]
    start(state, place.process("kubelet"), [tool("kubelet"), *words], network_namespace=place.network_namespace)
    proxy = authority.issue(f"{place.name}-proxy", "system:kube-proxy")
    proxy_configuration = place.folder / "kube-proxy.json"
    kubeconfig = authority.kubeconfig(place.folder / "kube-proxy.kubeconfig", proxy)
    proxy_configuration.write_text(json.dumps(_proxy_configuration(place, kubeconfig), indent=1))
    # Before the start: whoever cleans up after a killed `up` must know that these rules may be ours.
    state.proxy_started = True
    state.save()
    start(
        state,
        place.process("kube-proxy"),
        [tool("kube-proxy"), f"--config={proxy_configuration}", f"--hostname-override={place.name}"],
        network_namespace=place.network_namespace,
    )


def wait_for_node(state: State, place: NodePlace, api: Api) -> None:
    """Wait until the node is Ready; raises ClusterError with the kubelet's last lines if it ends or takes a minute."""
    name = place.process("kubelet")

    def ready() -> bool:
        record = state.record(name)
        if record is None or not is_alive(record):
            raise ClusterError(f"{name} ended; {log_tail(name)}")
        return place.name in api.ready_nodes()

    wait_for(f"{place.name} Ready", 60, ready, lambda: log_tail(name))


def import_image(place: NodePlace, archive: Path) -> None:
    """Load an image archive (OCI or Docker) into the node's container runtime."""
    run_logged(
        _ctr(place, "-n", "k8s.io", "images", "import", "--snapshotter", "overlayfs", archive),
        LOGS / f"{place.name}-images.log",
    )


def image_names(place: NodePlace) -> set[str]:
    """Names of the images that the node has."""
    return set(output_of(*_ctr(place, "-n", "k8s.io", "images", "list", "-q")).split())


def tag_image(place: NodePlace, name: str, new_name: str) -> None:
    """Give an image of the node another name."""
    output_of(*_ctr(place, "-n", "k8s.io", "images", "tag", "--force", name, new_name))


def lose_node(state: State, place: NodePlace) -> None:
    """End the node as a power failure does: kubelet, runtime, proxy and every pod's process, with no word to anyone."""
    state.stopped_nodes.append(place.number)
    state.save()
    own = [record for record in marked_processes() if record.name.startswith(f"{place.name}/")]
    # The kubelet first: it would start pods again.
    end([record for record in own if record.name == place.process("kubelet")])
    end(own)
    cgroups.kill_pods(place.cgroup)


def _ctr(place: NodePlace, *words: str | Path) -> list[str | Path]:
    return [program("ctr"), "-a", place.containerd_socket, *words]


def _pod_network(place: NodePlace) -> dict[str, object]:
    ranges = [[{"subnet": place.pod_range}]]
    bridge = {
        "type": "bridge",
        "bridge": place.pod_bridge,
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": ranges,
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(place.data / "addresses"),
        },
    }
    return {
        "cniVersion": "0.4.0",
        "name": NETWORK_NAME,
        "plugins": [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}],
    }


def _kubelet_configuration(place: NodePlace) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": place.address,
        "authentication": {
            "x509": {"clientCAFile": str(PKI / "ca.crt")},
            # metrics-server comes with the token of its ServiceAccount.
            "webhook": {"enabled": True},
            "anonymous": {"enabled": False},
        },
        "authorization": {"mode": "Webhook"},
        "healthzPort": 0,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{place.cgroup}",
        "failCgroupV1": False,
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        # The kubelet's own rules would stay behind it: nothing here needs them.
        "makeIPTablesUtilChains": False,
        "clusterDNS": [HOST_ADDRESS],
        "clusterDomain": DNS_DOMAIN,
        "resolvConf": "",
        "containerRuntimeEndpoint": f"unix://{place.containerd_socket}",
        "volumePluginDir": str(place.data / "volume-plugins"),
        "podLogsDir": str(place.data / "pod-logs"),
        "staticPodPath": "",
        # The machine's disk is its owner's business: no image is removed and no pod evicted for a full one.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "maxPods": 200,
    }


def _proxy_configuration(place: NodePlace, kubeconfig: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "mode": "iptables",
        # Node ports on 127.0.0.1 would need a kernel setting and a chain that kube-proxy never removes.
        "iptables": {"localhostNodePorts": False},
        "clusterCIDR": POD_NETWORK,
        "bindAddress": place.address,
        "healthzBindAddress": f"{place.address}:10256",
        "metricsBindAddress": f"{place.address}:10249",
        # Connection-tracking limits are the machine's, and not ours to change.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
