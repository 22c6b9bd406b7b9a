"""A start that is killed half way, and a node that is lost, leave nothing that the next start or `down` cannot clean.

Slow, needs root, and refuses to run while a cluster is up: it is for the long runs and for changes of the tooling.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.local.api import Api, wait_for
from tests.cluster.local.cleanup import nothing_is_left
from tests.cluster.local.layout import KUBECONFIG
from tests.cluster.local.provider import LocalProvider
from tests.cluster.local.state import load_state

pytestmark = [
    pytest.mark.verify,
    pytest.mark.skipif(os.geteuid() != 0, reason="the local cluster needs root"),
]
_CHECKOUT = Path(__file__).parents[3]
_WARM_START_SECONDS = 20.0
"""Promised for one node on two idle cores, with everything built."""
_NODE_LOST_SECONDS = 90.0
"""The controllers call a node lost that was silent for 50 s (kube-controller-manager's --node-monitor-grace-period)."""


@pytest.fixture
def cluster() -> Iterator[LocalProvider]:
    if not nothing_is_left():
        pytest.skip("a local cluster is up on this machine and would be lost; take it down first")
    provider = LocalProvider()
    yield provider
    provider.down()


def _network() -> str:
    words = ("ip -br link; ip route; ip netns list; iptables-save -t nat; iptables-save -t filter; ip6tables-save",)
    listing = subprocess.run(["sh", "-c", *words], capture_output=True, text=True, check=True).stdout
    # Counters and times of the rules differ between any two listings.
    lines = (line.split("[")[0] for line in listing.splitlines() if not line.startswith("#"))
    return "\n".join(sorted(line for line in lines if "kube" in line.lower() or "10.244." in line or "10.99." in line))


def _has_started(process: str) -> bool:
    state = load_state()
    return state is not None and state.record(process) is not None


@pytest.mark.parametrize(
    "process", ["node-1/containerd", "kube-apiserver", "node-1/kubelet", "node-1/kube-proxy", "coredns"]
)
def test_a_start_killed_after_this_process_is_cleaned_by_the_next(cluster: LocalProvider, process: str) -> None:
    before = _network()
    words = [sys.executable, "-m", "tests.cluster", "up"]
    with subprocess.Popen(words, cwd=_CHECKOUT, env={**os.environ, "CLUSTER": "local"}) as starting:
        wait_for(f"the start of {process}", 120, lambda: _has_started(process))
        starting.send_signal(signal.SIGKILL)
    cluster.up()
    assert Api(KUBECONFIG).ready_nodes() == {"node-1"}
    cluster.down()
    assert nothing_is_left()
    assert _network() == before
    began = time.monotonic()
    cluster.up()
    took = time.monotonic() - began
    assert Api(KUBECONFIG).ready_nodes() == {"node-1"}
    cluster.down()
    assert nothing_is_left()
    assert _network() == before
    assert took < _WARM_START_SECONDS, "a start after a killed one is a start like any other"


def test_a_node_is_lost_and_another_one_added(cluster: LocalProvider) -> None:
    before = _network()
    cluster.up(2)
    api = Api(KUBECONFIG)
    assert api.ready_nodes() == {"node-1", "node-2"}
    cluster.stop_node("node-2")
    wait_for("the end of node-2", _NODE_LOST_SECONDS, lambda: api.ready_nodes() == {"node-1"})
    assert cluster.add_node() == "node-3", "the name of a lost node is not given again"
    assert api.ready_nodes() == {"node-1", "node-3"}
    cluster.up(2)  # two of them run: nothing is to be done
    assert api.ready_nodes() == {"node-1", "node-3"}
    cluster.down()
    assert nothing_is_left()
    assert _network() == before
