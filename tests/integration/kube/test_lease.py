"""Leader election against a real API server. Times are a fifth of production's where a test must wait for their end.

Where a leader has to stay one they are production's: those are made for an API server that is slow for seconds.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from celery_operator.kube.client import REQUEST_TIMEOUT, KubeClient
from celery_operator.kube.lease import LeaseElector
from celery_operator.kube.objects import LEASE, Manifest, ObjectRef
from tests.integration.kube.conftest import FIELD_MANAGER, SOON, Network
from tests.integration.waiting import eventually

NAME = "celery-operator"
SHORT = 0.2
"""Of 15, 10 and 2 seconds: 3, 2 and 0.4."""
RENEW_DEADLINE = 10 * SHORT
LEASE_DURATION = 15.0
RENEWED_EVERY = 2.4
"""Production's: a Lease that nobody gives up lasts for LEASE_DURATION from its last renewal on."""


@dataclass
class Candidate:
    """An elector in a task of its own, with what happened to it. Times are of `time.monotonic`."""

    client: KubeClient
    namespace: str
    identity: str
    scale: float
    patience: float
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
            lease_duration=15 * self.scale * self.patience,
            renew_deadline=10 * self.scale * self.patience,
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

    async def candidate(
        self, identity: str, *, kubeconfig: Path | None = None, scale: float = SHORT, patience: float = 1
    ) -> Candidate:
        """With production's times, multiplied by `scale`; leaders and their Leases last `patience` times longer."""
        client = await KubeClient.connect(kubeconfig=kubeconfig or self._kubeconfig)
        await self.stack.enter_async_context(client)
        candidate = Candidate(client, self._namespace, identity, scale, patience)
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


def moment(lease: Manifest, name: str) -> datetime:
    return datetime.fromisoformat(lease["spec"][name])


async def until_held_by(candidate: Candidate, holder: str) -> None:
    """Wait until a candidate has read who holds the Lease."""

    async def read_holder() -> str:
        return candidate.elector.holder

    await eventually(read_holder, lambda found: found == holder, within=SOON, every=0.01)


def foreign_lease(namespace: str, *, renew_time: str, duration: int) -> Manifest:
    spec = {"holderIdentity": "other", "leaseDurationSeconds": duration, "renewTime": renew_time}
    return {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.kind,
        "metadata": {"namespace": namespace, "name": NAME},
        "spec": spec,
    }


async def test_one_of_two_leads_and_renews(election: Election, client: KubeClient, namespace: str) -> None:
    first = await election.candidate("first", scale=1)
    await asyncio.wait_for(first.started.wait(), SOON)
    second = await election.candidate("second", scale=1)
    before = await read(client, namespace)

    def lasted(lease: Manifest) -> bool:
        return (moment(lease, "renewTime") - moment(before, "renewTime")).total_seconds() > LEASE_DURATION

    # Longer than the lease lasts: only renewals keep the first in office.
    after = await eventually(lambda: read(client, namespace), lasted, within=SOON, every=0.2)
    assert first.elector.holds()
    assert not second.elector.is_leader
    assert (first.elector.holder_address, second.elector.holder_address) == ("", "http://first:8080")
    assert not second.started.is_set()
    assert after["spec"]["holderIdentity"] == "first"
    assert after["spec"]["leaseTransitions"] == 0


