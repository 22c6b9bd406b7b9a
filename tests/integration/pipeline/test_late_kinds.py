"""A CRD that somebody installs while the operator runs is noticed, and so is its end; neither needs a restart.

The CRD is a copy of the Prometheus operator's in a group of its own, because with the real one the operators of other
tests would begin to make PodMonitors, and would stumble when it goes again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest

from celery_operator.kube.client import KubeClient
from celery_operator.kube.errors import Conflict
from celery_operator.kube.objects import DEPLOYMENT, Kind, Manifest, ObjectRef, register
from celery_operator.observe.kinds import CELERY_CLUSTER
from tests.integration.crd.foreign import PUBLISHED
from tests.integration.kube.conftest import CRD
from tests.integration.operator_process import OperatorProcess
from tests.integration.pipeline.conftest import PASS_SECONDS, World, condition
from tests.integration.waiting import eventually

API_VERSION: Final = f"{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}.late-kinds.celery-operator.test/v1"
"""One for each process of a run, as the tests of the client do it."""
POD_MONITOR: Final = register(Kind(api_version=API_VERSION, kind="PodMonitor", plural="podmonitors"))
OPERATOR: Final = f"""
from celery_operator.kube import asynchronous_only

asynchronous_only.enforce()
from celery_operator.kube import objects

objects.POD_MONITOR = objects.register(
    objects.Kind(api_version={API_VERSION!r}, kind="PodMonitor", plural="podmonitors")
)
from celery_operator.desired import pod_monitor
from celery_operator.observe import listing

pod_monitor._API_VERSION = {API_VERSION!r}
listing.PERIOD = 1.0
from celery_operator.__main__ import main

main()
"""
"""The operator, which takes the copy for the real kind, and lists every second instead of every ten minutes."""


@pytest.fixture
def operator(kubeconfig: Path, namespace: str, tmp_path: Path) -> Iterator[OperatorProcess]:
    process = OperatorProcess(kubeconfig, namespace, tmp_path, program=("-c", OPERATOR))
    process.start()
    yield process
    process.stop()


@pytest.fixture
async def definition(api: KubeClient) -> AsyncIterator[Manifest]:
    """The copy, which is not installed yet, and is gone at the end."""
    (published,) = (one for one in PUBLISHED if one.kind == POD_MONITOR.kind)
    copied, group = published.definition(), API_VERSION.partition("/")[0]
    copied["spec"]["group"] = group
    copied["metadata"]["name"] = f"{POD_MONITOR.plural}.{group}"
    await uninstall(api, copied)  # an earlier run may have left it
    yield copied
    await uninstall(api, copied)


async def install(api: KubeClient, definition: Manifest) -> None:
    async with asyncio.timeout(PASS_SECONDS):
        while True:
            with contextlib.suppress(Conflict):
                await api.apply(definition, field_manager="test")
                return
            await asyncio.sleep(0.1)


async def uninstall(api: KubeClient, definition: Manifest) -> None:
    ref = ObjectRef(kind=CRD, namespace=None, name=definition["metadata"]["name"])
    await api.delete(ref)
    await eventually(lambda: api.get(ref), lambda found: found is None, within=PASS_SECONDS)


def left_out(cluster: Manifest) -> bool:
    """Whether the status says that no PodMonitor can be made."""
    found = condition(cluster, "FlowerAvailable")
    return found is not None and found["reason"] == "KindMissing" and "spec.monitoring.podMonitor" in found["message"]


async def test_a_crd_may_come_and_go_while_the_operator_runs(
    world: World, api: KubeClient, operator: OperatorProcess, definition: Manifest
) -> None:
    await world.create(
        workers=[{"name": "default", "replicas": 0}], flower={"replicas": 0}, monitoring={"podMonitor": {}}
    )
    await world.wait_for(DEPLOYMENT, "shop-flower")
    await world.wait_for(CELERY_CLUSTER, "shop", left_out)

    await install(api, definition)
    made = await world.wait_for(POD_MONITOR, "shop-flower")
    await world.wait_for(CELERY_CLUSTER, "shop", lambda cluster: not left_out(cluster))

    await api.delete(ObjectRef.of(made))  # nobody watches the kind: the listing has to see it
    uid = made["metadata"]["uid"]
    await world.wait_for(POD_MONITOR, "shop-flower", lambda live: live["metadata"]["uid"] != uid)

    await uninstall(api, definition)
    await world.wait_for(CELERY_CLUSTER, "shop", left_out)
