"""A drained worker takes nothing, says so only when it is certain, and takes up work again when the lease is over."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import kombu
import pytest
from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.draining import LEASE, Way, drain, post, undrain, wait_drained, waiting
from tests.integration.runtime.pods import Pod, send, wait_for_entries
from tests.integration.servers import RabbitServer, RedisServer, wait_until

verify = pytest.mark.verify
OTHERS = [pytest.param(f"celery-5.{minor}", marks=verify) for minor in (3, 4, 5, 6)]
BROKERS = ("redis", "rabbitmq")


@pytest.fixture(params=BROKERS)
def server(request: pytest.FixtureRequest) -> RedisServer | RabbitServer:
    """Both brokers, empty."""
    if request.param == "redis":
        redis_server: RedisServer = request.getfixturevalue("empty_broker")
        return redis_server
    rabbit: RabbitServer = request.getfixturevalue("rabbit")
    with kombu.Connection(rabbit.url()) as connection:
        kombu.Queue("celery", kombu.Exchange("celery"), "celery", channel=connection.channel()).declare()
    return rabbit


@pytest.fixture
def way(server: RedisServer | RabbitServer) -> Iterator[Way]:
    """The worker's way to the broker."""
    with Way(server.port) as proxy:
        yield proxy


def through(way: Way, server: RedisServer | RabbitServer) -> str:
    """The broker's address as the worker has it."""
    return server.url().replace(f":{server.port}/", f":{way.port}/")


@pytest.mark.parametrize(
    ("server", "celery", "pool"),
    [
        ("redis", "celery-5.7", "prefork"),
        ("rabbitmq", "celery-5.7", "prefork"),
        ("rabbitmq", "celery-5.7", "threads"),
        ("redis", "celery-5.7", "gevent"),
        ("redis", "celery-5.7", "solo"),
        pytest.param("redis", "celery-5.7", "threads", marks=verify),
        *(pytest.param("rabbitmq", "celery-5.7", pool, marks=verify) for pool in ("gevent", "solo")),
        *(pytest.param(server, "celery-5.7", "eventlet", marks=verify) for server in BROKERS),
        *(pytest.param(server, *one.values, "prefork", marks=verify) for server in BROKERS for one in OTHERS),
        *(
            pytest.param(server, "celery-5.3", pool, marks=verify)
            for server in BROKERS
            for pool in ("threads", "solo", "gevent", "eventlet")
        ),
    ],
    indirect=["server"],
)
def test_a_drain_and_its_end_outlast_lost_connections(
    celery: str, pool: str, make_pod: PodMaker, server: RedisServer | RabbitServer, way: Way, ledger: Redis
) -> None:
    pod = make_pod(celery=celery, broker=through(way, server), settings={"pool": pool}).start().wait_for("/readyz")
    answer = wait_drained(pod)
    assert LEASE / 2 < answer["seconds"] <= LEASE
    assert pod.status()["consuming"] == []
    assert pod.status()["drain"]["drained"] is True
    send(server.url(), "shop.record", "first")
    way.cut(pod)
    wait_drained(pod)
    assert pod.status()["consuming"] == []
    assert waiting(server.url()) == 1
    assert (pod.get("/readyz").status_code, pod.get("/livez").status_code) == (200, 200)

    undrain(pod)
    wait_for_entries(ledger, "first", 1)
    wait_until(lambda: pod.status()["consuming"] == ["celery"], timeout=30.0, what="it says what it consumes")
    way.cut(pod)
    send(server.url(), "shop.record", "second")
    wait_for_entries(ledger, "second", 1)

    wait_drained(pod)
    pod.signal(signal.SIGTERM)
    assert pod.ended() == 0
    assert ledger.llen("first") == 1
    assert "runtime's hook" not in pod.output()


