"""The Debian packages that the local cluster needs: only missing ones are installed, nothing is removed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.cluster.cache import cache_folder, locked, step
from tests.cluster.commands import run_logged, succeeds
from tests.cluster.errors import ClusterError

NEEDED: dict[str, str] = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "socat": "socat",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "mount": "mount",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
    "gcc": "gcc",
    "/usr/include/stdio.h": "libc6-dev",
}
"""Program (or file) -> the package that has it."""

_SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def program(name: str) -> str:
    """The absolute path of an installed program; raises ClusterError when it is missing."""
    found = shutil.which(name, path=_SEARCH)
    if found is None:
        raise ClusterError(f"the program {name!r} is missing; install the package {NEEDED.get(name, name)!r}")
    return found


def missing_packages() -> list[str]:
    """Names of the packages whose programs are not on this machine."""
    absent = {
        package
        for thing, package in NEEDED.items()
        if not (Path(thing).exists() if thing.startswith("/") else shutil.which(thing, path=_SEARCH))
    }
    return sorted(absent)


def require_root() -> None:
    """The local cluster makes network devices, mounts and cgroups."""
    if os.geteuid() != 0:
        raise ClusterError(
            "the local cluster needs root (network devices, mounts, cgroups): run the command with sudo -E, or use "
            "CLUSTER=kind with Docker, or CLUSTER=current with CELERY_OPERATOR_KUBECONFIG"
        )


def install_missing() -> None:
    """Install the missing packages with apt-get. Services that come with them are stopped and disabled."""
    require_root()
    missing = missing_packages()
    if not missing:
        return
    apt = shutil.which("apt-get", path=_SEARCH)
    if apt is None:
        raise ClusterError(
            f"the local cluster needs programs of these Debian packages: {', '.join(missing)}; this machine has no "
            "apt-get, so install their equivalents by hand and try again"
        )
    log = cache_folder() / "logs" / "apt.log"
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    wait = ["-o", "DPkg::Lock::Timeout=600"]
    with locked(cache_folder() / "locks" / "apt.lock", "Debian packages"):
        with step("Debian packages", f"installing {', '.join(missing)}", 60):
            run_logged([apt, *wait, "update", "-q"], log, env=env)
            install = [apt, *wait, "install", "-y", "-q", "--no-remove", "--no-install-recommends", *missing]
            run_logged(install, log, env=env)
        if "containerd" in missing and Path("/run/systemd/system").exists():
            # The cluster starts its own; the service that the package brings is for others.
            succeeds("systemctl", "disable", "--now", "containerd")
