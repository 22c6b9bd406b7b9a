"""A machine with another Kubernetes: `up` refuses, and clean-up leaves that one's rules alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.local import cleanup, state
from tests.cluster.local.layout import PROCESS_MARK
from tests.cluster.local.state import ProcessRecord, State, boot_id, load_state

_CHECKOUT = Path(__file__).parents[3]
_ASK = "from tests.cluster.local.network import check_no_other_cluster; check_no_other_cluster()"
needs_a_network_of_its_own = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("iptables", path=f"{os.environ['PATH']}:/usr/sbin:/sbin"),
    reason="makes a network namespace and iptables chains in it",
)


def _asked_after(*commands: str) -> subprocess.CompletedProcess[str]:
    """Ask in a network namespace of its own, where these commands were run first."""
    script = "\n".join(("set -e", "PATH=$PATH:/usr/sbin:/sbin", "ip link set lo up", *commands, 'exec "$0" -c "$1"'))
    words = ["unshare", "--net", "sh", "-c", script, sys.executable, _ASK]
    return subprocess.run(words, cwd=_CHECKOUT, capture_output=True, text=True, timeout=60, check=False)


@needs_a_network_of_its_own
def test_an_empty_machine_and_chains_of_others_are_no_reason_to_refuse() -> None:
    asked = _asked_after("iptables -N DOCKER", "iptables -t nat -N CNI-HOSTPORT-DNAT")
    assert asked.returncode == 0, asked.stderr


@needs_a_network_of_its_own
@pytest.mark.parametrize(
    "command",
    [
        "iptables -t nat -N KUBE-SERVICES",
        "iptables -t filter -N KUBE-FIREWALL",
        "iptables-nft -t nat -N KUBE-SERVICES",
    ],
)
def test_chains_of_another_kubernetes_are_refused_whatever_its_addresses_are(command: str) -> None:
    asked = _asked_after(command)
    assert asked.returncode == 1
    assert command.rsplit(maxsplit=1)[1] in asked.stderr
    assert "CLUSTER=current" in asked.stderr
    assert "CLUSTER=kind" in asked.stderr


@needs_a_network_of_its_own
def test_addresses_of_another_network_are_refused() -> None:
    asked = _asked_after(
        "ip link add other type bridge", "ip link set other up", "ip route add 10.244.3.0/24 dev other"
    )
    assert asked.returncode == 1
    assert "10.244.3.0/24" in asked.stderr


@pytest.fixture
def state_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(state, "STATE_FILE", tmp_path / "state.json")
    return tmp_path / "state.json"


def test_that_a_proxy_was_started_outlives_the_command_and_not_the_machines_start(state_file: Path) -> None:
    State(boot_id=boot_id(), proxy_started=True).save()
    kept = load_state()
    assert kept is not None
    assert kept.proxy_started
    State(boot_id="of an earlier start", proxy_started=True).save()
    kept = load_state()
    assert kept is not None
    assert not kept.proxy_started


def test_rules_are_ours_when_the_state_or_a_process_says_so() -> None:
    proxy = ProcessRecord(name="node-1/kube-proxy", pid=1, start_time=1)
    assert cleanup._had_proxy(State(proxy_started=True))
    assert cleanup._had_proxy(State(processes=[proxy]))


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a process namespace, where no other cluster's proxy runs")
def test_a_proxy_that_no_file_knows_is_found_by_its_mark() -> None:
    asking = "from tests.cluster.local.cleanup import _had_proxy, State; print(_had_proxy(State()))"
    # The mark is in the environment of the sleeper, which is still the shell for a moment.
    script = (
        f'"$0" -c "$1"; {PROCESS_MARK}=node-1/kube-proxy sleep 600 &'
        f' until grep -qz "^{PROCESS_MARK}=" /proc/$!/environ; do sleep 0.1; done; "$0" -c "$1"'
    )
    words = ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", script, sys.executable, asking]
    # The namespace ends with the shell, and its sleeper with it.
    said = subprocess.run(words, cwd=_CHECKOUT, stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout
    assert said.split() == ["False", "True"]
