"""The operator dies at any moment, or two of them run: everything converges, and nothing is made twice or left over."""

from __future__ import annotations

import asyncio
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from celery_operator.kube.objects import DEPLOYMENT, LEASE, SECRET, STATEFUL_SET, Manifest
from celery_operator.observe.kinds import CELERY_CLUSTER, CHILDREN, OPTIONAL
from tests.integration.operator_process import OperatorProcess
from tests.integration.pipeline.conftest import World
from tests.integration.waiting import eventually

KILLS = 20
APPLIES = 10
START_LIFE = 3.0
"""Seconds from a start to a kill at the latest: from before the first import to well after the first pass."""
LEADS_AFTER = 0.5
PASS_LIFE = 0.6
"""Seconds from an apply to a kill at the latest: a first pass takes about half a second."""
LEASE_SECONDS = 15.0
"""How long a dead leader's Lease is still respected."""
RENEWED_EVERY = 2.4
"""Seconds between two renewals at most: a Lease that nobody gives up lasts for the rest of LEASE_SECONDS."""
WRITES = ("apply", "create", "patch", "patch_status", "delete")


@pytest.fixture
def pair(kubeconfig: Path, namespace: str, tmp_path: Path) -> Iterator[tuple[OperatorProcess, OperatorProcess]]:
    """Two operators that serve the same namespace: the first one leads, the second one stands by."""
    first, second = (
        OperatorProcess(kubeconfig, namespace, tmp_path, identity=identity) for identity in ("first", "second")
    )
    first.start()
    _wait_until_it_leads(first)
    second.start()
    yield first, second
    first.stop()
    second.stop()


def _wait_until_it_leads(operator: OperatorProcess, within: float = 60.0) -> None:
    deadline = time.monotonic() + within
    while operator.metric("celery_operator_leader_election_master_status") != 1:
        assert time.monotonic() < deadline, f"it does not lead after {within:g} s: {operator.text()}"
        time.sleep(0.02)


def _writes(operator: OperatorProcess) -> float:
    """Writes that an operator sent, those to its Lease aside."""
    everything = sum(operator.metric("celery_operator_api_requests_total", verb=verb) for verb in WRITES)
    lease = sum(operator.metric("celery_operator_api_requests_total", verb=verb, kind=LEASE.kind) for verb in WRITES)
    return everything - lease


async def _owners(world: World) -> dict[str, set[str]]:
    """The uids of the owners of every child, by `Kind name`."""
    found = {}
    for kind in (kind for kind in CHILDREN if kind not in OPTIONAL):
        for item in await world.api.list(kind, namespace=world.namespace, label_selector="celery-operator.dev/cluster"):
            if kind.kind == "Pod":
                continue
            owners = item["metadata"].get("ownerReferences") or []
            found[f"{kind.kind} {item['metadata']['name']}"] = {owner["uid"] for owner in owners}
    return found


def _expected(name: str, runtime: str) -> set[str]:
    return {
        f"Deployment {name}-worker-default",
        f"StatefulSet {name}-redis",
        f"StatefulSet {name}-beat",
        f"Service {name}-redis",
        f"ServiceAccount {name}-celery",
        f"ConfigMap {name}-runtime-{runtime}",
    }


