"""During a rollout an old worker keeps tasks that it does not know for the new ones, unchanged."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from datetime import datetime
from typing import Any, cast

import httpx
import kombu
import pytest
from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.pods import Pod, send, wait_for_entries
from tests.integration.servers import RabbitServer, RedisServer, wait_until

HEADER = "celery-operator-unknown-since"
HELD = 6
PUBLISH_SECONDS = 2.0
"""unknown_tasks' longest wait for a confirmation."""

TURNS_SECONDS = 180.0
"""Two workers ask for the message: who gets it is a toss of a coin every five seconds."""

VERSIONS = ["celery-5.7", *(pytest.param(f"celery-5.{minor}", marks=pytest.mark.verify) for minor in (3, 4, 5, 6))]


@pytest.fixture(params=["redis", "rabbitmq"])
def url(request: pytest.FixtureRequest) -> str:
    """Both brokers, empty."""
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("empty_broker")
        return server.url()
    rabbit: RabbitServer = request.getfixturevalue("rabbit")
    return rabbit.url()


def pod_of(app: str, make_pod: PodMaker, url: str, backend: str, **options: Any) -> Pod:
    """A worker with results."""
    env = {"CELERY_OPERATOR_RESULT_BACKEND_DISABLED": "0", "CELERY_OPERATOR_RESULT_BACKEND_URL": backend}
    return make_pod(broker=url, app=app, env=env, **options).start().wait_for("/readyz")


def produce(pod: Pod, url: str, backend: str, case: str, *keys: str) -> None:
    """Send a case of renewed.py's with the pod's own Celery."""
    subprocess.run(
        [str(pod._python), "renewed.py", case, *keys],
        cwd=pod._applications,
        env={"CELERY_BROKER_URL": url, "CELERY_RESULT_BACKEND": backend, "LEDGER_URL": "redis://unused"},
        check=True,
        timeout=60,
    )


def arrivals(ledger: Redis, key: str) -> list[dict[str, Any]]:
    """What renewed.look saw."""
    return [json.loads(cast("bytes", entry)) for entry in ledger.lrange(key, 0, -1)]


@pytest.mark.parametrize("celery", VERSIONS)
def test_an_unknown_task_waits_for_the_worker_that_knows_it(
    celery: str, url: str, make_pod: PodMaker, ledger: Redis, ledger_server: RedisServer
) -> None:
    backend = ledger_server.url(3)
    old = pod_of("shop", make_pod, url, backend, celery=celery)
    for case in ("plain", "eta", "chain", "chord"):
        produce(old, url, backend, case, case)
    wait_until(lambda: old.status()["unknownTasksRequeued"] >= 6, timeout=60.0, what="six messages are put back")
    assert "runtime hook failed" not in str(old.status()["warnings"])

    new = pod_of("renewed", make_pod, url, backend, celery=celery)
    wait_until(lambda: ledger.llen("plain") == 1, timeout=TURNS_SECONDS, what="plain")
    wait_until(lambda: ledger.llen("eta") == 1, timeout=TURNS_SECONDS, what="eta")
    wait_until(lambda: ledger.llen("chain") == 2, timeout=TURNS_SECONDS, what="chain")
    wait_until(lambda: ledger.lrange("chord.sum", 0, -1) == [b"6"], timeout=TURNS_SECONDS, what="chord")
    assert (ledger.llen("chain.record"), ledger.llen("chord")) == (1, 3)
    (later,) = arrivals(ledger, "eta")
    assert later["at"] >= datetime.fromisoformat(later["eta"]).timestamp()
    assert old.output().count("does not know the task renewed.look") == 1
    assert "Received unregistered task" not in old.output()

    old.signal(signal.SIGTERM)
    old.ended()
    produce(new, url, backend, "plain", "known")
    wait_for_entries_of_json(ledger, "known", 1)
    (waited,), (known,) = arrivals(ledger, "plain"), arrivals(ledger, "known")
    assert_same_message(waited, known)


def wait_for_entries_of_json(ledger: Redis, key: str, count: int) -> None:
    """Wait until the list has so many entries."""
    wait_until(lambda: ledger.llen(key) >= count, timeout=60.0, what=key)


