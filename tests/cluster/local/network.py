"""Network devices of the local cluster: a bridge as the nodes' network, a namespace for each further node."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path

from tests.cluster.commands import output_of, succeeds
from tests.cluster.errors import ClusterError
from tests.cluster.local.layout import (
    BRIDGE,
    HOST_ADDRESS,
    NETWORK_NAME,
    NODE_NETWORK,
    POD_NETWORK,
    SERVICE_NETWORK,
    NodePlace,
)
from tests.cluster.local.state import State
from tests.cluster.packages import program
from tests.cluster.toolchain import tool

_KERNEL = Path("/proc/sys")
_WANTED_SETTINGS = {"net/ipv4/ip_forward": "1", "net/bridge/bridge-nf-call-iptables": "1"}
_FIREWALL_CHAIN = "KUBE-FIREWALL"
_CHAINS_OF_A_CLUSTER = {"KUBE-SERVICES", _FIREWALL_CHAIN}
"""What any kube-proxy and any kubelet makes, k3s' own among them."""
_OTHER_LISTINGS = ("iptables-legacy-save", "iptables-nft-save")
_CHANGED_BY_KUBELETS = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
_RULES = (
    ("nat", "POSTROUTING", ("-s", NODE_NETWORK, "!", "-o", BRIDGE, "-j", "MASQUERADE")),
    ("filter", "FORWARD", ("-s", NODE_NETWORK, "-j", "ACCEPT")),
    ("filter", "FORWARD", ("-d", NODE_NETWORK, "-j", "ACCEPT")),
    ("filter", "FORWARD", ("-s", POD_NETWORK, "-j", "ACCEPT")),
    ("filter", "FORWARD", ("-d", POD_NETWORK, "-j", "ACCEPT")),
)


def check_no_other_cluster() -> None:
    """Raise ClusterError when the machine runs another Kubernetes, to be asked when remains of ours are gone.

    A second kube-proxy would rewrite the chains of the first, and our clean-up would remove them.
    """
    _check_addresses_are_free()
    listing = output_of(program("iptables-save"))
    for other in _OTHER_LISTINGS:
        # The kernel has two sets of tables, and the other cluster's program may use the one that ours does not.
        with contextlib.suppress(ClusterError):
            listing += output_of(program(other))
    found = sorted(_CHAINS_OF_A_CLUSTER & {line[1:].split()[0] for line in listing.splitlines() if line[:1] == ":"})
    if found:
        raise ClusterError(
            f"this machine has the iptables chains of another Kubernetes ({', '.join(found)}), and two that share them "
            "break each other. Use that cluster by CLUSTER=current with CELERY_OPERATOR_KUBECONFIG, or CLUSTER=kind, "
            "which is apart from it. If none runs here any more these are its remains: remove them as its manual says, "
            "or restart the machine"
        )


def _check_addresses_are_free() -> None:
    routes = output_of(program("ip"), "-4", "route", "show")
    prefixes = tuple(network.split(".0")[0] + "." for network in (NODE_NETWORK, SERVICE_NETWORK, POD_NETWORK))
    taken = [line for line in routes.splitlines() if line.startswith(prefixes)]
    if taken:
        raise ClusterError(
            f"the addresses of the local cluster ({NODE_NETWORK}, {SERVICE_NETWORK}, {POD_NETWORK}) are in use on this "
            f"machine: {'; '.join(taken)}. Another cluster runs here; stop it, or use it by CLUSTER=current"
        )


def make_node_network(state: State) -> None:
    """Make the bridge, allow forwarding, masquerade what leaves the machine. `state` keeps old kernel settings."""
    ip = program("ip")
    succeeds("modprobe", "br_netfilter")
    for name in (*_WANTED_SETTINGS, *_CHANGED_BY_KUBELETS):
        path = _KERNEL / name
        if name in _WANTED_SETTINGS and not path.exists():
            raise ClusterError(f"this kernel has no setting {path}; load the module br_netfilter and try again")
        if path.exists():
            state.kernel_settings[name] = path.read_text().strip()
    state.save()
    for name, wanted in _WANTED_SETTINGS.items():
        (_KERNEL / name).write_text(wanted)
    output_of(ip, "link", "add", BRIDGE, "type", "bridge")
    output_of(ip, "address", "add", f"{HOST_ADDRESS}/24", "dev", BRIDGE)
    output_of(ip, "link", "set", BRIDGE, "up")
    for table, chain, rule in _RULES:
        output_of(*_rule(table, "-I", chain, rule))


