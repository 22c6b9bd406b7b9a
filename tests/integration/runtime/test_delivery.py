"""Cells of the table, tried on workers of the versions that they speak of."""

from __future__ import annotations

import os
import signal
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.in_celery import run
from tests.integration.runtime.pods import send, wait_for_entries
from tests.integration.runtime.test_pools import children_of
from tests.integration.servers import RabbitServer, RedisServer, wait_until

NEWEST = "celery-5.7"
VERSIONS = ["celery-5.3", "celery-5.4", "celery-5.5", "celery-5.6", NEWEST]
CELLS = [
    pytest.param(
        version,
        transport,
        delivery,
        marks=() if (transport, delivery) == ("redis", "AtLeastOnce") else pytest.mark.verify,
    )
    for version, transport, delivery in product(VERSIONS, ("redis", "amqp"), ("AtLeastOnce", "AtMostOnce"))
]
LATE = {"taskDelivery": "AtLeastOnce"}


@pytest.mark.parametrize(("celery", "transport", "delivery"), CELLS)
def test_the_settings_of_a_cell_are_in_force(
    celery: str,
    transport: str,
    delivery: str,
    make_pod: PodMaker,
    empty_broker: RedisServer,
    rabbit: RabbitServer,
    ledger: Redis,
) -> None:
    broker = empty_broker.url() if transport == "redis" else rabbit.url()
    settings = {"taskDelivery": delivery, "visibilityTimeoutSeconds": 7200.0}
    pod = make_pod(celery=celery, broker=broker, app="endings", settings=settings).start().wait_for("/readyz")
    status = pod.status()
    effective = status["effective"]
    late = delivery == "AtLeastOnce"
    modern, newest = celery >= "celery-5.6", celery == NEWEST

    assert effective.get("task_acks_late") is (True if late else None)
    assert effective.get("task_retry_on_worker_lost") is (True if late and newest else None)
    assert effective.get("task_reject_on_worker_lost") is (True if late and not newest else None)
    assert effective.get("worker_prefetch_multiplier") == (1 if late else None)
    assert effective.get("worker_disable_prefetch") is (True if modern and transport == "redis" else None)
    options = effective.get("broker_transport_options", {})
    assert options.get("visibility_timeout") == (7200.0 if transport == "redis" else None)
    assert options.get("unacked_restore_interval") == (2 if newest and transport == "redis" else None)
    # The task whose own code says acks_late=False.
    assert status["delivery"] == {"mode": delivery, "tasksThatDiffer": ["endings.early"] if late else []}
    assert status["warnings"] == []
    send(broker, "endings.rest", "ran", 0.0)
    wait_for_entries(ledger, "ran", 1)


