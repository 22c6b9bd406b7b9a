"""Several CeleryClusters in one namespace, named as awkwardly as the API allows: each keeps to its own children."""

from __future__ import annotations

from typing import Any

from celery_operator.desired import names
from celery_operator.kube.objects import DEPLOYMENT, STATEFUL_SET, Manifest, ObjectRef
from celery_operator.observe.kinds import CELERY_CLUSTER
from tests.integration.operator_process import OperatorProcess
from tests.integration.pipeline.conftest import World

LONGEST_CLUSTER, LONGEST_GROUP = "c" * 40, "g" * 63
GONE_SECONDS = 180.0
"""The garbage collector takes its time."""


def _workers(group: str) -> dict[str, Any]:
    # No pods: an image that does not exist would only cost time.
    return {"workers": [{"name": group, "replicas": 0}]}


def _owners(child: Manifest) -> list[str]:
    return [owner["uid"] for owner in child["metadata"]["ownerReferences"]]


async def test_each_has_its_own_children_and_outlives_the_others(world: World, operator: OperatorProcess) -> None:
    # Put together plainly, the first two would both be `a-worker-b-worker-c`.
    groups = {"a": "b-worker-c", "a-worker-b": "c", LONGEST_CLUSTER: LONGEST_GROUP}
    uids = {
        cluster: (await world.create(cluster, **_workers(group), beat={}, client={}))["metadata"]["uid"]
        for cluster, group in groups.items()
    }
    made: dict[ObjectRef, Manifest] = {}
    for cluster, group in groups.items():
        await world.wait_condition("SpecValid", "True", name=cluster)
        for kind, name in ((DEPLOYMENT, names.worker(cluster, group)), (STATEFUL_SET, names.beat(cluster))):
            child = await world.wait_for(kind, name)
            assert _owners(child) == [uids[cluster]]
            made[world.ref(kind, name)] = child

    gone = world.ref(DEPLOYMENT, names.worker("a", groups["a"]))
    generation = made[gone]["metadata"]["generation"]
    await world.patch("a", image="example.invalid/shop:2")
    await world.wait_for(DEPLOYMENT, gone.name, lambda live: live["metadata"]["generation"] > generation)
    await world.api.delete(world.ref(CELERY_CLUSTER, "a"))
    await world.wait_gone(DEPLOYMENT, gone.name, within=GONE_SECONDS)

    others = {ref: before["metadata"] for ref, before in made.items() if uids["a"] not in _owners(before)}
    assert len(others) == 4
    for ref, before in others.items():
        after = await world.wait_for(ref.kind, ref.name)
        assert (after["metadata"]["uid"], after["metadata"]["generation"]) == (before["uid"], before["generation"])