def make_node_namespace(place: NodePlace) -> None:
    """Give a further node a network of its own, connected to the bridge; a no-op for the first node."""
    namespace = place.network_namespace
    if namespace is None:
        return
    ip = program("ip")
    inner = [ip, "-n", namespace]
    output_of(ip, "netns", "add", namespace)
    output_of(ip, "link", "add", place.outer_device, "type", "veth", "peer", "name", "eth0", "netns", namespace)
    output_of(ip, "link", "set", place.outer_device, "master", BRIDGE, "up")
    output_of(*inner, "link", "set", "lo", "up")
    output_of(*inner, "address", "add", f"{place.address}/24", "dev", "eth0")
    output_of(*inner, "link", "set", "eth0", "up")
    output_of(*inner, "route", "add", "default", "via", HOST_ADDRESS)
    output_of(ip, "route", "add", place.pod_range, "via", place.address)
    inside = [program("nsenter"), f"--net=/run/netns/{namespace}", "sh", "-c"]
    for name, wanted in _WANTED_SETTINGS.items():
        output_of(*inside, f"[ ! -e {_KERNEL / name} ] || echo {wanted} > {_KERNEL / name}")


def remove_node_network(kernel_settings: dict[str, str]) -> None:
    """Remove devices, namespaces and rules that carry our names, whatever is there of them."""
    ip = program("ip")
    for line in output_of(ip, "netns", "list").splitlines():
        if line.startswith("celery-operator-node-"):
            output_of(ip, "netns", "delete", line.split()[0])
    for line in output_of(ip, "-o", "link", "show").splitlines():
        device = line.split(":")[1].strip().split("@")[0]
        ours = device == BRIDGE or device.startswith(("kube-node-", "kube-pods"))
        # A veth goes with its namespace at any moment, so that it is gone is as good as removing it.
        if ours and not succeeds(ip, "link", "delete", device) and succeeds(ip, "link", "show", device):
            raise ClusterError(f"the network device {device} cannot be removed; try `ip link delete {device}`")
    for table, chain, rule in _RULES:
        while succeeds(*_rule(table, "-D", chain, rule)):
            pass
    _remove_pod_rules()
    for name, before in kernel_settings.items():
        if (_KERNEL / name).read_text().strip() != before:
            (_KERNEL / name).write_text(before)


def remove_proxy_rules() -> None:
    """Remove the rules of Services: kube-proxy's own clean-up, and the chain that it makes but leaves to kubelets.

    Only for a machine where ours ran: the chains of another Kubernetes have the same names.
    """
    succeeds(tool("kube-proxy"), "--cleanup")
    for iptables in ("iptables", "ip6tables"):
        words = (program(iptables), "-w")
        for chain in ("INPUT", "OUTPUT"):
            while succeeds(*words, "-D", chain, "-j", _FIREWALL_CHAIN):
                pass
        succeeds(*words, "-F", _FIREWALL_CHAIN)
        succeeds(*words, "-X", _FIREWALL_CHAIN)


def _rule(table: str, action: str, chain: str, rule: tuple[str, ...]) -> list[str]:
    comment = ("-m", "comment", "--comment", NETWORK_NAME)
    return [program("iptables"), "-w", "-t", table, action, chain, *rule[:-2], *comment, *rule[-2:]]


def _remove_pod_rules() -> None:
    """Remove what the bridge and portmap plugins left for pods that were killed: each rule names our pod network."""
    iptables = [program("iptables"), "-w", "-t", "nat"]
    rules = output_of(*iptables, "-S").splitlines()
    chains = set()
    for rule in rules:
        words = rule.replace('\\"', "").replace('"', "").split()
        if words[0] == "-A" and NETWORK_NAME in rule and "-j" in words:
            target = words[words.index("-j") + 1]
            if target.startswith("CNI-"):
                chains.add(target)
    for chain in chains:
        for rule in rules:
            words = rule.split()
            if words[0] == "-A" and chain in words:
                succeeds(*iptables, "-D", *shlex.split(rule)[1:])
        succeeds(*iptables, "-F", chain)
        succeeds(*iptables, "-X", chain)
