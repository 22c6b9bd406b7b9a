"""What of a reading reaches the decision."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from celery_operator.observe.broker.depth import Depth, Heartbeat, Reading
from celery_operator.observe.worker_report import WorkerReport
from celery_operator.reconcile.autoscaling import observation
from celery_operator.reconcile.autoscaling.observation import Sharing, Surroundings


def test_a_broker_that_shows_some_etas_and_hides_others_counts_as_one_that_hides_them() -> None:
    around = Surroundings(
        now=0.0,
        wall=datetime(2026, 1, 1, tzinfo=UTC),
        reading=Reading(at=0.0, depths={"mail": Depth(ready=3, unacked=0, future_eta=1, hides_eta=True)}),
        heartbeats={},
        report=lambda _: None,
        held=frozenset(),
        refuses=lambda _: None,
    )
    found = observation.load(["mail"], (), 0, 1, Sharing(), around)
    assert [(queue.ready, queue.future_eta) for queue in found.queues] == [(3, 1)]
    assert found.hides_eta


@pytest.mark.parametrize(("seconds", "active"), [(5.9, 0), (6.1, 0), (29.0, 0), (61.0, None)])
def test_a_report_between_two_heartbeats_counts_until_the_next_ones_are_missing(
    seconds: float, active: int | None
) -> None:
    """With `--heartbeat-interval=20`: a worker that passed for silent after each report would keep a pod for ever."""
    report = WorkerReport(
        at=1.0, boot_id="boot", slots=4, active=0, reserved=0, held=0, eta=0, processed=0,
        started=True, shutting_down=False, draining=False, drained=False,
    )  # fmt: skip
    around = Surroundings(
        now=1.0 + seconds,
        wall=datetime(2026, 1, 1, tzinfo=UTC),
        reading=None,
        heartbeats={"mail@one": Heartbeat(nodename="mail@one", at=0.0, active=0, processed=0, freq=20.0)},
        report=lambda _: report,
        held=frozenset(),
        refuses=lambda _: None,
    )
    pod = {"metadata": {"name": "one", "uid": "uid-one"}, "spec": {"containers": []}}
    assert observation.worker(pod, "mail", 4, None, around).active == active


def test_what_a_solo_worker_has_begun_is_told_by_who_tells_what_runs() -> None:
    """Its heartbeat says it only once the task has ended: one task would pass for two, and for half as long."""
    report = WorkerReport(
        at=5.0, boot_id="boot", slots=1, active=1, reserved=0, held=0, eta=0, processed=7,
        started=True, shutting_down=False, draining=False, drained=False,
    )  # fmt: skip
    around = Surroundings(
        now=6.0,
        wall=datetime(2026, 1, 1, tzinfo=UTC),
        reading=None,
        heartbeats={"mail@one": Heartbeat(nodename="mail@one", at=0.0, active=0, processed=6)},
        report=lambda _: report,
        held=frozenset(),
        refuses=lambda _: None,
        busy_unheard=frozenset({"mail"}),
    )
    pod = {"metadata": {"name": "one", "uid": "uid-one"}, "spec": {"containers": []}}
    assert observation.worker(pod, "mail", 1, None, around).active == 1
    assert observation.processed(pod, "mail", around) == 7
