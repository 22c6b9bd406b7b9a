"""A worker group that is taken out of the spec while it works: its task ends first, and no other group notices."""

from __future__ import annotations

from datetime import datetime

from celery_operator.kube.objects import DEPLOYMENT, POD, Manifest
from tests.e2e import manifests
from tests.e2e.delivery.ledger import Event, Ledger, opened
from tests.e2e.delivery.verdict import DONE, History, histories
from tests.e2e.space import PATIENCE_SECONDS, Space, identities
from tests.e2e.until import until

LEAVES, STAYS = "leaves", "stays"
TASK_SECONDS = 25
"""Many times what the operator takes to act on an edit, so that the task certainly runs when its pod is told to end."""
GONE_SECONDS = 120.0


def test_a_removed_group_ends_its_task_and_leaves_the_others_alone(space: Space) -> None:
    stays = manifests.worker(STAYS, queues=["high_priority", "low_priority", "scheduled"])
    space.apply(*manifests.ledger())
    space.apply(
        manifests.cluster(
            # Acknowledged when it has ended: a task that is cut would stay in the broker.
            taskDelivery="AtLeastOnce",
            maxTaskDuration="1m",
            env=[manifests.LEDGER_ENV],
            workers=[manifests.worker(LEAVES, queues=["default"]), stays],
        )
    )
    space.wait_available("ledger")
    space.wait_ready("shop")
    producer = space.start_producer("shop", with_ledger=True)
    (leaving,) = _pods(space, LEAVES)
    others = identities(_pods(space, STAYS))
    redis = identities(space.pods("shop", "redis"))

    with opened(space.kubeconfig, space.name) as ledger:
        task_id = producer.submit("long_running", duration_seconds=TASK_SECONDS, steps=TASK_SECONDS)
        until(lambda: _history(ledger, task_id).starts, within=PATIENCE_SECONDS)
        space.edit("shop", workers=[stays])
        told = until(lambda: _told_to_end_at(space, leaving), within=PATIENCE_SECONDS)
        assert told is not None
        until(lambda: _pods(space, LEAVES), lambda left: not left, within=GONE_SECONDS)
        (end,) = _ends_after_one_start(_history(ledger, task_id), leaving)

    assert end.state == DONE
    assert end.at > told, "the task had ended before its pod was told to: nothing was shown"
    assert _left_in_the_broker(space) == ""
    assert producer.result(task_id).state == "SUCCESS"
    producer.close()
    ref = space.ref(DEPLOYMENT, f"shop-worker-{LEAVES}")
    until(lambda: space.api.get(ref), lambda found: found is None, within=PATIENCE_SECONDS)
    space.wait_ready("shop")
    assert identities(_pods(space, STAYS)) == others
    assert identities(space.pods("shop", "redis")) == redis


def _pods(space: Space, group: str) -> list[Manifest]:
    """The pods of a group, with those that are on their way out."""
    return space.objects(POD, f"celery-operator.dev/cluster=shop,celery-operator.dev/worker-group={group}")


def _history(ledger: Ledger, task_id: str) -> History:
    return histories(ledger.events()).get(task_id, History())


def _ends_after_one_start(history: History, pod: Manifest) -> list[Event]:
    """The ends of a task that was started once, in this pod."""
    assert [start.host for start in history.starts.values()] == [pod["metadata"]["name"]]
    return list(history.ends.values())


def _told_to_end_at(space: Space, pod: Manifest) -> float | None:
    """When the pod's deletion was asked for, in seconds since the epoch; None while it was not."""
    found = space.api.get(space.ref(POD, pod["metadata"]["name"]))
    if found is None or "deletionTimestamp" not in found["metadata"]:
        return None
    # deletionTimestamp is when the grace period is over.
    over = datetime.fromisoformat(found["metadata"]["deletionTimestamp"])
    return over.timestamp() - float(found["metadata"]["deletionGracePeriodSeconds"])


def _left_in_the_broker(space: Space) -> str:
    """Keys of the queue and of unacknowledged messages in Redis, which has none of them when they hold nothing."""
    scan = 'redis-cli --no-auth-warning -a "$REDIS_PASSWORD" --scan --pattern'
    words = ("exec", "statefulset/shop-redis", "--", "sh", "-c", f"{scan} 'default*'; {scan} unacked")
    return space.kubectl(*words).strip()
