"""What counts as alive, ready and started."""

from __future__ import annotations

from dataclasses import replace

import pytest

from celery_operator.runtime.liveness import (
    BeatFacts,
    WorkerFacts,
    beat_alive,
    beat_ready,
    worker_alive,
    worker_ready,
    worker_started,
)

FRESH = WorkerFacts(pool_age=60.0, loop_age=1.0, ready=True, connected=True)
STALE = replace(FRESH, loop_age=500.0)


@pytest.mark.parametrize(
    ("facts", "alive"),
    [
        (FRESH, True),
        (STALE, False),
        (replace(STALE, connected=False), True),
        (replace(STALE, stuck_in_broker=True), True),
        (replace(STALE, shutting_down=True), True),
        (replace(FRESH, loop_age=None), True),
        (replace(STALE, active=1), False),
        (replace(STALE, holds_loop=True, unbounded=True), True),
        (replace(STALE, holds_loop=True, unbounded=True, busy_limit=600.0), True),
        (replace(STALE, holds_loop=True, unbounded=True, busy_limit=300.0), False),
        (replace(STALE, holds_loop=True, active=1), True),
        (replace(STALE, holds_loop=True, active=1, loop_age=1801.0), False),
        (replace(STALE, holds_loop=True, active=0), False),
        (replace(FRESH, pool_ailment="the pool is closed"), False),
        (replace(FRESH, pool_ailment="the pool is closed", shutting_down=True), True),
        (replace(FRESH, pool_ailment="the pool is closed", connected=False), True),
    ],
)
def test_a_worker_is_alive(facts: WorkerFacts, alive: bool) -> None:
    assert worker_alive(facts)[0] is alive


@pytest.mark.parametrize(
    ("facts", "ready", "started"),
    [
        (FRESH, True, True),
        (replace(FRESH, connected=False), True, True),
        (replace(FRESH, shutting_down=True), False, True),
        (replace(FRESH, ready=False, pool_age=2.0), False, False),
        (replace(FRESH, ready=False, pool_age=11.0), False, True),
    ],
)
def test_a_worker_is_ready_and_started(facts: WorkerFacts, ready: bool, started: bool) -> None:
    assert worker_ready(facts)[0] is ready
    assert worker_started(facts)[0] is started


BEAT = BeatFacts(set_up_age=900.0, tick_age=1.0, max_interval=30.0)


@pytest.mark.parametrize(
    ("facts", "alive"),
    [
        (BEAT, True),
        (replace(BEAT, tick_age=119.0), True),
        (replace(BEAT, tick_age=121.0), False),
        (replace(BEAT, tick_age=121.0, max_interval=300.0), True),
        (replace(BEAT, tick_age=901.0, max_interval=300.0), False),
        (replace(BEAT, tick_age=None), False),
        (replace(BEAT, tick_age=500.0, broker_away=True), True),
        (replace(BEAT, tick_age=500.0, stuck_in_broker=True), True),
    ],
)
def test_beat_is_alive(facts: BeatFacts, alive: bool) -> None:
    assert beat_alive(facts)[0] is alive


def test_beat_is_not_ready_while_it_shuts_down() -> None:
    assert beat_ready(BEAT)[0] is True
    assert beat_ready(replace(BEAT, shutting_down=True))[0] is False


def test_beat_waits_in_peace_for_a_lock_that_another_beat_holds() -> None:
    waiting = replace(BEAT, tick_age=None, awaits="another has it")
    assert beat_alive(waiting)[0] is True
    assert beat_ready(waiting) == (False, "another has it")


def test_beat_is_not_ready_without_its_rights() -> None:
    assert beat_ready(replace(BEAT, refused="grant them")) == (False, "grant them")
    assert beat_alive(replace(BEAT, tick_age=500.0, broker_away=True, refused="grant them"))[0] is True