async def test_killed_at_random_moments_it_converges_without_duplicates_or_orphans(
    world: World, kubeconfig: Path, namespace: str, tmp_path: Path
) -> None:
    seed = int(os.environ.get("CRASH_SEED") or random.randrange(10**6))
    print(f"CRASH_SEED={seed}")
    moments = random.Random(seed)
    operator = OperatorProcess(kubeconfig, namespace, tmp_path)
    workers = [{"name": "default", "replicas": 0}]  # no pods: an image that does not exist would only cost time
    names = [f"c{number}" for number in range(APPLIES)]
    owners: dict[str, str] = {}
    for kill in range(KILLS):
        name = names[kill // 2]
        if kill % 2 == 0:
            operator.start()
            await asyncio.sleep(moments.uniform(0.0, LEADS_AFTER))
            created = await world.create(name, broker={"redis": {}}, workers=workers, beat={})
            owners[name] = created["metadata"]["uid"]
            if kill % 4 == 0:
                # Every other kill certainly comes after a write, however slow the machine is.
                await _writes_about(operator, name)
            await asyncio.sleep(moments.uniform(0.0, PASS_LIFE))
        else:
            operator.launch()
            await world.patch(name, image=f"example.invalid/shop:{kill}")
            await asyncio.sleep(moments.uniform(0.0, START_LIFE))
        operator.kill()

    operator.start()
    for name in names:
        await world.settled(name, within=120)
        for kind, child in ((DEPLOYMENT, f"{name}-worker-default"), (STATEFUL_SET, f"{name}-beat")):
            await world.wait_for(kind, child, _runs_the_newest_image(names.index(name)))
        assert await world.get(SECRET, f"{name}-redis")
    found = await _owners(world)
    runtimes = {child.rpartition("-")[2] for child in found if child.startswith("ConfigMap")}
    assert len(runtimes) == 1
    wanted = {child: name for name in names for child in _expected(name, next(iter(runtimes)))}
    assert found.keys() == wanted.keys()
    assert {child: {owners[name]} for child, name in wanted.items()} == found
    for name in names:
        deployment = await world.wait_for(DEPLOYMENT, f"{name}-worker-default")
        assert deployment["spec"]["replicas"] == 0

    for name in names:
        await world.api.delete(world.ref(CELERY_CLUSTER, name))
    await eventually(world.children, lambda left: not left, within=180)
    operator.stop()


async def _writes_about(operator: OperatorProcess, name: str) -> None:
    """Return when the operator has logged the first child that it wrote for the cluster."""
    line = re.compile(rf'"(?:applied|created) [^"]*\b{name}-')

    async def written() -> bool:
        return line.search(operator.text()) is not None

    await eventually(written, bool, within=60, every=0.01)


def _runs_the_newest_image(number: int) -> Callable[[Manifest], bool]:
    image = f"example.invalid/shop:{2 * number + 1}"

    def holds(child: Manifest) -> bool:
        return bool(child["spec"]["template"]["spec"]["containers"][0]["image"] == image)

    return holds


async def test_of_two_operators_only_the_leader_writes(
    world: World, pair: tuple[OperatorProcess, OperatorProcess]
) -> None:
    leader, standby = pair
    await world.create(broker={"redis": {}}, workers=[{"name": "default", "replicas": 0}])
    await world.settled()
    await world.patch(image="example.invalid/shop:2")
    await world.wait_for(
        DEPLOYMENT,
        "shop-worker-default",
        lambda found: found["spec"]["template"]["spec"]["containers"][0]["image"] == "example.invalid/shop:2",
    )
    assert _writes(leader) > 0
    assert _writes(standby) == 0


async def test_the_standby_does_not_wait_for_the_lease_of_a_leader_that_stopped(
    world: World, pair: tuple[OperatorProcess, OperatorProcess]
) -> None:
    leader, standby = pair
    await world.create(workers=[{"name": "default", "replicas": 0}])
    await world.settled()
    stopping = time.monotonic()
    leader.stop()
    _wait_until_it_leads(standby)
    # 2 s on a machine that does nothing else: one turn of the election.
    assert time.monotonic() - stopping < LEASE_SECONDS - RENEWED_EVERY
    await world.patch(image="example.invalid/shop:2")
    await world.settled()


async def test_the_standby_takes_over_when_the_leader_was_killed(
    world: World, pair: tuple[OperatorProcess, OperatorProcess]
) -> None:
    leader, standby = pair
    await world.create(workers=[{"name": "default", "replicas": 0}])
    await world.settled()
    leader.kill()
    await world.patch(image="example.invalid/shop:2")
    await world.settled(within=LEASE_SECONDS + 60)
    _wait_until_it_leads(standby)