def assert_same_message(waited: dict[str, Any], known: dict[str, Any]) -> None:
    """Apart from identity, time and the key, a message that waited looks as one that did not.

    Our header is gone as well: a retry would carry it on, with a window that is over.
    """
    own = {"id", "root_id", "correlation_id", "at", "expires", "args", "argsrepr", "reply_to"}
    assert {name: value for name, value in waited.items() if name not in own} == {
        name: value for name, value in known.items() if name not in own
    }
    assert waited["priority"] == 3
    assert waited["expires"]


def send_unknown(url: str, since: float | None = None) -> None:
    """A message that no application knows, first met at ``since``."""
    headers = {"lang": "py", "task": "nobody.knows", "id": "1", "root_id": "1", "parent_id": None, "group": None}
    if since is not None:
        headers[HEADER] = repr(since)
    with kombu.Connection(url) as connection:
        kombu.Producer(connection).publish(
            [[], {}, {}], exchange="celery", routing_key="celery", headers=headers, serializer="json",
            declare=[kombu.Queue("celery", kombu.Exchange("celery"), "celery")],
        )  # fmt: skip


def test_after_ten_minutes_celery_handles_it(url: str, make_pod: PodMaker) -> None:
    pod = make_pod(broker=url).start().wait_for("/readyz")
    send_unknown(url, since=time.time() - 601.0)
    wait_until(lambda: "Received unregistered task" in pod.output(), timeout=60.0, what="Celery's handling")
    assert pod.status()["unknownTasksRequeued"] == 0


def test_the_time_of_the_first_meeting_survives(make_pod: PodMaker, empty_broker: RedisServer) -> None:
    """Another worker may have met it before: the window is the message's, not the worker's."""
    pod = make_pod(broker=empty_broker.url()).start().wait_for("/readyz")
    send_unknown(empty_broker.url(), since=time.time() - 592.0)
    wait_until(lambda: "Received unregistered task" in pod.output(), timeout=60.0, what="Celery's handling")
    assert pod.status()["unknownTasksRequeued"] in (1, 2)


