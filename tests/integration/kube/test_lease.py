"""Leader election against a real API server. Times are a fifth of production's where a test must wait them out."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from celery_operator.kube.client import KubeClient
from celery_operator.kube.lease import LeaseElector
from celery_operator.kube.objects import LEASE, Manifest, ObjectRef
from tests.integration.kube.conftest import FIELD_MANAGER, Network

NAME = "celery-operator"
SHORT = 0.2
"""Of 15, 10 and 2 seconds: 3, 2 and 0.4."""
LEASE_DURATION = 15 * SHORT
RENEW_DEADLINE = 10 * SHORT


@dataclass
class Candidate:
    """An elector in a task of its own, with what happened to it. Times are of `time.monotonic`."""

    client: KubeClient
    namespace: str
    identity: str
    scale: float
    started: asyncio.Event = field(default_factory=asyncio.Event)
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    started_at: float = 0.0
    lost_at: float = 0.0

    def __post_init__(self) -> None:
        self.elector = LeaseElector(
            self.client,
            namespace=self.namespace,
            name=NAME,
            identity=self.identity,
            address=f"http://{self.identity}:8080",
            on_started=self._on_started,
            on_lost=self._on_lost,
            lease_duration=15 * self.scale,
            renew_deadline=10 * self.scale,
            retry_period=2 * self.scale,
        )
        self.task = asyncio.create_task(self.elector.run())

    async def _on_started(self) -> None:
        self.started_at = time.monotonic()
        self.started.set()

    async def _on_lost(self) -> None:
        self.lost_at = time.monotonic()
        self.lost.set()

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


class Election:
    """Makes candidates, each with a client of its own, and ends them with the test."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self._kubeconfig = kubeconfig
        self._namespace = namespace
        self.stack = AsyncExitStack()

    async def candidate(self, identity: str, *, kubeconfig: Path | None = None, scale: float = SHORT) -> Candidate:
        client = await KubeClient.connect(kubeconfig=kubeconfig or self._kubeconfig)
        await self.stack.enter_async_context(client)
        candidate = Candidate(client, self._namespace, identity, scale)
        self.stack.push_async_callback(candidate.end)
        return candidate


@pytest.fixture
async def election(kubeconfig: Path, namespace: str) -> AsyncIterator[Election]:
    made = Election(kubeconfig, namespace)
    async with made.stack:
        yield made


async def read(client: KubeClient, namespace: str) -> Manifest:
    lease = await client.get(ObjectRef(kind=LEASE, namespace=namespace, name=NAME))
    assert lease is not None
    return lease


def foreign_lease(namespace: str, *, renew_time: str, duration: int) -> Manifest:
    spec = {"holderIdentity": "other", "leaseDurationSeconds": duration, "renewTime": renew_time}
    return {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.kind,
        "metadata": {"namespace": namespace, "name": NAME},
        "spec": spec,
    }


async def test_one_of_two_leads_and_renews(election: Election, client: KubeClient, namespace: str) -> None:
    first = await election.candidate("first")
    await asyncio.wait_for(first.started.wait(), 5)
    second = await election.candidate("second")
    before = await read(client, namespace)
    # Longer than the lease lasts: only renewals keep the first in office.
    await asyncio.sleep(LEASE_DURATION + 1)
    assert first.elector.holds()
    assert not second.elector.is_leader
    assert (first.elector.holder_address, second.elector.holder_address) == ("", "http://first:8080")
    assert not second.started.is_set()
    after = await read(client, namespace)
    assert after["spec"]["holderIdentity"] == "first"
    assert after["spec"]["leaseTransitions"] == 0
    assert after["spec"]["renewTime"] > before["spec"]["renewTime"]


async def test_a_leader_that_stops_hands_over_within_three_seconds(
    election: Election, client: KubeClient, namespace: str
) -> None:
    # With production's times: what counts is the release, not the lease's end.
    first = await election.candidate("first", scale=1)
    await asyncio.wait_for(first.started.wait(), 5)
    second = await election.candidate("second", scale=1)
    await asyncio.sleep(0.5)
    stopping_at = time.monotonic()
    await first.end()
    assert time.monotonic() - stopping_at < 1
    assert not first.elector.holds()
    await asyncio.wait_for(second.started.wait(), 5)
    assert second.started_at - stopping_at < 3
    assert second.elector.holder_address == ""
    assert not first.lost.is_set()
    assert (await read(client, namespace))["spec"]["leaseTransitions"] >= 1


