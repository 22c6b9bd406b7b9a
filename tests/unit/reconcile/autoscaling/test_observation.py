"""What of a reading reaches the decision."""

from __future__ import annotations

from datetime import UTC, datetime

from celery_operator.observe.broker.depth import Depth, Reading
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
