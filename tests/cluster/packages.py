"""Debian packages that cluster and tests need: only missing ones are installed, nothing is removed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
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
"""What the local cluster needs: program (or file) -> the package that has it."""

SERVERS: dict[str, str] = {
    "redis-server": "redis-server",
    "epmd": "erlang-base",
    "/usr/lib/rabbitmq/bin/rabbitmq-server": "rabbitmq-server",
}
"""What the integration tests start as processes of their own, in the same form."""

_SERVICES = {
    "containerd": "containerd",
    "prometheus": "prometheus",
    "rabbitmq-server": "rabbitmq-server",
    "redis-server": "redis-server",
}
"""Services that come with packages; ours are processes with folders and ports of their own."""

_SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def program(name: str) -> str:
    """The absolute path of an installed program; raises ClusterError when it is missing."""
    found = shutil.which(name, path=_SEARCH)
    if found is None:
        raise ClusterError(f"the program {name!r} is missing; install the package {NEEDED.get(name, name)!r}")
    return found


def missing_packages(needed: Mapping[str, str] = NEEDED) -> list[str]:
    """Names of the packages whose programs are not on this machine."""
    absent = {
        package
        for thing, package in needed.items()
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


def install_missing(needed: Mapping[str, str] = NEEDED) -> None:
    """Install the missing packages with apt-get. Services that come with them are stopped and disabled."""
    missing = missing_packages(needed)
    if not missing:
        return
    if os.geteuid() != 0:
        raise ClusterError(f"packages are missing; run: sudo apt-get install {' '.join(missing)}")
    apt = shutil.which("apt-get", path=_SEARCH)
    if apt is None:
        raise ClusterError(
            f"programs of these Debian packages are needed: {', '.join(missing)}; this machine has no "
            "apt-get, so install their equivalents by hand and try again"
        )
    log = cache_folder() / "logs" / "apt.log"
    # RUNLEVEL=1 keeps packages from starting their services on machines without systemd.
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    wait = ["-o", "DPkg::Lock::Timeout=600"]
    with locked(cache_folder() / "locks" / "apt.lock", "Debian packages"):
        with step("Debian packages", f"installing {', '.join(missing)}", 60):
            run_logged([apt, *wait, "update", "-q"], log, env=env)
            install = [apt, *wait, "install", "-y", "-q", "--no-remove", "--no-install-recommends", *missing]
            run_logged(install, log, env=env)
        if Path("/run/systemd/system").exists():
            for package in _SERVICES.keys() & set(missing):
                succeeds("systemctl", "disable", "--now", _SERVICES[package])
