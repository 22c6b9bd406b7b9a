"""A worker that must end before its tasks do loses none of them: they are back in the queue before the pod is gone."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import kombu
import pytest
from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.kubelet import wait_for_end
from tests.integration.runtime.pods import Pod, send, wait_for_entries
from tests.integration.servers import RabbitServer, RedisServer, wait_until

NEWEST = "celery-5.7"
VERSIONS = ["celery-5.3", "celery-5.4", "celery-5.5", "celery-5.6", NEWEST]
LATE = {"taskDelivery": "AtLeastOnce"}
VERIFY = pytest.mark.verify
GRACE = 8.0
"""Seconds; the watchdog acts 3 s before."""


def waiting(broker: str, *, expected: int = 0) -> list[str]:
    """Names and keys of the tasks in the queue, taken out of it.

    ``expected``: so many are waited for, since a broker takes its time; for more of them there is only a look.
    """
    found: list[str] = []
    with kombu.Connection(broker) as connection:
        queue = connection.SimpleQueue("celery")
        try:
            while True:
                message = queue.get(block=True, timeout=30.0 if len(found) < expected else 0.5)
                found.append(f"{message.headers['task']} {message.payload[0][0]}")
                message.ack()
        except queue.Empty:
            queue.close()
    return sorted(found)


def length(broker: str) -> int:
    """Messages in the queue."""
    with kombu.Connection(broker) as connection:
        queue = kombu.Queue("celery", kombu.Exchange("celery"), "celery", channel=connection.channel())
        # Not passive: an empty queue does not exist on Redis.
        declared: Any = queue.queue_declare()
        return int(declared.message_count)


def unacknowledged(broker: str) -> int:
    """Messages that Redis keeps for a worker, hidden from the others until the visibility timeout."""
    with Redis.from_url(broker) as client:
        return int(client.hlen("unacked"))


def end(pod: Pod, *, grace: float = GRACE) -> float:
    """What the kubelet does: SIGTERM to the main process, SIGKILL at the end of the grace period.

    Returns the seconds that it took. What is back in the queue afterwards was put back by the worker: SIGKILL alone
    leaves messages to Redis' visibility timeout, an hour.
    """
    started = time.monotonic()
    pod.signal(signal.SIGTERM)
    wait_for_end(pod, within=grace)
    pod.kill()
    return time.monotonic() - started


def worker(make_pod: PodMaker, broker: str, celery: str = NEWEST, grace: float = GRACE, **settings: Any) -> Pod:
    """A worker with two slots."""
    return make_pod(
        celery=celery, broker=broker, app="endings", settings={**LATE, "gracePeriodSeconds": grace, **settings}
    ).start()


@pytest.mark.parametrize(
    ("celery", "transport"),
    [
        ("celery-5.3", "redis"),
        *(pytest.param(version, "redis", marks=VERIFY) for version in VERSIONS[1:-1]),
        (NEWEST, "redis"),
        *(pytest.param(version, "amqp", marks=VERIFY) for version in VERSIONS[:-1]),
        (NEWEST, "amqp"),
    ],
)
def test_tasks_that_outlast_the_grace_period_go_back(
    celery: str, transport: str, make_pod: PodMaker, empty_broker: RedisServer, rabbit: RabbitServer, ledger: Redis
) -> None:
    broker = empty_broker.url() if transport == "redis" else rabbit.url()
    pod = worker(make_pod, broker, celery).wait_for("/readyz")
    for key in ("one", "two"):
        send(broker, "endings.rest", key, 60.0)
    for key in ("one", "two"):
        wait_for_entries(ledger, f"{key}.begin", 1)

    end(pod)

    assert waiting(broker, expected=2) == ["endings.rest one", "endings.rest two"]
    assert [ledger.llen(f"{key}.finally") for key in ("one", "two")] == [1, 1], "tasks could clean up"
    assert "2 tasks are cut, and go back into their queues" in pod.output()
    assert "NOT back" not in pod.output()
    assert "endings.rest[" in pod.output()
    assert "Traceback" not in pod.output()


def test_an_early_acknowledged_task_uses_the_time_that_is_left(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    broker = empty_broker.url()
    pod = worker(make_pod, broker, grace=12.0).wait_for("/readyz")
    send(broker, "endings.rest", "late", 60.0)
    send(broker, "endings.early", "early", 60.0)
    wait_for_entries(ledger, "late.begin", 1)
    wait_for_entries(ledger, "early.begin", 1)

    pod.signal(signal.SIGTERM)
    wait_until(lambda: "LOST unless they end in time" in pod.output(), timeout=60.0, what="the other one is cut")
    wait_for_entries(ledger, "late.finally", 1)
    assert ledger.llen("early.finally") == 0, "the task that cannot go back was ended too soon"
    ledger.rpush("early.end", "now")
    wait_for_end(pod, within=3.0)
    pod.kill()

    assert waiting(broker, expected=1) == ["endings.rest late"]
    assert ledger.llen("early") == 1, "the task that cannot go back was ended too soon"
    assert "endings.early[" in pod.output().rpartition("LOST unless")[2].splitlines()[0]


@pytest.mark.parametrize(
    ("celery", "pool"),
    [
        (NEWEST, "threads"),
        ("celery-5.3", "prefork"),
        *(pytest.param(version, "prefork", marks=VERIFY) for version in ("celery-5.5", "celery-5.6", NEWEST)),
        pytest.param("celery-5.3", "threads", marks=VERIFY),
        *(pytest.param(NEWEST, pool, marks=VERIFY) for pool in ("gevent", "eventlet")),
    ],
)
def test_a_task_that_ends_while_another_is_waited_for_is_not_run_again(
    celery: str, pool: str, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    broker = empty_broker.url()
    pod = worker(make_pod, broker, celery, pool=pool).wait_for("/readyz")
    # Prefork ends in an orderly way once late acknowledged tasks are cut: this one keeps it until SIGKILL.
    long = "endings.early" if pool == "prefork" else "endings.rest"
    send(broker, "endings.rest", "short", 2.0)
    send(broker, long, "long", 60.0)
    for key in ("short", "long"):
        wait_for_entries(ledger, f"{key}.begin", 1)
    end(pod)
    assert ledger.llen("short") == 1
    assert unacknowledged(broker) == 0, "Redis would hand the short one out again"
    back = [] if pool == "prefork" else ["endings.rest long"]
    assert waiting(broker, expected=len(back)) == back


@pytest.mark.parametrize("celery", [pytest.param("celery-5.3", marks=VERIFY), NEWEST])
def test_a_task_that_goes_on_after_sigterm_is_killed(
    celery: str, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    broker = empty_broker.url()
    pod = worker(make_pod, broker, celery).wait_for("/readyz")
    send(broker, "endings.stubborn", "stubborn", 60.0)
    wait_for_entries(ledger, "stubborn.begin", 1)
    end(pod)
    assert waiting(broker, expected=1) == ["endings.stubborn stubborn"]


@pytest.mark.parametrize("celery", ["celery-5.3", pytest.param("celery-5.6", marks=VERIFY), NEWEST])
def test_a_cut_task_has_no_result_yet(
    celery: str, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    """Whoever waits for the result must go on waiting for the second run."""
    env = {
        "CELERY_OPERATOR_RESULT_BACKEND_URL": empty_broker.url(1),
        "CELERY_OPERATOR_RESULT_BACKEND_DISABLED": "0",
    }
    broker = empty_broker.url()
    settings = {**LATE, "gracePeriodSeconds": GRACE}
    pod = make_pod(celery=celery, broker=broker, app="endings", settings=settings, env=env).start()
    pod.wait_for("/readyz")
    send(broker, "endings.rest", "told", 60.0)
    wait_for_entries(ledger, "told.begin", 1)
    end(pod)
    with Redis.from_url(empty_broker.url(1)) as backend:
        states = [json.loads(backend.get(key))["status"] for key in backend.keys("celery-task-meta-*")]
    assert states == []
    assert waiting(broker, expected=1) == ["endings.rest told"]


def test_the_operator_shortens_the_deadline(make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis) -> None:
    broker = empty_broker.url()
    pod = worker(make_pod, broker, grace=300.0).wait_for("/readyz")
    send(broker, "endings.rest", "shortened", 60.0)
    wait_for_entries(ledger, "shortened.begin", 1)
    assert pod.status()["deadlineSeconds"] is None
    pod.signal(signal.SIGTERM)
    wait_until(lambda: pod.status()["deadlineSeconds"] is not None, timeout=30.0, what="SIGTERM is seen")
    assert 240.0 < pod.status()["deadlineSeconds"] <= 300.0

    assert tell_deadline(pod, 5.0).status_code == 204

    assert wait_for_end(pod, within=5.0) < 5.0
    assert pod.returncode == 0
    assert waiting(broker, expected=1) == ["endings.rest shortened"]


def test_a_deadline_told_before_sigterm_is_remembered_and_never_grows(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    broker = empty_broker.url()
    pod = worker(make_pod, broker, grace=300.0).wait_for("/readyz")
    send(broker, "endings.rest", "told", 60.0)
    wait_for_entries(ledger, "told.begin", 1)
    assert tell_deadline(pod, 30.0).status_code == 204
    assert tell_deadline(pod, 200.0).status_code == 204
    pod.signal(signal.SIGTERM)
    wait_until(lambda: pod.status()["deadlineSeconds"] is not None, timeout=20.0, what="SIGTERM is seen")
    assert pod.status()["deadlineSeconds"] <= 30.0


def tell_deadline(pod: Pod, seconds: float) -> httpx.Response:
    """What the operator sends."""
    return httpx.post(
        f"http://127.0.0.1:{pod.port}/deadline",
        json={"seconds": seconds},
        headers={"Authorization": f"Bearer {pod.uid}"},
        timeout=30.0,
        trust_env=False,
    )


@pytest.mark.parametrize(
    ("celery", "transport"),
    [
        (NEWEST, "redis"),
        pytest.param(NEWEST, "amqp", marks=VERIFY),
        *(pytest.param(version, "redis", marks=VERIFY) for version in VERSIONS[:-1]),
    ],
)
@pytest.mark.parametrize("pool", ["threads", "solo", "gevent", pytest.param("eventlet", marks=VERIFY)])
def test_pools_that_cannot_end_a_task_end_with_their_tasks_back(
    pool: str,
    celery: str,
    transport: str,
    make_pod: PodMaker,
    empty_broker: RedisServer,
    rabbit: RabbitServer,
    ledger: Redis,
) -> None:
    broker = empty_broker.url() if transport == "redis" else rabbit.url()
    pod = worker(make_pod, broker, celery, pool=pool).wait_for("/readyz")
    send(broker, "endings.rest", pool, 60.0)
    wait_for_entries(ledger, f"{pool}.begin", 1)

    end(pod)

    assert waiting(broker, expected=1) == [f"endings.rest {pool}"]
    assert "put back into their queues; this process ends now" in pod.output()


def test_a_solo_task_inside_a_client_of_its_own_goes_back(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    broker = empty_broker.url()
    pod = worker(make_pod, broker, pool="solo").wait_for("/readyz")
    send(broker, "endings.blocked", "blocked")
    wait_for_entries(ledger, "blocked.begin", 1)
    end(pod)
    assert waiting(broker, expected=1) == ["endings.blocked blocked"]


@pytest.mark.parametrize("celery", [pytest.param("celery-5.5", marks=VERIFY), NEWEST])
def test_tasks_that_wait_for_their_rate_go_back_at_once(
    celery: str, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    broker = empty_broker.url()
    config = {"worker_prefetch_multiplier": 4, "worker_disable_prefetch": False}
    pod = worker(make_pod, broker, celery, grace=60.0, config=config).wait_for("/readyz")
    send(broker, "endings.limited", "first", 120.0)
    wait_for_entries(ledger, "first.begin", 1)
    send(broker, "endings.limited", "second", 120.0)
    wait_until(lambda: length(broker) == 0, timeout=30.0, what="the worker holds the second")
    pod.signal(signal.SIGTERM)
    wait_until(lambda: length(broker) == 1, timeout=30.0, what="it is back")
    assert pod.running
    assert waiting(broker, expected=1) == ["endings.limited second"]
    ledger.rpush("first.end", "now")
    assert pod.ended() == 0
    assert [ledger.llen(key) for key in ("first", "second")] == [1, 0]


@pytest.mark.parametrize("celery", [pytest.param("celery-5.3", marks=VERIFY), NEWEST])
def test_what_waits_inside_a_threads_pool_goes_back_at_the_deadline(
    celery: str, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    """Whenever it would have been acknowledged: it has not begun."""
    broker = empty_broker.url()
    config = {"worker_prefetch_multiplier": 4, "worker_disable_prefetch": False}
    pod = worker(make_pod, broker, celery, pool="threads", config=config).wait_for("/readyz")
    for key in ("one", "two"):
        send(broker, "endings.rest", key, 60.0)
        wait_for_entries(ledger, f"{key}.begin", 1)
    send(broker, "endings.rest", "late", 60.0)
    send(broker, "endings.early", "early", 60.0)
    wait_until(lambda: length(broker) == 0, timeout=30.0, what="the pool holds both")
    end(pod)
    back = ["endings.early early", "endings.rest late", "endings.rest one", "endings.rest two"]
    assert waiting(broker, expected=4) == back
    assert [ledger.llen(f"{key}.begin") for key in ("late", "early")] == [0, 0]
    assert unacknowledged(broker) == 0


@pytest.mark.parametrize(
    ("celery", "transport"),
    [("celery-5.3", "redis"), (NEWEST, "redis"), (NEWEST, "amqp"), pytest.param("celery-5.6", "amqp", marks=VERIFY)],
)
def test_prefetched_and_eta_messages_go_back_at_once(
    celery: str, transport: str, make_pod: PodMaker, empty_broker: RedisServer, rabbit: RabbitServer, ledger: Redis
) -> None:
    """Not when the last running task has ended: others could run them meanwhile."""
    broker = empty_broker.url() if transport == "redis" else rabbit.url()
    config = {"worker_prefetch_multiplier": 4, "worker_disable_prefetch": False}
    pod = worker(make_pod, broker, celery, taskDelivery="AtMostOnce", grace=60.0, config=config).wait_for("/readyz")
    for key in ("one", "two"):
        send(broker, "endings.told", key, 120.0)
        wait_for_entries(ledger, f"{key}.begin", 1)
    send(broker, "endings.rest", "prefetched", 1.0)
    send(broker, "endings.rest", "eta", 1.0, eta="2100-01-01T00:00:00+00:00")
    wait_until(lambda: length(broker) == 0, timeout=30.0, what="the worker holds both")
    pod.signal(signal.SIGTERM)
    wait_until(lambda: length(broker) == 2, timeout=30.0, what="both are back")
    assert pod.running
    assert waiting(broker, expected=2) == ["endings.rest eta", "endings.rest prefetched"]
    for key in ("one", "two"):
        ledger.rpush(f"{key}.end", "now")
    assert pod.ended() == 0
    assert [ledger.llen(key) for key in ("one", "two", "prefetched")] == [1, 1, 0]


def test_a_worker_that_ends_without_a_signal_gives_back_what_it_holds(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    """Nobody kills it, so that its running task has all the time that it needs."""
    broker = empty_broker.url()
    pod = worker(make_pod, broker, taskDelivery="AtMostOnce").wait_for("/readyz")
    send(broker, "endings.told", "running", 120.0)
    wait_for_entries(ledger, "running.begin", 1)
    send(broker, "endings.rest", "eta", 1.0, eta="2100-01-01T00:00:00+00:00")
    wait_until(lambda: unacknowledged(broker) == 1, timeout=30.0, what="the worker holds it")
    arguments = ["-m", "celery", "-b", broker, "control", "-d", f"default@{pod.name}", "shutdown"]
    subprocess.run([str(pod._python), *arguments], check=False, timeout=120, capture_output=True, cwd=pod.folder)
    wait_until(lambda: length(broker) == 1, timeout=30.0, what="it is back")
    status = pod.status()
    assert (status["shuttingDown"], status["deadlineSeconds"]) == (True, None)
    ledger.rpush("running.end", "now")
    assert pod.ended() == 0
    assert ledger.llen("running") == 1


@pytest.mark.parametrize("celery", ["celery-5.3", pytest.param("celery-5.6", marks=VERIFY), NEWEST])
def test_a_message_that_a_threads_pool_has_is_run_once(
    celery: str, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    """Older Celery runs what waits in the pool, newer gives it back: never both."""
    broker = empty_broker.url()
    config = {"worker_prefetch_multiplier": 4, "worker_disable_prefetch": False}
    pod = worker(make_pod, broker, celery, pool="threads", grace=60.0, config=config).wait_for("/readyz")
    for key in ("one", "two", "three"):
        send(broker, "endings.rest", key, 4.0)
    for key in ("one", "two"):
        wait_for_entries(ledger, f"{key}.begin", 1)
    wait_until(lambda: length(broker) == 0, timeout=30.0, what="the pool holds the third")
    pod.signal(signal.SIGTERM)
    assert pod.ended() == 0
    assert [ledger.llen(key) for key in ("one", "two")] == [1, 1]
    ran = ledger.llen("three")
    assert ran + len(waiting(broker, expected=1 - ran)) == 1


@pytest.mark.parametrize(
    ("celery", "pool"),
    [
        ("celery-5.3", "prefork"),
        *(pytest.param(NEWEST, pool, marks=VERIFY) for pool in ("prefork", "threads", "gevent", "eventlet")),
    ],
)
def test_rabbitmq_gets_heartbeats_while_a_task_is_waited_for(
    celery: str, pool: str, make_pod: PodMaker, rabbit: RabbitServer, ledger: Redis
) -> None:
    """Without them it closes the connection and gives the task to another worker, while it runs here."""
    broker = rabbit.url()
    config = {"broker_heartbeat": 4}
    pod = worker(make_pod, broker, celery, pool=pool, grace=60.0, config=config).wait_for("/readyz")
    send(broker, "endings.rest", "long", 18.0)
    wait_for_entries(ledger, "long.begin", 1)
    pod.signal(signal.SIGTERM)
    assert pod.ended() == 0
    assert ledger.llen("long") == 1
    assert waiting(broker) == [], "the task was given back although it has ended"


@pytest.mark.parametrize("pool", ["prefork", pytest.param("threads", marks=VERIFY)])
def test_a_broker_that_hangs_at_the_deadline_still_has_the_message(
    pool: str, make_pod: PodMaker, tmp_path: Path, ledger: Redis
) -> None:
    with RedisServer(folder=tmp_path / "hanging") as broker:
        pod = worker(make_pod, broker.url(), pool=pool).wait_for("/readyz")
        send(broker.url(), "endings.rest", "hung", 60.0)
        wait_for_entries(ledger, "hung.begin", 1)
        broker.signal(signal.SIGSTOP)
        end(pod)
        broker.signal(signal.SIGCONT)
        with Redis.from_url(broker.url()) as client:
            wait_until(
                lambda: client.llen("celery") + client.hlen("unacked") == 1, timeout=30.0, what="one message is there"
            )
        assert "Unrecoverable error" not in pod.output()
        assert "endings.rest[" in pod.output().partition("NOT back in their queues")[2].splitlines()[0]
        assert "put back into their queues" not in pod.output()
        assert "endings.rest[" in pod.output().partition("NOT back in their queues")[2].splitlines()[0]
        assert "put back into their queues" not in pod.output()


REQUEUE: dict[str, Any] = {"shutdownMode": "Requeue"}


@pytest.mark.parametrize(
    ("celery", "transport"),
    [
        (NEWEST, "redis"),
        *(pytest.param(version, "redis", marks=VERIFY) for version in ("celery-5.5", "celery-5.6")),
        *(pytest.param(version, "amqp", marks=VERIFY) for version in ("celery-5.5", "celery-5.6", NEWEST)),
    ],
)
def test_requeue_waits_a_bounded_time_and_puts_the_rest_back(
    celery: str, transport: str, make_pod: PodMaker, empty_broker: RedisServer, rabbit: RabbitServer, ledger: Redis
) -> None:
    broker = empty_broker.url() if transport == "redis" else rabbit.url()
    pod = worker(make_pod, broker, celery, grace=14.0, **REQUEUE).wait_for("/readyz")
    assert pod.status()["effective"]["worker_soft_shutdown_timeout"] == 4.0
    send(broker, "endings.rest", "short", 2.0)
    send(broker, "endings.rest", "long", 60.0)
    wait_for_entries(ledger, "short.begin", 1)
    wait_for_entries(ledger, "long.begin", 1)

    took = end(pod, grace=14.0)

    assert waiting(broker, expected=1) == ["endings.rest long"]
    assert ledger.llen("short") == 1
    assert took > 4.0, "the short task had its time"


@pytest.mark.parametrize("celery", [pytest.param("celery-5.5", marks=VERIFY), NEWEST])
def test_requeue_ends_when_the_last_task_has_ended(
    celery: str, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    broker = empty_broker.url()
    pod = worker(make_pod, broker, celery, grace=30.0, **REQUEUE).wait_for("/readyz")
    send(broker, "endings.rest", "one", 3.0)
    send(broker, "endings.rest", "two", 5.0)
    for key in ("one", "two"):
        wait_for_entries(ledger, f"{key}.begin", 1)
    took = end(pod, grace=30.0)
    assert took < 19.0, "it slept for all of its 20 s"
    assert [ledger.llen(key) for key in ("one", "two")] == [1, 1]
    assert waiting(broker) == []
    assert unacknowledged(broker) == 0


def test_requeue_names_the_tasks_that_it_loses(make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis) -> None:
    pod = worker(make_pod, empty_broker.url(), grace=12.0, **REQUEUE).wait_for("/readyz")
    send(empty_broker.url(), "endings.early", "early", 60.0)
    wait_for_entries(ledger, "early.begin", 1)
    end(pod, grace=12.0)
    assert "endings.early[" in pod.output().partition("LOST unless")[2].splitlines()[0]
    assert waiting(empty_broker.url()) == []


def test_a_shortened_deadline_ends_the_soft_shutdown(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    broker = empty_broker.url()
    pod = worker(make_pod, broker, grace=300.0, **REQUEUE).wait_for("/readyz")
    send(broker, "endings.rest", "long", 60.0)
    wait_for_entries(ledger, "long.begin", 1)
    pod.signal(signal.SIGTERM)
    assert tell_deadline(pod, 12.0).status_code == 204
    assert wait_for_end(pod, within=12.0) < 12.0
    assert waiting(broker, expected=1) == ["endings.rest long"]


@pytest.mark.parametrize(("celery", "pool", "why"), [("celery-5.4", "prefork", "5.5"), (NEWEST, "threads", "prefork")])
def test_requeue_is_refused_where_celery_or_the_pool_cannot(
    celery: str, pool: str, why: str, make_pod: PodMaker, empty_broker: RedisServer
) -> None:
    pod = worker(make_pod, empty_broker.url(), celery, pool=pool, **REQUEUE)
    assert pod.ended() == 78
    message = pod.termination_message()
    assert message["reason"] == "ConfigInvalid"
    assert "Requeue" in message["message"]
    assert why in message["message"]