@pytest.mark.parametrize(
    ("celery", "pool"),
    [
        *((NEWEST, pool) for pool in ("prefork", "threads", "gevent")),
        pytest.param(NEWEST, "eventlet", marks=pytest.mark.verify),
        *(pytest.param("celery-5.6", pool, marks=pytest.mark.verify) for pool in ("prefork", "threads", "solo")),
    ],
)
@pytest.mark.parametrize("delivery", ["AtMostOnce", pytest.param("AtLeastOnce", marks=pytest.mark.verify)])
def test_a_busy_worker_leaves_messages_to_others(
    celery: str, pool: str, delivery: str, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    broker = empty_broker.url()
    settings = {"pool": pool, "taskDelivery": delivery}
    pod = make_pod(celery=celery, broker=broker, app="endings", settings=settings).start().wait_for("/readyz")
    slots = 1 if pool == "solo" else 2
    for number in range(slots):
        send(broker, "endings.rest", f"busy-{number}", 4.0)
    for number in range(slots):
        wait_for_entries(ledger, f"busy-{number}.begin", 1)
    for number in range(3):
        send(broker, "endings.rest", f"more-{number}", 0.0)
    with Redis.from_url(broker) as client:
        while True:
            waiting = client.llen("celery")
            if any(ledger.llen(f"busy-{number}") for number in range(slots)):
                break  # looked at after the queue: a slot may be free from now on
            assert waiting == 3
            assert pod.running
    for number in range(3):
        wait_for_entries(ledger, f"more-{number}", 1)


@pytest.mark.parametrize(
    ("celery", "pool"),
    [
        *((NEWEST, pool) for pool in ("prefork", "threads", "solo", "gevent", "eventlet")),
        *(("celery-5.3", pool) for pool in ("prefork", "eventlet")),
        *(
            pytest.param(version, pool, marks=pytest.mark.verify)
            for version, pool in (
                *product(VERSIONS[:-1], ("threads", "solo", "gevent")),
                *product(VERSIONS[1:-1], ("eventlet",)),
            )
        ),
        *(pytest.param(version, "prefork", marks=pytest.mark.verify) for version in VERSIONS[1:-1]),
    ],
)
def test_a_lost_connection_leaves_a_worker_that_works(
    celery: str, pool: str, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    """With prefork the running task is cut: the broker gives it to somebody else, and it must not end twice."""
    broker = empty_broker.url()
    pod = make_pod(celery=celery, broker=broker, app="endings", settings={"pool": pool, **LATE}).start()
    pod.wait_for("/readyz")
    # Long where it shall be cut; with solo the next task waits for it.
    send(broker, "endings.rest", "running", 60.0 if pool == "prefork" else 6.0)
    wait_for_entries(ledger, "running.begin", 1)
    with Redis.from_url(broker) as client:
        client.client_kill_filter(_type="normal", skipme=True)
        client.client_kill_filter(_type="pubsub")
    send(broker, "endings.rest", "after", 0.0)
    wait_for_entries(ledger, "after", 1, timeout=90.0)
    wait_until(lambda: pod.status()["connected"] is True, timeout=60.0, what="the connection is back")
    if pool == "prefork":
        wait_for_entries(ledger, "running.finally", 1)
        assert ledger.lindex("running", 0) is None or ledger.llen("running.begin") > 1
    assert "Unrecoverable error" not in pod.output()
    assert pod.running


@pytest.mark.parametrize(
    ("config", "options", "multiplier", "warned"),
    [
        ({}, (), 1, False),
        ({}, ("--prefetch-multiplier", "8"), 8, True),
        ({"worker_prefetch_multiplier": 4}, (), 4, True),
        ({"worker_disable_prefetch": True, "worker_prefetch_multiplier": 4}, (), 4, False),
        ({"worker_disable_prefetch": False, "worker_prefetch_multiplier": 4}, (), 4, True),
        ({"worker_disable_prefetch": False}, ("--prefetch-multiplier", "8"), 8, True),
    ],
)
def test_prefetching_that_hides_work_is_told(
    config: dict[str, Any],
    options: tuple[str, ...],
    multiplier: int,
    warned: bool,
    make_pod: PodMaker,
    empty_broker: RedisServer,
) -> None:
    settings = {**LATE, "config": config}
    pod = make_pod(broker=empty_broker.url(), app="endings", settings=settings).start(*options).wait_for("/readyz")
    status = pod.status()
    assert [text.startswith("the prefetch multiplier is ") for text in status["warnings"]] == [True] * warned
    # Where the setting is not ours, spec.config's or the application's, the option stands for Celery's own.
    assert status["effective"]["worker_prefetch_multiplier"] == multiplier


CHANGED_LATE = """
from celery import Celery, signals
app = Celery("late")
app.conf.broker_transport_options = {"visibility_timeout": 5}

@signals.celeryd_init.connect
def change(conf=None, **_):
    conf.worker_prefetch_multiplier = 9
    conf.worker_disable_prefetch = False
"""


def test_what_the_application_changes_late_is_shown_and_warned_of(
    make_pod: PodMaker, empty_broker: RedisServer, tmp_path: Path
) -> None:
    """Celery has read the multiplier for its command line before that signal: the worker's stays what it was."""
    (tmp_path / "late.py").write_text(CHANGED_LATE)
    settings = {**LATE, "maxTaskDurationSeconds": 1800.0}
    pod = make_pod(broker=empty_broker.url(), app="late", applications=tmp_path, settings=settings).start()
    status = pod.wait_for("/readyz").status()
    assert status["effective"]["worker_disable_prefetch"] is False
    assert status["effective"]["worker_prefetch_multiplier"] == 1
    assert status["effective"]["broker_transport_options"]["visibility_timeout"] == 5
    (said,) = status["warnings"]
    assert said.startswith("the application sets a visibility timeout of 5 s, and a task may take 2100 s")


def test_a_queue_that_rabbitmq_forgets_is_told(make_pod: PodMaker, rabbit: RabbitServer, tmp_path: Path) -> None:
    (tmp_path / "fleeting.py").write_text(
        "from celery import Celery\nfrom kombu import Queue\napp = Celery('fleeting')\n"
        "app.conf.task_queues = [Queue('kept', routing_key='kept'), Queue('fleeting', durable=False)]\n"
    )
    pod = make_pod(broker=rabbit.url(), app="fleeting", applications=tmp_path).start("-Q", "kept,fleeting")
    (said,) = pod.wait_for("/readyz").status()["warnings"]
    assert said.startswith("the queue fleeting is not durable")


def test_a_task_that_was_acknowledged_early_does_not_run_again_when_its_child_dies(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    """Its own acks_late=False wins over AtLeastOnce: it may have done what must not be done twice."""
    broker = empty_broker.url()
    pod = make_pod(broker=broker, app="endings", settings=LATE).start().wait_for("/readyz")
    send(broker, "endings.early", "paid", 30.0)
    wait_for_entries(ledger, "paid.begin", 1)
    # It runs before the pool has read that it does: killed then, it would be given to another child.
    wait_until(lambda: pod.status()["active"] == 1, timeout=30.0, what="the worker knows that it runs")
    for child in children_of(pod.pid):
        os.kill(child, signal.SIGKILL)
    wait_until(lambda: pod.status()["active"] == 0, timeout=30.0, what="the loss is noticed")
    # Behind the second try, if there is one; and it holds its slot for long enough that the other takes that.
    send(broker, "endings.rest", "after", 2.0)
    wait_for_entries(ledger, "after", 1, timeout=60.0)
    assert ledger.llen("paid.begin") == 1


FAILING = """
import os
import sys
from celery import Celery
from redis import Redis
app = Celery("failing")

def tell(key):
    with Redis.from_url(os.environ["LEDGER_URL"]) as ledger:
        ledger.rpush(key, 1)

@app.task(name="failing.hungry")
def hungry():
    tell("tried")
    raise MemoryError("Unable to allocate 64.0 GiB for an array")

@app.task(name="failing.leaves", max_retries=0)
def leaves():
    tell("tried")
    sys.exit(3)

@app.task(name="failing.again", bind=True, max_retries=1)
def again(self):
    tell("again")
    raise self.retry(exc=MemoryError(), countdown=0)

@app.task(name="failing.works", max_retries=0)
def works():
    tell("worked")
"""


@pytest.mark.parametrize(
    ("task", "celery", "pool"),
    [
        *(("hungry", version, "prefork") for version in ("celery-5.3", NEWEST)),
        *((task, NEWEST, "threads") for task in ("hungry", "leaves")),
        pytest.param("leaves", NEWEST, "prefork", marks=pytest.mark.verify),
        pytest.param("leaves", "celery-5.3", "threads", marks=pytest.mark.verify),
        *(
            pytest.param(task, NEWEST, pool, marks=pytest.mark.verify)
            for task, pool in product(("hungry", "leaves"), ("gevent", "eventlet", "solo"))
        ),
    ],
)
def test_a_task_without_memory_or_with_an_exit_fails_alone(
    task: str, celery: str, pool: str, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis, tmp_path: Path
) -> None:
    """Neither does the worker end, whose message would end the next one, nor does the task keep its slot."""
    (tmp_path / "failing.py").write_text(FAILING)
    broker = empty_broker.url()
    settings = {**LATE, "pool": pool}
    made = make_pod(celery=celery, broker=broker, app="failing", applications=tmp_path, settings=settings)
    pod = made.start().wait_for("/readyz")
    # More often than it has slots.
    for _ in range(3):
        send(broker, f"failing.{task}")
    wait_for_entries(ledger, "tried", 3)
    # A retry is no such failure, whatever its reason; the last one raises that.
    send(broker, "failing.again")
    wait_for_entries(ledger, "again", 2)
    send(broker, "failing.works")
    wait_for_entries(ledger, "worked", 1)
    with Redis.from_url(broker) as client:
        wait_until(lambda: not client.exists("unacked"), timeout=30.0, what="all are acknowledged")
    wait_until(lambda: pod.status()["active"] == 0, timeout=30.0, what="every slot is free")
    assert (ledger.llen("tried"), ledger.llen("again")) == (3, 2)


EXITS = """
import sys
from celery.concurrency.base import BasePool, apply_target
from celery_operator_runtime import lone_failures
lone_failures.install("threads")

class Pool(BasePool):
    def on_apply(self, target, args, kwargs, callback=None, accept_callback=None, **_):
        apply_target(target, args, kwargs, callback, accept_callback)

told = []
Pool(1).apply_async(lambda: sys.exit(3), callback=told.append, error_callback=told.append)
result = [[type(one.exception).__name__, str(one.exception)] for one in told]
"""


@pytest.mark.parametrize("celery", ["celery-5.3", NEWEST])
def test_a_task_that_exits_is_told_in_a_line(celery: str, tmp_path: Path) -> None:
    """What is stored as its result, and goes into events; the traceback stands beside it."""
    assert run(EXITS, tmp_path, celery=celery) == [["RuntimeError", "the task ended with SystemExit(3)"]]
