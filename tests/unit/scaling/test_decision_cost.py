"""A decision is cheap: each group has one every two seconds, and there may be a thousand groups."""

from __future__ import annotations

import time

from celery_operator.scaling.decide import decide
from celery_operator.scaling.model import Load, Queue
from tests.unit.scaling.loads import PERIOD, SEEN, policy, worker

LIMIT_MILLISECONDS = 1.0
"""The aim is 0.2 ms on an idle machine (`make bench-autoscaling`); this is what a busy one may need."""
LOOKS = 200
ROUNDS = 10


def falling(waiting: int) -> Load:
    """Three queues and twenty pods, some of them draining; a load that falls leaves the longest history."""
    pods = (worker(f"w{n}", active=n % 4, draining=n % 7 == 0) for n in range(20))
    queues = tuple(Queue(name=name, ready=waiting, future_eta=waiting // 4) for name in ("mail", "reports", "images"))
    return Load(queues=queues, workers=tuple(pods), replicas=20, slots_per_worker=4, unacked=20)


def test_a_decision_takes_little_of_the_cpu() -> None:
    by, history, fastest = policy(max_replicas=1000, target_queue_length=1), SEEN, float("inf")
    loads = [falling(ROUNDS * LOOKS - number) for number in range(ROUNDS * LOOKS)]
    for number in range(ROUNDS):
        started = time.process_time()
        for look in range(number * LOOKS, (number + 1) * LOOKS):
            _, history = decide(loads[look], by, history, look * PERIOD)
        fastest = min(fastest, (time.process_time() - started) / LOOKS)
    assert len(history.wants) > 40, "the history is as long as a falling load makes it"
    assert fastest * 1000 < LIMIT_MILLISECONDS
