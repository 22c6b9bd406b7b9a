"""What happens while pods are being drained: the broker goes away, a rollout begins, tasks take long."""

from __future__ import annotations

import os
import time
from typing import Final

import pytest

from tests.e2e.autoscaling.group import LEAVE_SECONDS, draining, fleet, replicas, resize
from tests.e2e.autoscaling.tasks import assert_clean, spread, submit
from tests.e2e.conftest import MakeSpace
from tests.e2e.delivery.bench import Bench, bench
from tests.e2e.delivery.load import Load
from tests.e2e.release import WORKER_IMAGE, Release
from tests.e2e.space import identities
from tests.e2e.until import until

pytestmark = pytest.mark.verify

OUTAGE_SECONDS: Final = float(os.environ.get("OUTAGE_SECONDS", "120"))
LONG_SECONDS: Final = 120.0


def _begin_scale_in(row: Bench, *, pods: int, least: int, seconds: float) -> list[str]:
    """Give each of three pods a long task, then allow fewer: two have slots enough, so one drains while it works.

    Returns the ids. With early acknowledgements a task that is cut off is a task that is lost.
    """
    ids = spread(row, pods=3, seconds=seconds)
    assert len(ids) <= 4, f"two pods are too few for {len(ids)} tasks"
    resize(row.space, least=least, most=pods)
    until(lambda: replicas(row.space), lambda found: found == 3, within=LEAVE_SECONDS)
    until(lambda: draining(row.space), lambda found: len(found) == 1, within=LEAVE_SECONDS)
    until(row.workers.pods_with_leaving, lambda found: len(found) == 3, within=LEAVE_SECONDS)
    return ids


def test_a_broker_away_in_the_middle_of_a_scale_in(release: Release, make_space: MakeSpace) -> None:
    """The drained pod becomes idle meanwhile, and nobody can say whether it is needed: nothing changes until then."""
    seconds = 25.0 + OUTAGE_SECONDS / 2
    with bench(make_space(), "redis", "AtMostOnce", fleet(least=4, most=4), WORKER_IMAGE) as row:
        ids = _begin_scale_in(row, pods=4, least=0, seconds=seconds)
        before = identities(row.workers.pods())
        row.broker.scale(0)
        end = time.monotonic() + OUTAGE_SECONDS
        while time.monotonic() < end:
            assert replicas(row.space) == 3
            assert identities(row.workers.pods()) == before
            time.sleep(0.5)  # the length of the outage is the test
        row.space.wait_condition("shop", "AutoscalingActive", "False")
        row.broker.scale(1)
        row.wait_over(Load(long=4, long_seconds=(seconds, seconds)), within=120, silence=60)
        until(lambda: replicas(row.space), lambda found: found == 0, within=LEAVE_SECONDS + 20)
        assert_clean(row.verdict(), len(ids))


def test_a_rollout_in_the_middle_of_a_scale_in(release: Release, make_space: MakeSpace, next_image: str) -> None:
    """The rollout replaces the drained pod too; afterwards there are as many as needed, and all of them consume."""
    with bench(make_space(), "redis", "AtMostOnce", fleet(least=4, most=4), next_image) as row:
        ids = _begin_scale_in(row, pods=4, least=1, seconds=60.0)
        old = {pod["metadata"]["name"] for pod in row.workers.pods()}
        row.workers.update(next_image)
        until(lambda: {pod["metadata"]["name"] for pod in row.workers.pods()} - old, within=180)
        until(row.workers.has_rolled, within=300, every=0.3)
        until(lambda: replicas(row.space), lambda found: found == 1, within=LEAVE_SECONDS + 20)
        until(lambda: len(row.workers.pods_with_leaving()), lambda found: found == 1, within=LEAVE_SECONDS)
        (pod,) = row.workers.pods()
        assert pod["metadata"]["name"] not in old
        assert draining(row.space) == []
        assert row.space.status_of(pod)["drain"]["draining"] is False
        ids += submit(row, "after", [{}, {}], seconds=1.0)
        until(row.started, lambda found: len(found) == len(ids), within=120, every=0.3)
        row.wait_over(Load(short=1), within=120, silence=30)
        assert_clean(row.verdict(), len(ids))


def test_long_tasks_with_a_short_window(release: Release, make_space: MakeSpace) -> None:
    """A drain is renewed for as long as a task takes, twelve times the window."""
    with bench(make_space(), "redis", "AtMostOnce", fleet(least=2, most=2), WORKER_IMAGE) as row:
        ids = spread(row, pods=2, seconds=LONG_SECONDS)
        assert len(ids) == 2, "both pods are needed for more"
        resize(row.space, least=0, most=2)
        (drained,) = until(lambda: draining(row.space), lambda found: len(found) == 1, within=LEAVE_SECONDS)
        until(lambda: not row.running_on(drained), within=LONG_SECONDS + 60, every=0.5)
        row.wait_over(Load(long=2, long_seconds=(LONG_SECONDS, LONG_SECONDS)), within=180, silence=30)
        until(lambda: replicas(row.space), lambda found: found == 0, within=LEAVE_SECONDS)
        assert_clean(row.verdict(), 2)