@pytest.mark.parametrize("celery", ["celery-5.7", *OTHERS])
@pytest.mark.parametrize("pool", ["prefork", pytest.param("threads", marks=verify), pytest.param("solo", marks=verify)])
def test_nothing_is_lost_and_nothing_runs_while_drained(
    celery: str, pool: str, make_pod: PodMaker, server: RedisServer | RabbitServer, ledger: Redis
) -> None:
    """Tasks arrive all the time, in each moment of a drain: each runs once, and never between "drained" and its end."""
    pod = make_pod(celery=celery, broker=server.url(), settings={"pool": pool}).start().wait_for("/readyz")
    spans: list[tuple[float, float]] = []
    sent = 0

    def burst() -> None:
        nonlocal sent
        for _ in range(5):
            send(server.url(), "shop.record", "arrived")
            sent += 1

    for _ in range(6):
        burst()
        drain(pod)
        burst()
        wait_drained(pod)
        began = time.time()
        burst()
        assert waiting(server.url()) >= 5
        assert drain(pod)["drained"] is True
        spans.append((began, time.time()))
        undrain(pod)
    ran = wait_for_entries(ledger, "arrived", sent, timeout=60.0)
    wait_until(lambda: waiting(server.url()) == 0, timeout=30.0, what="the queue is empty")
    wait_drained(pod)
    assert len(ran) == sent == ledger.llen("arrived")
    assert [at for at in ran for begin, end in spans if begin <= at <= end] == []


