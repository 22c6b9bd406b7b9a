"""The operator dies, or is uninstalled: what runs keeps running, and whoever comes after finishes the work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from celery_operator.kube.objects import DEPLOYMENT, STATEFUL_SET
from celery_operator.observe.kinds import CELERY_CLUSTER, CHILDREN, OPTIONAL
from tests.demo.producer import Producer
from tests.e2e import manifests
from tests.e2e.conftest import MakeSpace
from tests.e2e.release import TAKE_OVER_SECONDS, USER, Release
from tests.e2e.space import READY_SECONDS, Space, identities
from tests.e2e.test_deletion import DELETION_SECONDS, everything
from tests.e2e.until import until

BROKER = {"url": "redis://broker:6379/0"}
KEPT_FROM_STARTING = {"spec": {"nodeSelector": {"no-such": "node"}}}
"""Pods that stay Pending: five applies are about objects, and 15 starting Celery processes would only cost time."""


@pytest.fixture
def reinstalled(session_release: Release) -> Iterator[Release]:
    """The release, for tests that uninstall it or give it other values."""
    yield session_release
    session_release.install()


def _with_work(space: Space) -> Producer:
    """A Ready cluster with two workers, and a producer for it."""
    space.apply(manifests.cluster(workers=[manifests.worker(replicas=2)]))
    space.wait_ready("shop")
    return space.start_producer("shop")


def _owned(space: Space) -> dict[str, tuple[str, ...]]:
    """The uids of the owners of every child, by `Kind name`; pods belong to ReplicaSets and are left out."""
    return {
        f"{kind.kind} {item['metadata']['name']}": tuple(
            owner["uid"] for owner in item["metadata"].get("ownerReferences") or []
        )
        for kind in CHILDREN
        if kind.kind != "Pod" and kind not in OPTIONAL
        for item in space.objects(kind, "celery-operator.dev/cluster")
    }


def test_both_pods_are_lost_in_the_middle_of_five_applies(space: Space, release: Release) -> None:
    names = [f"shop-{number}" for number in range(5)]
    spec: dict[str, Any] = {"broker": BROKER, "podTemplate": KEPT_FROM_STARTING, "beat": {}}
    for name in names[:3]:
        space.apply(manifests.cluster(name, **spec))
    for pod in release.pods():
        release.delete_pod(pod["metadata"]["name"])
    for name in names[3:]:
        space.apply(manifests.cluster(name, **spec))
    for name in names:
        space.wait(DEPLOYMENT, f"{name}-worker-default", within=READY_SECONDS)
        # As long as for the Deployment: a pass cut between the two waits for the next leader.
        space.wait(STATEFUL_SET, f"{name}-beat", within=READY_SECONDS)
        space.wait_condition(name, "SpecValid", "True")
    children = _owned(space)
    runtimes = {child.rpartition("-")[2] for child in children if child.startswith("ConfigMap")}
    assert len(runtimes) == 1
    assert children == {
        child: (space.get(CELERY_CLUSTER, name)["metadata"]["uid"],)
        for name in names
        for child in (
            f"Deployment {name}-worker-default",
            f"StatefulSet {name}-beat",
            f"ServiceAccount {name}-celery",
            f"ConfigMap {name}-runtime-{next(iter(runtimes))}",
        )
    }


def test_the_standby_takes_over_and_workers_notice_nothing(space: Space, release: Release) -> None:
    producer = _with_work(space)
    before = identities(space.pods("shop", "worker"))
    leader = until(release.leader, within=TAKE_OVER_SECONDS)
    assert leader is not None
    running = producer.submit("long_running", duration_seconds=6, steps=2)
    release.delete_pod(leader)
    space.edit("shop", workers=[manifests.worker(replicas=3)])
    assert producer.result(producer.submit("add", x=2, y=3)).value == 5
    space.wait(
        DEPLOYMENT, "shop-worker-default", lambda found: found["spec"]["replicas"] == 3, within=TAKE_OVER_SECONDS
    )
    successor = until(release.leader, within=TAKE_OVER_SECONDS)
    assert successor != leader
    assert producer.result(running).state == "SUCCESS"
    producer.close()
    space.wait_ready("shop")
    assert before.items() <= identities(space.pods("shop", "worker")).items()


def test_uninstalled_workers_go_on_and_deleting_leaves_nothing(reinstalled: Release, make_space: MakeSpace) -> None:
    space = make_space()
    producer = _with_work(space)
    before = identities(space.pods("shop", "worker"))
    producers_own = everything(space)
    reinstalled.uninstall()
    assert producer.result(producer.submit("add", x=2, y=3)).value == 5
    assert identities(space.pods("shop", "worker")) == before
    producer.close()
    space.delete(CELERY_CLUSTER, "shop")
    left = {item for item in producers_own if "producer" in item}
    until(lambda: everything(space), lambda found: found == left, within=DELETION_SECONDS)


def test_named_namespaces_are_served_with_roles_alone(reinstalled: Release, make_space: MakeSpace) -> None:
    served, other = make_space(), make_space()
    reinstalled.install(watchNamespaces=[served.name])
    for space in (other, served):
        space.apply(manifests.cluster(broker=BROKER, podTemplate=KEPT_FROM_STARTING))
    served.wait(DEPLOYMENT, "shop-worker-default")
    served.wait_condition("shop", "SpecValid", "True")
    assert other.objects(DEPLOYMENT, "celery-operator.dev/cluster") == []
    assert "status" not in other.get(CELERY_CLUSTER, "shop")
    bindings = reinstalled.kubectl("get", "clusterrolebindings", "-o", "jsonpath={.items[*].subjects}")
    assert '"namespace":"celery-operator"' not in bindings
    # As the API server words it: User "system:serviceaccount:..." cannot list resource ...
    assert f'{USER}\\" cannot' not in reinstalled.logs()
