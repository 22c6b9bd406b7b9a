"""Remove everything a local cluster left on the machine, from any state: running, half started, half removed, none."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from pathlib import Path

from tests.cluster.cache import remove
from tests.cluster.commands import succeeds
from tests.cluster.errors import ClusterError
from tests.cluster.local import cgroups, network
from tests.cluster.local.layout import DATA, NETWORK_NAME, STATE
from tests.cluster.local.processes import end, is_alive, marked_processes
from tests.cluster.local.state import ProcessRecord, State, load_state
from tests.cluster.packages import program

_CNI_RESULTS = Path("/var/lib/cni/results")
_POD_LOG_LINKS = Path("/var/log/containers")
_DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins")


def nothing_is_left() -> bool:
    """Whether this machine holds neither a local cluster nor remains of one."""
    return not STATE.exists() and not DATA.exists() and not cgroups.node_cgroups() and not marked_processes()


def clean_up() -> None:
    """End every process, then remove mounts, networks, cgroups and folders. Idempotent; raises ClusterError when stuck.

    The order is that of dependence: kubelets restart pods, runtimes restart containers, API clients wait for the API.
    """
    state = load_state() or State()
    proxied = _had_proxy(state)
    _end_processes(state)
    _unmount(STATE)
    _unmount(DATA)
    _remove_shim_sockets()
    _remove_network_results()
    if proxied:
        network.remove_proxy_rules()
    network.remove_node_network(state.kernel_settings)
    cgroups.remove_node_cgroups()
    _remove_log_links()
    _remove_device_plugin_folder()
    remove(DATA)
    remove(STATE)


def _had_proxy(state: State) -> bool:
    """Whether a kube-proxy of ours ran: by the saved state, and by what still runs should its file be unreadable."""
    names = [one.name for one in (*state.processes, *marked_processes())]
    return state.proxy_started or any(name.endswith("/kube-proxy") for name in names)


def _end_processes(state: State) -> None:
    found = {(one.pid, one.start_time): one for one in [*filter(is_alive, state.processes), *marked_processes()]}
    records = list(found.values())

    def part(program_name: str) -> list[ProcessRecord]:
        return [one for one in records if one.name.endswith(f"/{program_name}")]

    end(part("kubelet"))
    # Shims carry the mark that they inherit from their containerd.
    end(part("containerd"))
    cgroups.kill_pods()
    end([one for one in records if one.name not in ("etcd", "kube-apiserver")])
    end([one for one in records if one.name == "kube-apiserver"])
    end(records)
    # Whatever was being started by one of them just now.
    end(marked_processes())


def _unmount(folder: Path) -> None:
    """Unmount all below a folder, the deepest first; the kernel's list is read again until it has none."""
    for _ in range(20):
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        below = [one for one in mounts if one == str(folder) or one.startswith(f"{folder}/")]
        if not below:
            return
        for one in reversed(below):
            succeeds(program("umount"), one.replace("\\040", " ")) or succeeds(program("umount"), "-l", one)
    raise ClusterError(f"these mounts below {folder} cannot be unmounted: {', '.join(below)}")


def _remove_network_results() -> None:
    """Remove what the network plugins noted about our pods: results of our network, and of the loopback beside it."""
    for result in list(_CNI_RESULTS.glob(f"{NETWORK_NAME}-*")):
        container = result.name.removeprefix(f"{NETWORK_NAME}-").rpartition("-")[0]
        result.unlink(missing_ok=True)
        (_CNI_RESULTS / f"cni-loopback-{container}-lo").unlink(missing_ok=True)


def _remove_shim_sockets() -> None:
    """Remove the sockets of killed shims: they lie in a folder for all the machine, and each bundle names its own."""
    for address in STATE.glob("node-*/containerd/io.containerd.runtime.v2.task/*/*/address"):
        Path(address.read_text().removeprefix("unix://")).unlink(missing_ok=True)


def _remove_device_plugin_folder() -> None:
    """Remove the one folder that a kubelet makes at a fixed place, unless another kubelet uses it."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as asking:
        if asking.connect_ex(str(_DEVICE_PLUGINS / "kubelet.sock")) == errno.ECONNREFUSED:
            (_DEVICE_PLUGINS / "kubelet.sock").unlink()
    for folder in (_DEVICE_PLUGINS, _DEVICE_PLUGINS.parent):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _remove_log_links() -> None:
    if not _POD_LOG_LINKS.is_dir():
        return
    for link in _POD_LOG_LINKS.iterdir():
        if link.is_symlink() and os.readlink(link).startswith(f"{DATA}/"):
            link.unlink()