@pytest.mark.parametrize("way", ["stop", "cancel"])
async def test_a_stop_does_not_wait_for_a_silent_api_server(
    election: Election, relayed_kubeconfig: Path, network: Network, way: str
) -> None:
    leader = await election.candidate("first", kubeconfig=relayed_kubeconfig, scale=1)
    await asyncio.wait_for(leader.started.wait(), 5)
    network.freeze_answers()
    await asyncio.wait_for(network.answer_withheld.wait(), 5)  # a renewal is under way
    stopping_at = time.monotonic()
    if way == "stop":
        leader.elector.stop()
    else:
        leader.task.cancel()
    await asyncio.wait([leader.task], timeout=5)
    assert time.monotonic() - stopping_at < 1.2
    assert not leader.elector.holds()
    assert not leader.lost.is_set()


async def test_a_killed_leader_is_replaced_when_its_lease_has_run_out(
    election: Election, kubeconfig: Path, namespace: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.kube.elector_process",
        str(kubeconfig), namespace, NAME, "killed", "3",
        stdout=asyncio.subprocess.PIPE, env={"PYTHONPATH": "operator"}, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert process.stdout is not None
    assert (await asyncio.wait_for(process.stdout.readline(), 20)).strip() == b"leading"
    standby = await election.candidate("standby")
    await asyncio.sleep(1)
    process.kill()
    killed_at = time.monotonic()
    await process.wait()
    await asyncio.wait_for(standby.started.wait(), 10)
    waited = standby.started_at - killed_at
    # Not before the last renewal's lease ends (renewals come every 0.4 s ± 20 %), and at most one retry after.
    assert 3.0 - 0.48 - 0.3 < waited < 3.0 + 0.48 + 0.5


async def test_a_leader_restarted_under_its_identity_does_not_wait(
    election: Election, kubeconfig: Path, namespace: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.kube.elector_process",
        str(kubeconfig), namespace, NAME, "same", "60",
        stdout=asyncio.subprocess.PIPE, env={"PYTHONPATH": "operator"}, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert process.stdout is not None
    assert (await asyncio.wait_for(process.stdout.readline(), 20)).strip() == b"leading"
    process.kill()
    await process.wait()
    restarted_at = time.monotonic()
    again = await election.candidate("same")
    await asyncio.wait_for(again.started.wait(), 5)
    assert again.started_at - restarted_at < 1


async def test_a_cut_off_leader_stops_writing_before_another_leads(
    election: Election, relayed_kubeconfig: Path, network: Network
) -> None:
    first = await election.candidate("first", kubeconfig=relayed_kubeconfig)
    await asyncio.wait_for(first.started.wait(), 5)
    second = await election.candidate("second")
    await asyncio.sleep(0.5)
    network.cut()
    cut_at = time.monotonic()
    while first.elector.holds():
        assert not second.elector.is_leader
        await asyncio.sleep(0.01)
    assert time.monotonic() - cut_at < RENEW_DEADLINE + 0.1
    await asyncio.wait_for(first.lost.wait(), 1)
    await asyncio.wait_for(second.started.wait(), 5)
    assert second.started_at > first.lost_at
    # Back in contact, it is an ordinary candidate.
    network.heal()
    await asyncio.sleep(1)
    assert second.elector.holds()
    assert not first.elector.is_leader


async def test_a_short_outage_changes_nothing(
    election: Election, relayed_kubeconfig: Path, network: Network, client: KubeClient, namespace: str
) -> None:
    first = await election.candidate("first", kubeconfig=relayed_kubeconfig)
    await asyncio.wait_for(first.started.wait(), 5)
    network.cut()
    await asyncio.sleep(1)
    network.heal()
    await asyncio.sleep(RENEW_DEADLINE)
    assert first.elector.holds()
    assert not first.lost.is_set()
    assert (await read(client, namespace))["spec"]["leaseTransitions"] == 0


async def test_a_deleted_lease_is_made_again(election: Election, client: KubeClient, namespace: str) -> None:
    first = await election.candidate("first")
    await asyncio.wait_for(first.started.wait(), 5)
    await client.delete(ObjectRef(kind=LEASE, namespace=namespace, name=NAME))
    await asyncio.sleep(RENEW_DEADLINE + 0.5)
    assert first.elector.holds()
    assert not first.lost.is_set()
    assert (await read(client, namespace))["spec"]["holderIdentity"] == "first"


@pytest.mark.parametrize("renew_time", ["2001-01-01T00:00:00.000000Z", "2101-01-01T00:00:00.000000Z"])
async def test_the_holders_clock_does_not_matter(
    election: Election, client: KubeClient, namespace: str, renew_time: str
) -> None:
    await client.create(foreign_lease(namespace, renew_time=renew_time, duration=2), field_manager=FIELD_MANAGER)
    began_at = time.monotonic()
    candidate = await election.candidate("first")
    await asyncio.wait_for(candidate.started.wait(), 10)
    assert 2.0 <= candidate.started_at - began_at < 3.0
