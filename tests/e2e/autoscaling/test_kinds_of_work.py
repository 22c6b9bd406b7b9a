"""What groups work on: pools, shared queues, several queues, priorities, tasks for later, quorum queues."""

from __future__ import annotations

import time
from typing import Any, Final

import pytest

from celery_operator.observe.kinds import CELERY_CLUSTER
from tests.e2e import manifests
from tests.e2e.autoscaling.group import (
    DEPLOYMENT_NAME,
    GROW_SECONDS,
    LEAVE_SECONDS,
    autoscaling,
    fleet,
    highest,
    replicas,
    resize,
)
from tests.e2e.autoscaling.tasks import assert_clean, submit
from tests.e2e.conftest import MakeSpace
from tests.e2e.delivery.bench import bench
from tests.e2e.delivery.brokers import RabbitPod
from tests.e2e.delivery.load import Load
from tests.e2e.release import WORKER_IMAGE, Release
from tests.e2e.space import Space
from tests.e2e.until import until

ETA_SECONDS: Final = 90.0
LATE_SECONDS: Final = 10.0
"""How late a task with an ETA may start when its group had no pod."""


@pytest.mark.verify
@pytest.mark.parametrize("pool", ["threads", "gevent"])
def test_pools_from_zero_and_back(pool: str, release: Release, make_space: MakeSpace) -> None:
    load = Load(short=24, short_seconds=(2.0, 2.0))
    spec = fleet(least=0, most=3, pool=pool)
    with bench(make_space(), "redis", "AtLeastOnce", spec, WORKER_IMAGE) as row:
        row.send_all(load)
        until(lambda: replicas(row.space), lambda found: found == 3, within=GROW_SECONDS)
        row.wait_over(load, within=120, silence=60)
        until(lambda: replicas(row.space), lambda found: found == 0, within=LEAVE_SECONDS)
        assert_clean(row.verdict(), 24)


def test_two_groups_share_a_queue(release: Release, make_space: MakeSpace) -> None:
    """Of six tasks a third counts for the group of two pods at most, and two thirds for the one of four."""
    second = "shop-worker-second"
    with bench(make_space(), "redis", "AtLeastOnce", fleet(least=0, most=2), WORKER_IMAGE) as row:
        (group,) = row.space.get(CELERY_CLUSTER, "shop")["spec"]["workers"]
        other = manifests.worker("second", autoscaling=autoscaling(least=1, most=4))
        row.space.edit("shop", workers=[group, other])
        row.space.wait_ready("shop")
        submit(row, "shared", [{}] * 6, seconds=8.0)
        both = (DEPLOYMENT_NAME, second)
        until(lambda: [replicas(row.space, one) for one in both], lambda found: found == [1, 2], within=GROW_SECONDS)
        row.wait_over(Load(short=6, short_seconds=(8.0, 8.0)), within=120, silence=60)
        until(lambda: [replicas(row.space, one) for one in both], lambda found: found == [0, 1], within=LEAVE_SECONDS)
        assert [highest(row.space, one) for one in both] == [1, 2]
        assert_clean(row.verdict(), 6)


@pytest.mark.verify
def test_three_queues_one_group(release: Release, make_space: MakeSpace) -> None:
    """Two tasks in each: a pod each, but only their sum says so."""
    queues = ["default", "high_priority", "low_priority"]
    _grows_by_the_sum(make_space(), queues, [{"queue": name} for name in queues for _ in range(2)], wanted=3)


@pytest.mark.verify
def test_ten_priorities(release: Release, make_space: MakeSpace) -> None:
    """Ten priorities are in four lists of Redis."""
    options = [{"queue": "high_priority", "priority": priority} for priority in range(10)]
    _grows_by_the_sum(make_space(), ["high_priority"], options, wanted=5)


def _grows_by_the_sum(space: Space, queues: list[str], options: list[dict[str, Any]], *, wanted: int) -> None:
    with bench(space, "redis", "AtLeastOnce", fleet(least=0, most=6), WORKER_IMAGE) as row:
        resize(row.space, least=0, most=6, queues=queues)
        row.space.wait_ready("shop")
        submit(row, "one", options, seconds=4.0)
        until(lambda: replicas(row.space), lambda found: found == wanted, within=GROW_SECONDS)
        row.wait_over(Load(short=len(options), short_seconds=(4.0, 4.0)), within=180, silence=60)
        until(lambda: replicas(row.space), lambda found: found == 0, within=LEAVE_SECONDS)
        assert highest(row.space) == wanted
        assert_clean(row.verdict(), len(options))


@pytest.mark.verify
def test_eta_only_goes_to_zero_and_wakes_in_time(release: Release, make_space: MakeSpace) -> None:
    """A worker has taken them long before: it gives them back when it goes."""
    with bench(make_space(), "redis", "AtLeastOnce", fleet(least=1, most=2), WORKER_IMAGE) as row:
        due = time.time() + ETA_SECONDS
        ids = submit(row, "eta", [{"countdown": ETA_SECONDS}] * 4, seconds=1.0)
        sent_by = time.time() + ETA_SECONDS
        resize(row.space, least=0, most=2)
        until(lambda: len(row.workers.pods_with_leaving()), lambda found: found == 0, within=LEAVE_SECONDS + 10)
        assert row.started() == []
        until(row.started, lambda found: len(found) == len(ids), within=ETA_SECONDS + 30, every=0.3)
        starts = [start.at for start in row.started()]
        assert min(starts) >= due
        assert max(starts) <= sent_by + LATE_SECONDS, f"{max(starts) - sent_by:.1f} s late"
        row.wait_over(Load(short=4), within=120, silence=30)
        until(lambda: replicas(row.space), lambda found: found == 0, within=LEAVE_SECONDS)
        assert_clean(row.verdict(), len(ids))


@pytest.mark.verify
def test_quorum_queues(release: Release, make_space: MakeSpace) -> None:
    """A queue of its own: those of the example application have priorities, which such quorum queues have not."""
    with bench(make_space(), "rabbitmq", "AtLeastOnce", fleet(least=0, most=3), WORKER_IMAGE) as row:
        assert isinstance(row.broker, RabbitPod)
        resize(row.space, least=0, most=3, queues=["orders"])
        row.space.edit("shop", config={"task_create_missing_queue_type": "quorum"})
        row.space.wait_ready("shop")
        row.accepted |= {f"quorum-{number}": "quorum" for number in range(12)}
        code = _PUBLISH.format(ids=list(row.accepted), seconds=3.0)
        row.space.kubectl("exec", "deployment/producer", "--", "python", "-c", code)
        assert row.broker.queue_type("orders") == "quorum"
        until(lambda: replicas(row.space), lambda found: found == 3, within=GROW_SECONDS)
        until(lambda: row.verdict().lost, lambda lost: not lost, within=180, every=0.5)
        until(lambda: replicas(row.space), lambda found: found == 0, within=LEAVE_SECONDS)
        assert_clean(row.verdict(), 12)


_PUBLISH: Final = """
from celery_tasks.app import app
app.conf.task_create_missing_queue_type = "quorum"
app.loader.import_default_modules()
for task_id in {ids}:
    app.tasks["celery_tasks.io_bound"].apply_async(
        kwargs=dict(requests=1, latency_seconds={seconds}), task_id=task_id, queue="orders"
    )
"""