async def test_a_leader_that_stops_hands_over_at_the_next_try(
    election: Election, client: KubeClient, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How long it tries to release a Lease is the next test's.
    monkeypatch.setattr("celery_operator.kube.lease._RELEASE_TIMEOUT", SOON)
    # With production's times: what counts is the release, not the lease's end.
    first = await election.candidate("first", scale=1)
    await asyncio.wait_for(first.started.wait(), SOON)
    second = await election.candidate("second", scale=1)
    await until_held_by(second, "first")
    stopping_at = time.monotonic()
    await first.end()
    assert (await read(client, namespace))["spec"]["holderIdentity"] in ("", "second")
    assert not first.elector.holds()
    await asyncio.wait_for(second.started.wait(), SOON)
    # Within three seconds where nothing else runs.
    assert second.started_at - stopping_at < LEASE_DURATION - RENEWED_EVERY
    assert second.elector.holder_address == ""
    assert not first.lost.is_set()
    assert (await read(client, namespace))["spec"]["leaseTransitions"] >= 1


@pytest.mark.parametrize("way", ["stop", "cancel"])
async def test_a_stop_does_not_wait_for_a_silent_api_server(
    election: Election, relayed_kubeconfig: Path, network: Network, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever waits for the answer waits for as long as any request does.
    monkeypatch.setattr("celery_operator.kube.lease._TRY_TIMEOUT", REQUEST_TIMEOUT)
    monkeypatch.setattr("celery_operator.kube.client.WRITE_TIMEOUT", REQUEST_TIMEOUT)
    leader = await election.candidate("first", kubeconfig=relayed_kubeconfig, patience=100)
    await asyncio.wait_for(leader.started.wait(), SOON)
    network.freeze_answers()
    await asyncio.wait_for(network.answer_withheld.wait(), SOON)  # a renewal is under way
    stopping_at = time.monotonic()
    if way == "stop":
        leader.elector.stop()
    else:
        leader.task.cancel()
    await asyncio.wait([leader.task], timeout=SOON)
    # Within a second where nothing else runs.
    assert time.monotonic() - stopping_at < REQUEST_TIMEOUT / 2
    assert not leader.elector.holds()
    assert not leader.lost.is_set()


async def test_a_killed_leader_is_replaced_when_its_lease_has_run_out(
    election: Election, kubeconfig: Path, client: KubeClient, namespace: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.kube.elector_process",
        str(kubeconfig), namespace, NAME, "killed", "3",
        stdout=asyncio.subprocess.PIPE, env={"PYTHONPATH": "operator"}, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert process.stdout is not None
    assert (await asyncio.wait_for(process.stdout.readline(), SOON)).strip() == b"leading"
    standby = await election.candidate("standby")
    await until_held_by(standby, "killed")
    process.kill()
    await process.wait()
    left = await read(client, namespace)
    assert left["spec"]["holderIdentity"] == "killed"
    await asyncio.wait_for(standby.started.wait(), SOON)
    taken = await read(client, namespace)
    waited = (moment(taken, "acquireTime") - moment(left, "renewTime")).total_seconds()
    # Not before the last renewal's lease ends; at most one retry (0.48 s) after, where nothing else runs.
    assert 3.0 <= waited < 12.0


async def test_a_leader_restarted_under_its_identity_does_not_wait(
    election: Election, kubeconfig: Path, namespace: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.kube.elector_process",
        str(kubeconfig), namespace, NAME, "same", "60",
        stdout=asyncio.subprocess.PIPE, env={"PYTHONPATH": "operator"}, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert process.stdout is not None
    assert (await asyncio.wait_for(process.stdout.readline(), SOON)).strip() == b"leading"
    process.kill()
    await process.wait()
    restarted_at = time.monotonic()
    again = await election.candidate("same")
    await asyncio.wait_for(again.started.wait(), SOON)
    assert again.started_at - restarted_at < 30, "half of the Lease that is still its own"


async def test_a_cut_off_leader_stops_writing_before_another_leads(
    election: Election, relayed_kubeconfig: Path, network: Network
) -> None:
    first = await election.candidate("first", kubeconfig=relayed_kubeconfig)
    await asyncio.wait_for(first.started.wait(), SOON)
    second = await election.candidate("second")
    await until_held_by(second, "first")
    network.cut()
    cut_at = time.monotonic()
    while True:
        looked_at = time.monotonic()  # before: a machine may stand still between the two
        if not first.elector.holds():
            break
        assert looked_at - cut_at < RENEW_DEADLINE
        assert not second.elector.is_leader
        await asyncio.sleep(0.01)
    await asyncio.wait_for(first.lost.wait(), SOON)
    await asyncio.wait_for(second.started.wait(), SOON)
    assert second.started_at > first.lost_at
    # Back in contact, it is an ordinary candidate.
    network.heal()
    await until_held_by(first, "second")
    assert second.elector.holds()
    assert not first.elector.is_leader


async def test_a_short_outage_changes_nothing(
    election: Election, relayed_kubeconfig: Path, network: Network, client: KubeClient, namespace: str
) -> None:
    first = await election.candidate("first", kubeconfig=relayed_kubeconfig, scale=1)
    await asyncio.wait_for(first.started.wait(), SOON)
    network.cut()
    await asyncio.wait_for(network.refused.wait(), SOON)  # a renewal has failed
    before = await read(client, namespace)
    network.heal()

    def renewed(lease: Manifest) -> bool:
        return moment(lease, "renewTime") > moment(before, "renewTime")

    await eventually(lambda: read(client, namespace), renewed, within=SOON)
    assert first.elector.holds()
    assert not first.lost.is_set()
    assert (await read(client, namespace))["spec"]["leaseTransitions"] == 0


async def test_a_deleted_lease_is_made_again(election: Election, client: KubeClient, namespace: str) -> None:
    first = await election.candidate("first", scale=1)
    await asyncio.wait_for(first.started.wait(), SOON)
    ref = ObjectRef(kind=LEASE, namespace=namespace, name=NAME)
    await client.delete(ref)
    made = await eventually(lambda: client.get(ref), bool, within=SOON)
    assert first.elector.holds()
    assert not first.lost.is_set()
    assert made is not None
    assert made["spec"]["holderIdentity"] == "first"


@pytest.mark.parametrize("renew_time", ["2001-01-01T00:00:00.000000Z", "2101-01-01T00:00:00.000000Z"])
async def test_the_holders_clock_does_not_matter(
    election: Election, client: KubeClient, namespace: str, renew_time: str
) -> None:
    await client.create(foreign_lease(namespace, renew_time=renew_time, duration=2), field_manager=FIELD_MANAGER)
    began_at = time.monotonic()
    candidate = await election.candidate("first")
    await asyncio.wait_for(candidate.started.wait(), SOON)
    assert candidate.started_at - began_at >= 2.0
