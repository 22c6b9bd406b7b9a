"""The broker goes away and comes back: no pod is restarted, and tasks run again."""

from __future__ import annotations

from celery_operator.kube.objects import POD, STATEFUL_SET
from tests.e2e import manifests
from tests.e2e.space import READY_SECONDS, Space, identities
from tests.e2e.until import until


def test_a_broker_outage_restarts_nothing_and_tasks_run_afterwards(space: Space) -> None:
    space.apply(manifests.cluster(workers=[manifests.worker(replicas=2)], beat={}))
    space.wait_ready("shop")
    producer = space.start_producer("shop")
    assert producer.result(producer.submit("add", x=1, y=1)).value == 2
    before = {component: identities(space.pods("shop", component)) for component in ("worker", "beat")}

    # Paused, so that the broker stays away for as long as the test looks.
    space.edit("shop", paused=True)
    space.wait_condition("shop", "Paused", "True")
    space.api.merge_patch(space.ref(STATEFUL_SET, "shop-redis"), {"spec": {"replicas": 0}})
    space.delete(POD, "shop-redis-0", grace_seconds=0)
    space.wait_condition("shop", "BrokerReachable", "False")
    for pod in space.pods("shop", "worker"):
        until(lambda pod=pod: space.status_of(pod)["connected"], lambda found: found is False, within=READY_SECONDS)  # type: ignore[misc]
        assert space.said(pod, "/livez")[0] == 200
        assert space.said(pod, "/readyz")[0] == 200
    (beat,) = space.pods("shop", "beat")
    assert space.said(beat, "/livez")[0] == 200

    space.edit("shop", paused=None)
    space.wait_condition("shop", "BrokerReachable", "True", within=READY_SECONDS)
    for pod in space.pods("shop", "worker"):
        until(lambda pod=pod: space.status_of(pod)["connected"], within=READY_SECONDS)  # type: ignore[misc]
    assert producer.result(producer.submit("add", x=2, y=2)).value == 4
    producer.close()
    after = {component: identities(space.pods("shop", component)) for component in ("worker", "beat")}
    assert after == before
