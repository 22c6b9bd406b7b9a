"""A message that the worker takes at the very moment of its SIGTERM goes back as the others do, at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.in_celery import run
from tests.integration.runtime.pods import send, wait_for_entries
from tests.integration.runtime.test_shutdown import NEWEST, length, waiting
from tests.integration.servers import RabbitServer, RedisServer, wait_until

FAR = "2100-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("celery", "transport", "key", "taken"),
    [
        (NEWEST, "redis", "eta", 2),
        (NEWEST, "redis", "prefetched", 2),
        (NEWEST, "redis", "prefetched", 1),
        ("celery-5.3", "redis", "eta", 2),
        ("celery-5.3", "redis", "prefetched", 1),
        pytest.param("celery-5.3", "redis", "prefetched", 2, marks=pytest.mark.verify),
        pytest.param("celery-5.5", "redis", "prefetched", 1, marks=pytest.mark.verify),
        pytest.param("celery-5.6", "redis", "prefetched", 1, marks=pytest.mark.verify),
        pytest.param(NEWEST, "amqp", "eta", 2, marks=pytest.mark.verify),
    ],
)
def test_what_is_taken_at_sigterm_goes_back(
    celery: str,
    transport: str,
    key: str,
    taken: int,
    make_pod: PodMaker,
    empty_broker: RedisServer,
    rabbit: RabbitServer,
    ledger: Redis,
) -> None:
    """The application sends itself SIGTERM when it hears of the message, before Celery has written it down.

    ``taken``: of the worker's two slots. With a free one the pool gets the message, and has no time to write it to a
    child.
    """
    broker = empty_broker.url() if transport == "redis" else rabbit.url()
    config = {"worker_prefetch_multiplier": 4, "worker_disable_prefetch": False}
    settings = {"config": config, "gracePeriodSeconds": 60.0}
    pod = make_pod(celery=celery, broker=broker, app="interrupted", settings=settings).start().wait_for("/readyz")
    running = ["one", "two"][:taken]
    for task in running:
        send(broker, "endings.told", task, 120.0)
        wait_for_entries(ledger, f"{task}.begin", 1)

    send(broker, "endings.rest", key, 1.0, eta=FAR if key == "eta" else None)
    wait_until(lambda: pod.status()["shuttingDown"], timeout=60.0, what="SIGTERM")
    wait_until(lambda: length(broker) == 1, timeout=40.0, what="the message is back while tasks run")

    assert pod.running
    assert waiting(broker, expected=1) == [f"endings.rest {key}"]
    for task in running:
        ledger.rpush(f"{task}.end", "now")
    assert pod.ended() == 0
    assert [ledger.llen(task) for task in (*running, f"{key}.begin")] == [*[1] * taken, 0]
    assert waiting(broker) == []


POOL = """
import os, signal, time
from types import SimpleNamespace
from weakref import ref
from celery.concurrency.asynpool import AsynPool
from kombu.asynchronous import Hub, set_event_loop
from celery_operator_runtime import task_requests

hub = Hub()
set_event_loop(hub)
pool = AsynPool(processes=2, threads=False, sched_strategy="fair")
pool.register_with_event_loop(hub)

def rounds(until):
    limit = time.monotonic() + 60
    while not until():
        assert time.monotonic() < limit
        hub.timer.call_after(0.05, lambda: None)
        next(loop)

def unwritten():
    requests = [SimpleNamespace(name=name, _apply_result=ref(job)) for name, job in jobs.items()]
    return [one.name for one in task_requests.unwritten(SimpleNamespace(_pool=pool), requests)]

loop = hub.create_loop()
try:
    rounds(lambda: len(pool._all_inqueues) == 2)
    for child in pool._pool:
        os.kill(child.pid, signal.SIGSTOP)
    sizes = {"half": 1 << 20, "whole": 1, "none": 1}
    jobs = {name: pool.apply_async(len, ("x" * size,)) for name, size in sizes.items()}
    result = {"given": unwritten()}
    rounds(lambda: sum(pool.write_stats.values()) == 1 and len(pool._active_writers) == 1)
    result["written"] = unwritten()
    dead = jobs["half"]._write_to
    os.kill(dead.pid, signal.SIGKILL)
    dead._popen.wait(60)
    pool.maintain_pool()
    result["waits"] = jobs["half"] in pool.outbound_buffer
    result["died"] = unwritten()
finally:
    for child in pool._pool:
        os.kill(child.pid, signal.SIGKILL)
"""


@pytest.mark.parametrize("celery", ["celery-5.3", NEWEST])
def test_only_what_no_child_has_got_a_byte_of_goes_back(celery: str, tmp_path: Path) -> None:
    """Of a real pool whose two children read nothing; one gets a whole task, the other a part of one, and dies."""
    assert run(POOL, tmp_path, celery=celery) == {
        "given": ["half", "whole", "none"],
        "written": ["none"],
        "waits": True,
        "died": ["none"],
    }
