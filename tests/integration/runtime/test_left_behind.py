"""After a lost connection the worker gives back what nobody has, and nothing else."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kombu
import pytest
from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.in_celery import run
from tests.integration.runtime.lossy_proxy import Fate, Proxy
from tests.integration.runtime.pods import Pod, send, wait_for_entries
from tests.integration.servers import RedisServer, wait_until

GIVEN_BACK = "connected again; 1 messages that the lost connection had left go back to their queues"
VISIBILITY_SECONDS = 3600
"""The worker's: nothing in these tests comes back by it."""


class Outage(Proxy):
    """A way to the broker that can be closed and opened again."""

    def __init__(self, target: int) -> None:
        self._open = threading.Event()
        self._open.set()
        super().__init__(target, self._pass_or_break)

    def _pass_or_break(self, _: bytes) -> Fate:
        if not self._open.is_set():
            raise ConnectionResetError
        return Fate.PASS

    def begin(self) -> None:
        """Break every connection on both sides; new ones break at their first word."""
        self._open.clear()
        for link in self._links:
            with contextlib.suppress(OSError):
                link.client.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """New connections work."""
        self._open.set()


@pytest.fixture
def way(empty_broker: RedisServer) -> Iterator[Outage]:
    """The worker's way to the broker."""
    with Outage(empty_broker.port) as proxy:
        yield proxy


def running_pod(pool: str, make_pod: PodMaker, way: Outage, broker: RedisServer, ledger: Redis) -> Pod:
    """A worker behind ``way`` that runs one late-acknowledged task, "rested", until it is told to end."""
    settings = {"pool": pool, "taskDelivery": "AtLeastOnce", "visibilityTimeoutSeconds": VISIBILITY_SECONDS}
    url = broker.url().replace(str(broker.port), str(way.port))
    pod = make_pod(broker=url, app="endings", settings=settings).start().wait_for("/readyz")
    send(broker.url(), "endings.told", "rested", 120.0)
    wait_for_entries(ledger, "rested.begin", 1)
    return pod


def lose_connection(pod: Pod, way: Outage, broker: RedisServer) -> None:
    """Returns when the worker knows, and the broker too: it would answer the worker's last request otherwise."""
    way.begin()
    wait_until(lambda: pod.status()["connected"] is False, timeout=60.0, what="the outage is seen")
    with broker.client() as client:
        wait_until(lambda: client.info("clients")["blocked_clients"] == 0, timeout=30.0, what="nobody waits")


def regain_connection(pod: Pod, way: Outage) -> None:
    """Returns when the worker consumes."""
    way.end()
    wait_until(lambda: pod.status()["connected"] is True, timeout=60.0, what="the connection is back")


def take_over(broker: RedisServer) -> kombu.Message:
    """Be another worker, to which the message's visibility timeout is over: hold the one message unacknowledged."""
    channel: Any = kombu.Connection(broker.url()).channel()
    with broker.client() as client:
        (tag,) = client.zrange("unacked_index", 0, -1)
    channel.qos.restore_by_tag(tag)
    message = kombu.Queue("celery", channel=channel).get()
    assert message is not None
    assert message.delivery_tag == tag
    return message


def test_a_cut_task_is_given_back_when_the_connection_is(
    make_pod: PodMaker, way: Outage, empty_broker: RedisServer, ledger: Redis
) -> None:
    """Not only after the visibility timeout."""
    pod = running_pod("prefork", make_pod, way, empty_broker, ledger)
    lose_connection(pod, way, empty_broker)
    wait_for_entries(ledger, "rested.finally", 1, timeout=30.0)
    regain_connection(pod, way)
    wait_for_entries(ledger, "rested.begin", 2, timeout=60.0)
    assert GIVEN_BACK in pod.output()


def test_what_another_worker_has_taken_since_is_not_given_back(
    make_pod: PodMaker, way: Outage, empty_broker: RedisServer, ledger: Redis
) -> None:
    pod = running_pod("prefork", make_pod, way, empty_broker, ledger)
    lose_connection(pod, way, empty_broker)
    wait_for_entries(ledger, "rested.finally", 1, timeout=30.0)
    with empty_broker.client() as broker:
        taken = take_over(empty_broker)
        regain_connection(pod, way)
        send(empty_broker.url(), "endings.rest", "after", 0.0)
        wait_for_entries(ledger, "after", 1, timeout=60.0)
        assert broker.zscore("unacked_index", taken.delivery_tag) is not None, "the other worker still has it"
        assert ledger.llen("rested.begin") == 1
        assert GIVEN_BACK not in pod.output()
        # The same message, and the worker would run it.
        taken.requeue()
        wait_for_entries(ledger, "rested.begin", 2, timeout=30.0)


def test_a_task_that_runs_on_keeps_its_message(
    make_pod: PodMaker, way: Outage, empty_broker: RedisServer, ledger: Redis
) -> None:
    """Threads cannot be cut; a second slot is free all the time."""
    pod = running_pod("threads", make_pod, way, empty_broker, ledger)
    with empty_broker.client() as broker:
        (tag,) = broker.zrange("unacked_index", 0, -1)
        lose_connection(pod, way, empty_broker)
        regain_connection(pod, way)
        send(empty_broker.url(), "endings.rest", "after", 0.0)
        wait_for_entries(ledger, "after", 1, timeout=60.0)
        assert ledger.llen("rested") == 0, "it should run still: this test proves nothing"
        assert broker.zscore("unacked_index", tag) is not None
    ledger.rpush("rested.end", "now")
    wait_for_entries(ledger, "rested", 1, timeout=30.0)
    assert ledger.llen("rested.begin") == 1
    assert GIVEN_BACK not in pod.output()
    pod.signal(signal.SIGTERM)
    assert pod.ended() == 0


REFUSED = """
from types import SimpleNamespace
import kombu
from redis import Redis
from celery_operator_runtime import left_behind

later, result = [], []

def contact():
    connection = kombu.Connection(given)
    tasks = kombu.Consumer(connection.channel(), [kombu.Queue("work")], callbacks=[lambda *_: None])
    tasks.qos(prefetch_count=9)
    timer = SimpleNamespace(call_after=lambda _, act: later.append(act))
    return connection, SimpleNamespace(task_consumer=tasks, timer=timer, call_soon=lambda act: act())

with Redis.from_url(given) as admin:
    connection, consumer = contact()
    connection.Producer().publish({}, routing_key="work", declare=[kombu.Queue("work")])
    left_behind.keep_refused(consumer)
    consumer.task_consumer.consume()
    admin.config_set("maxmemory", "1")
    try:
        connection.drain_events(timeout=30)
    except connection.channel_errors:
        result.append(admin.llen("work"))
    admin.config_set("maxmemory", "0")
    _, again = contact()
    admin.config_set("maxmemory", "1")
    left_behind.give_back(again)
    result.append(admin.llen("work"))
    admin.config_set("maxmemory", "0")
    later.pop()()
    left_behind.give_back(again)
    result.append(admin.llen("work"))
"""


@pytest.mark.parametrize("celery", ["celery-5.3", "celery-5.7"])
def test_a_message_that_redis_gives_and_refuses_to_note_is_not_lost(celery: str, tmp_path: Path) -> None:
    """Without memory it does so with each: the message is taken, still kept while it refuses, and back once."""
    with RedisServer(folder=tmp_path / "full") as broker:
        assert run(REFUSED, tmp_path, celery=celery, given=broker.url()) == [0, 0, 1]