def test_what_the_broker_does_not_take_stays_unacknowledged(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    """A Redis without memory refuses the copy: the message stays where it is until there is room."""
    old = make_pod(broker=empty_broker.url()).start().wait_for("/readyz")
    with empty_broker.client() as broker:
        send(empty_broker.url(), "renewed.look", "kept")
        wait_until(lambda: broker.hlen("unacked") == 1, timeout=60.0, what="the message is held")
        broker.config_set("maxmemory", "1")
        try:
            wait_until(lambda: "could not be put back" in old.output(), timeout=60.0, what="the refusal")
            assert broker.hlen("unacked") == 1
            assert old.status()["unknownTasksRequeued"] == 0
        finally:
            broker.config_set("maxmemory", "0")
    wait_until(
        lambda: old.status()["unknownTasksRequeued"] > 0, timeout=120.0, what="there is room, and it is put back"
    )
    old.signal(signal.SIGTERM)
    assert old.ended() == 0
    make_pod(broker=empty_broker.url(), app="renewed").start().wait_for("/readyz")
    wait_until(lambda: ledger.llen("kept") == 1, timeout=60.0, what="the task runs")


def test_a_refused_copy_stays_unacknowledged_on_rabbitmq(make_pod: PodMaker, rabbit: RabbitServer) -> None:
    """A user who may not publish to the default exchange: nothing is lost, everything else goes on."""
    limit_user(rabbit, "clerk", write="^(celery|celeryev|.*pidbox)$")
    url = rabbit.url().replace("shop:", "clerk:")
    pod = make_pod(broker=url).start().wait_for("/readyz")
    send_unknown(rabbit.url())
    wait_until(lambda: "could not be put back" in pod.output(), timeout=60.0, what="the refusal")
    pod.signal(signal.SIGTERM)
    assert pod.ended() == 0
    with kombu.Connection(rabbit.url()) as connection:
        queue = kombu.Queue("celery", channel=connection.channel())
        wait_until(lambda: queue.get(no_ack=True) is not None, timeout=30.0, what="the message is there")


def test_a_rabbitmq_that_takes_nothing_stalls_the_loop_once(make_pod: PodMaker, rabbit: RabbitServer) -> None:
    """Short of memory, it reads no more from who publishes: no confirmation comes, for none of the messages."""
    pod = make_pod(broker=rabbit.url()).start().wait_for("/readyz")
    for _ in range(HELD):
        send_unknown(rabbit.url())
    wait_until(lambda: pod.status()["unknownTasksRequeued"] >= HELD, timeout=60.0, what="they circle")
    rabbit.control("set_vm_memory_high_watermark", "0")
    try:
        wait_until(lambda: "could not be put back" in pod.output(), timeout=90.0, what="the first refusal")
        ages = loop_ages(pod, seconds=20.0)
    finally:
        rabbit.control("set_vm_memory_high_watermark", "0.4")
    # Not "none": the machine may have stood still once.
    assert sum(age >= 2.0 * PUBLISH_SECONDS for age in ages) < len(ages) / 10, ages
    assert pod.output().count("could not be put back") == 1
    before = pod.status()["unknownTasksRequeued"]
    wait_until(lambda: pod.status()["unknownTasksRequeued"] >= before + HELD, timeout=120.0, what="they circle again")
    pod.signal(signal.SIGTERM)
    assert pod.ended() == 0


def loop_ages(pod: Pod, seconds: float) -> list[float]:
    """How long ago the worker's loop was stamped, looked at ten times a second."""
    end = time.monotonic() + seconds
    found: list[float] = []
    while time.monotonic() < end:
        found.append(pod.status()["loopAgeSeconds"])
        time.sleep(0.1)
    return found


def limit_user(rabbit: RabbitServer, name: str, write: str) -> None:
    """A user with the same password who may write to what ``write`` matches."""
    with httpx.Client(base_url=rabbit.management_url(), trust_env=False, timeout=60.0) as api:
        api.put(f"/api/users/{name}", json={"password": rabbit.password, "tags": ""}).raise_for_status()
        rights = {"configure": ".*", "write": write, "read": ".*"}
        api.put(f"/api/permissions/%2F/{name}", json=rights).raise_for_status()


def test_a_worker_that_stops_hands_it_back_at_once(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    """Not only at the end of a drain that may take an hour."""
    pod = make_pod(broker=empty_broker.url()).start().wait_for("/readyz")
    send(empty_broker.url(), "shop.hold", "held")
    wait_for_entries(ledger, "held.begin", 1)
    send_unknown(empty_broker.url())
    with empty_broker.client() as broker:
        wait_until(lambda: broker.hlen("unacked") == 1, timeout=30.0, what="the message is held")
        pod.signal(signal.SIGTERM)
        wait_until(lambda: broker.llen("celery") == 1, timeout=30.0, what="the message is back")
    assert pod.running
    ledger.rpush("held.go", "now")
    assert pod.ended() == 0
    assert ledger.llen("held") == 1


def test_unknown_tasks_do_not_use_up_the_prefetch(make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis) -> None:
    pod = make_pod(broker=empty_broker.url(), settings={"taskDelivery": "AtLeastOnce"}).start().wait_for("/readyz")
    for _ in range(20):
        send_unknown(empty_broker.url())
    # Twenty, where two slots would prefetch two.
    wait_until(lambda: pod.status()["held"] == 20, timeout=60.0, what="twenty messages held")
    send(empty_broker.url(), "shop.record", "known")
    wait_for_entries(ledger, "known", 1, timeout=30.0)


@pytest.mark.parametrize(
    "pool", ["threads", "gevent", *(pytest.param(pool, marks=pytest.mark.verify) for pool in ("solo", "eventlet"))]
)
def test_other_pools(pool: str, make_pod: PodMaker, empty_broker: RedisServer) -> None:
    pod = make_pod(broker=empty_broker.url(), settings={"pool": pool}).start().wait_for("/readyz")
    send_unknown(empty_broker.url())
    wait_until(lambda: pod.status()["unknownTasksRequeued"] >= 2, timeout=60.0, what="put back twice")
    with empty_broker.client() as broker:
        wait_until(
            lambda: broker.llen("celery") + cast("int", broker.hlen("unacked")) == 1, timeout=30.0, what="one copy"
        )
    assert "runtime hook failed" not in str(pod.status()["warnings"])
