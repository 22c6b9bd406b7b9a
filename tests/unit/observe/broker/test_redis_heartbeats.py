"""What is said where the operator may not listen to heartbeats."""

from __future__ import annotations

from celery_operator.observe.broker import redis_heartbeats
from celery_operator.observe.worker_follower import SILENT_PERIOD


def test_the_refusal_tells_how_often_workers_are_asked_instead() -> None:
    assert f"only every {SILENT_PERIOD:g} s" in redis_heartbeats._refusal(["/0.celeryev/worker.*"]).message