def test_what_redis_hands_out_late_goes_back_as_it_was(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    """The worker has asked for the next message when it is drained: that one stays the next one, unchanged.

    It waits twenty seconds for it instead of one, and has just begun to.
    """
    settings = {"config": {"broker_transport_options": {"polling_interval": 20}}}
    pod = make_pod(broker=empty_broker.url(), app="endings", settings=settings).start().wait_for("/readyz")
    with empty_broker.client() as broker:
        broker.config_resetstat()
        wait_until(lambda: any(int(one["idle"]) < 5 for one in asking(broker)), timeout=60.0, what="the worker asks")
        drain(pod)
        wait_until(lambda: "draining: this worker" in pod.output(), timeout=30.0, what="the drain has begun")
        assert asking(broker), "nothing is under way: this test proves nothing"
        send(empty_broker.url(), "endings.rest", "late", 0.0)
        wait_until(lambda: broker.info("commandstats").get("cmdstat_rpush") is not None, timeout=30.0, what="put back")
        send(empty_broker.url(), "endings.rest", "later", 0.0)
        wait_drained(pod)
        queue = [json.loads(message) for message in broker.lrange("celery", 0, -1)]
        assert [first_argument(message) for message in queue] == ["later", "late"], "Redis serves from the right"
        assert len(queue) == 2
        assert set(queue[0]["headers"]) == set(queue[1]["headers"])
        assert set(queue[0]["properties"]["delivery_info"]) == set(queue[1]["properties"]["delivery_info"])
        assert broker.hlen("unacked") == 0
    assert ledger.llen("late") == 0
    undrain(pod)
    wait_for_entries(ledger, "late", 1)
    wait_for_entries(ledger, "later", 1)


def first_argument(message: dict[str, Any]) -> Any:
    """Of a raw message."""
    return json.loads(base64.b64decode(message["body"]))[0][0]


def asking(broker: Redis) -> list[Any]:
    """Clients that wait in BRPOP."""
    return [client for client in broker.client_list() if "b" in client["flags"]]


def test_an_answer_unread_by_a_full_worker_is_not_hidden(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    """The last slot is taken, by a task that has come due, while the worker waits for a message.

    kombu leaves that one in the socket until a slot is free. It waits for a minute here instead of a second.
    """
    config = {"worker_prefetch_multiplier": 1, "broker_transport_options": {"polling_interval": 60}}
    settings = {"taskDelivery": "AtLeastOnce", "config": config}
    pod = make_pod(broker=empty_broker.url(), app="endings", settings=settings).start().wait_for("/readyz")
    with empty_broker.client() as broker:
        due = datetime.now(UTC) + timedelta(seconds=6)
        send(empty_broker.url(), "endings.rest", "long", 120.0, eta=due.isoformat())
        send(empty_broker.url(), "endings.rest", "long", 120.0)
        wait_for_entries(ledger, "long.begin", 2)
        assert asking(broker), "nothing is under way: this test proves nothing"
        send(empty_broker.url(), "endings.rest", "next", 0.0)
        wait_until(lambda: broker.llen("celery") == 0, timeout=30.0, what="it is handed out")
        assert broker.hlen("unacked") == 2, "it is read: this test proves nothing"
        drain(pod)
        wait_until(lambda: broker.llen("celery") == 1, timeout=30.0, what="it is back in the queue")
        assert drain(pod)["drained"] is False
        assert ledger.llen("long") == 0, "the tasks should run still: this test proves nothing"


def test_the_lease_runs_out_by_itself(make_pod: PodMaker, server: RedisServer | RabbitServer, ledger: Redis) -> None:
    pod = make_pod(broker=server.url()).start().wait_for("/readyz")
    wait_drained(pod)
    began = time.time()
    answer = drain(pod, 2.0)
    assert answer["drained"] is True
    send(server.url(), "shop.record", "after")
    (ran,) = wait_for_entries(ledger, "after", 1)
    assert ran - began > 1.9
    assert pod.status()["drain"] == {"draining": False, "drained": False, "seconds": 0.0}


def test_the_lease_runs_on_while_the_broker_is_away(
    make_pod: PodMaker, server: RedisServer | RabbitServer, way: Way, ledger: Redis
) -> None:
    pod = make_pod(broker=through(way, server)).start().wait_for("/readyz")
    wait_drained(pod)
    way.close()
    wait_until(lambda: pod.status()["connected"] is False, timeout=60.0, what="the outage is seen")
    answer = drain(pod, 3.0)
    assert answer["draining"] is True
    assert answer["drained"] is False, "nobody knows what a lost connection has left"
    wait_until(lambda: pod.status()["drain"]["draining"] is False, timeout=30.0, what="the lease is over")
    send(server.url(), "shop.record", "after")
    way.open()
    wait_for_entries(ledger, "after", 1, timeout=60.0)


def test_a_drain_that_begins_before_the_broker_is_there(
    make_pod: PodMaker, server: RedisServer | RabbitServer, way: Way, ledger: Redis
) -> None:
    """It never consumes, and is ready all the same."""
    way.close()
    pod = make_pod(broker=through(way, server)).start().wait_for("/startupz")
    drain(pod)
    send(server.url(), "shop.record", "early")
    way.open()
    pod.wait_for("/readyz")
    wait_drained(pod)
    assert waiting(server.url()) == 1
    undrain(pod)
    wait_for_entries(ledger, "early", 1)


@pytest.mark.parametrize("delivery", ["AtMostOnce", "AtLeastOnce"])
def test_running_and_prefetched_tasks_end_first(
    delivery: str, make_pod: PodMaker, server: RedisServer | RabbitServer, ledger: Redis
) -> None:
    """Two slots, four messages a slot: what has come runs, and nothing is "drained" before."""
    settings = {"taskDelivery": delivery, "config": {"worker_prefetch_multiplier": 4, "worker_disable_prefetch": False}}
    pod = make_pod(broker=server.url(), settings=settings).start().wait_for("/readyz")
    for _ in range(6):
        send(server.url(), "shop.hold", "held")
    wait_for_entries(ledger, "held.begin", 2)
    wait_until(lambda: sum(pod.status()[name] for name in ("active", "reserved")) == 6, timeout=30.0, what="six tasks")
    assert waiting(server.url()) == 0
    first = drain(pod)
    assert first["drained"] is False
    assert first["active"] + first["reserved"] == 6
    ledger.rpush("held.go", *range(6))
    wait_drained(pod)
    assert ledger.llen("held") == 6


def test_tasks_that_wait_for_their_rate_limit_end_first(
    make_pod: PodMaker, server: RedisServer | RabbitServer, ledger: Redis
) -> None:
    """Celery counts them nowhere: neither active, nor reserved, nor scheduled."""
    settings = {"config": {"task_default_rate_limit": "30/m"}}
    pod = make_pod(broker=server.url(), settings=settings).start().wait_for("/readyz")
    for _ in range(3):
        send(server.url(), "shop.record", "limited")
    wait_for_entries(ledger, "limited", 1)
    wait_until(lambda: waiting(server.url()) == 0, timeout=30.0, what="all are in the worker")
    wait_drained(pod)
    assert ledger.llen("limited") == 3


def test_an_unknown_task_that_is_held_goes_back_first(make_pod: PodMaker, server: RedisServer | RabbitServer) -> None:
    pod = make_pod(broker=server.url()).start().wait_for("/readyz")
    send(server.url(), "nobody.knows", "x")
    wait_until(lambda: "does not know the task" in pod.output(), timeout=30.0, what="it is held")
    assert drain(pod)["drained"] is False
    wait_drained(pod)
    assert waiting(server.url()) == 1
    # Twice or more where the machine stood still for longer than the worker holds it.
    assert pod.status()["unknownTasksRequeued"] >= 1


@pytest.mark.parametrize(
    ("server", "celery", "pool", "limit"),
    [
        ("redis", "celery-5.7", "prefork", None),
        ("rabbitmq", "celery-5.7", "prefork", "100/s"),
        ("rabbitmq", "celery-5.7", "gevent", None),
        pytest.param("redis", "celery-5.7", "prefork", "100/s", marks=verify),
        pytest.param("rabbitmq", "celery-5.7", "prefork", None, marks=verify),
        pytest.param("redis", "celery-5.7", "gevent", None, marks=verify),
        *(pytest.param(server, "celery-5.7", "gevent", "100/s", marks=verify) for server in BROKERS),
        *(
            pytest.param(server, *one.values, "prefork", limit, marks=verify)
            for server in BROKERS
            for one in OTHERS
            for limit in (None, "100/s")
        ),
    ],
    indirect=["server"],
)
def test_a_task_whose_time_comes_while_drained_goes_to_another_worker(
    celery: str, pool: str, limit: str | None, make_pod: PodMaker, server: RedisServer | RabbitServer, ledger: Redis
) -> None:
    """A drained worker stays it: the message goes back in the moment it is due."""
    settings = {"pool": pool, "config": {"task_default_rate_limit": limit} if limit else {}}
    pod = make_pod(celery=celery, broker=server.url(), settings=settings).start().wait_for("/readyz")
    due = datetime.now(UTC) + timedelta(seconds=12)
    send(server.url(), "shop.record", "due", eta=due.isoformat())
    wait_until(lambda: pod.status()["eta"] == 1, timeout=30.0, what="the worker holds it")
    assert wait_drained(pod)["eta"] == 1
    assert datetime.now(UTC) < due, "it came due too early: this test proves nothing"
    wait_until(lambda: waiting(server.url()) == 1, timeout=60.0, what="it is back in the queue")
    assert datetime.now(UTC) >= due
    assert drain(pod)["drained"] is True
    other = make_pod(broker=server.url()).start().wait_for("/readyz")
    wait_for_entries(ledger, "due", 1)
    wait_until(lambda: other.status()["processed"] == 1, timeout=30.0, what="the other counts it")
    undrain(pod)
    send(server.url(), "shop.record", "after")
    send(server.url(), "shop.record", "after")
    wait_for_entries(ledger, "after", 2)
    assert ledger.llen("due") == 1


def test_a_drained_worker_that_ends_gives_its_scheduled_tasks_back(
    make_pod: PodMaker, server: RedisServer | RabbitServer, ledger: Redis
) -> None:
    pod = make_pod(broker=server.url()).start().wait_for("/readyz")
    send(server.url(), "shop.record", "due", eta=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    wait_until(lambda: pod.status()["eta"] == 1, timeout=30.0, what="the worker holds it")
    wait_drained(pod)
    pod.signal(signal.SIGTERM)
    assert pod.ended(timeout=30.0) == 0
    wait_until(lambda: waiting(server.url()) == 1, timeout=30.0, what="it is back in the queue")


@pytest.mark.parametrize("celery", ["celery-5.7", *OTHERS])
def test_what_the_user_changes_meanwhile_holds_when_the_drain_is_over(
    celery: str, make_pod: PodMaker, server: RedisServer | RabbitServer, ledger: Redis
) -> None:
    pod = make_pod(celery=celery, broker=server.url()).start().wait_for("/readyz")
    wait_drained(pod)
    control(pod, server.url(), "add_consumer", "added")
    control(pod, server.url(), "cancel_consumer", "celery")
    send(server.url(), "shop.record", "of added", queue="added")
    send(server.url(), "shop.record", "of celery")
    assert wait_drained(pod)["draining"] is True
    assert pod.status()["consuming"] == []
    assert (waiting(server.url(), "added"), waiting(server.url())) == (1, 1)
    undrain(pod)
    wait_for_entries(ledger, "of added", 1)
    wait_until(lambda: pod.status()["consuming"] == ["added"], timeout=30.0, what="it says what it consumes")
    assert (waiting(server.url(), "added"), waiting(server.url())) == (0, 1)
    control(pod, server.url(), "add_consumer", "celery")
    wait_for_entries(ledger, "of celery", 1)


def test_a_worker_whose_queues_the_user_cancelled_can_be_drained(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    pod = make_pod(celery="celery-5.7", broker=empty_broker.url()).start().wait_for("/readyz")
    control(pod, empty_broker.url(), "cancel_consumer", "celery")
    wait_until(lambda: pod.status()["consuming"] == [], timeout=30.0, what="it consumes nothing")
    wait_drained(pod)
    undrain(pod)
    control(pod, empty_broker.url(), "add_consumer", "celery")
    send(empty_broker.url(), "shop.record", "afterwards")
    wait_for_entries(ledger, "afterwards", 1)


def control(pod: Pod, url: str, command: str, queue: str) -> None:
    """``celery control`` with the pod's own Celery; it waits for the worker's answer."""
    arguments = ["-m", "celery", "-b", url, "control", "-t", "60", "-d", f"default@{pod.name}", command, queue]
    subprocess.run([str(pod._python), *arguments], check=True, timeout=120, capture_output=True, cwd=pod.folder)


def test_a_queue_that_was_deleted_meanwhile_is_made_again(
    make_pod: PodMaker, rabbit: RabbitServer, ledger: Redis
) -> None:
    pod = make_pod(broker=rabbit.url()).start().wait_for("/readyz")
    wait_drained(pod)
    with kombu.Connection(rabbit.url()) as connection:
        channel: Any = connection.channel()
        channel.queue_delete("celery")
    undrain(pod)
    wait_until(lambda: pod.status()["consuming"] == ["celery"], timeout=30.0, what="it consumes")
    send(rabbit.url(), "shop.record", "after")
    wait_for_entries(ledger, "after", 1)


@pytest.mark.parametrize("pool", ["prefork", "gevent"])
def test_a_channel_that_is_lost_at_the_end_of_a_drain_is_replaced(
    pool: str, make_pod: PodMaker, rabbit: RabbitServer, ledger: Redis
) -> None:
    """The queue exists with other arguments: RabbitMQ closes the channel. Once that is repaired, the worker works."""
    pod = make_pod(broker=rabbit.url(), settings={"pool": pool}).start().wait_for("/readyz")
    wait_drained(pod)
    with kombu.Connection(rabbit.url()) as connection:
        channel: Any = connection.channel()
        channel.queue_delete("celery")
        channel.queue_declare("celery", durable=True, auto_delete=False, arguments={"x-max-length": 7})
        undrain(pod)
        wait_until(lambda: "making a new one" in pod.output(), timeout=30.0, what="the refusal")
        channel.queue_delete("celery")
    send(rabbit.url(), "shop.record", "after")
    wait_for_entries(ledger, "after", 1, timeout=60.0)


def test_who_may_drain(make_pod: PodMaker, empty_broker: RedisServer) -> None:
    pod = make_pod(broker=empty_broker.url()).start().wait_for("/readyz")
    boot_id = pod.status()["bootId"]
    wish = {"bootId": boot_id, "seconds": 30.0}
    assert post(pod, wish, token="other").status_code == 403
    assert post(pod, {"seconds": 30.0}).status_code == 400
    refused = post(pod, {"bootId": "former", "seconds": 30.0})
    assert (refused.status_code, refused.json()) == (409, {"bootId": boot_id})
    assert pod.get("/drain").status_code == 405
    assert pod.status()["drain"] == {"draining": False, "drained": False, "seconds": 0.0}

    answer = post(pod, wish)
    assert answer.headers["content-type"].startswith("application/json")
    assert set(answer.json()) == {"bootId", "draining", "drained", "seconds", "slots", "active", "reserved", "held",
                                  "eta", "processed", "startedSince", "shuttingDown"}  # fmt: skip
    assert answer.json()["slots"] == 2

    pod.kill()
    pod.start().wait_for("/readyz")
    assert pod.status()["bootId"] != boot_id
    assert post(pod, wish).status_code == 409
    assert pod.status()["consuming"] == ["celery"]


def test_a_drain_costs_a_worker_next_to_nothing(make_pod: PodMaker, empty_broker: RedisServer) -> None:
    """Idle and drained for five seconds, with the operator asking every second."""
    pod = make_pod(broker=empty_broker.url()).start().wait_for("/readyz")
    wait_drained(pod)
    before, end = pod.cpu_seconds(), time.monotonic() + 5.0
    while time.monotonic() < end:
        drain(pod)
        time.sleep(1.0)
    each = (pod.cpu_seconds() - before) / 5.0
    print(f"drained: {each * 1000:.1f} ms CPU a second")
    assert each < 0.05
