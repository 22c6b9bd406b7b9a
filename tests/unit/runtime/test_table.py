"""The table of settings and flags: which version, transport, pool and delivery gets what."""

from __future__ import annotations

import contextlib
import socket
import ssl
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from redis.connection import Connection

from celery_operator.runtime.environment import Settings
from celery_operator.runtime.failures import StartError
from celery_operator.runtime.table import TABLE, choose
from celery_operator.runtime.versions import Installed

WORKER = Settings(cluster="c", component="worker", broker_url="redis://r/0", task_delivery="AtLeastOnce")
NEWEST = Installed(celery="5.7.0", kombu="5.7.0")
BEAT = Settings(cluster="c", component="beat", broker_url="redis://r/0", visibility_timeout_seconds=7200.0)


@pytest.mark.parametrize(
    ("celery", "lost", "not_lost"),
    [
        ("5.3.6", "task_reject_on_worker_lost", "task_retry_on_worker_lost"),
        ("5.6.3", "task_reject_on_worker_lost", "task_retry_on_worker_lost"),
        ("5.7.0", "task_retry_on_worker_lost", "task_reject_on_worker_lost"),
    ],
)
def test_at_least_once(celery: str, lost: str, not_lost: str) -> None:
    choice = choose(Installed(celery=celery), WORKER)
    assert choice.forced["task_acks_late"] is True
    assert choice.defaults[lost] is True
    assert not_lost not in choice.defaults
    assert choice.defaults["worker_prefetch_multiplier"] == 1
    assert choice.defaults["worker_cancel_long_running_tasks_on_connection_loss"] is True


@pytest.mark.parametrize(
    ("pool", "cancels"),
    [("prefork", True), ("gevent", True), ("eventlet", True), ("threads", False), ("solo", False), ("custom", False)],
)
def test_only_pools_that_can_end_a_task_do_so_when_the_connection_is_lost(pool: str, cancels: bool) -> None:
    choice = choose(NEWEST, replace(WORKER, pool=pool))
    assert ("worker_cancel_long_running_tasks_on_connection_loss" in choice.defaults) is cancels


@pytest.mark.parametrize(
    ("celery", "pool", "cancels"),
    [
        ("5.3.6", "gevent", False),
        ("5.4.0", "gevent", False),
        ("5.5.3", "gevent", True),
        ("5.3.6", "eventlet", True),
        ("5.3.6", "prefork", True),
    ],
)
def test_gevent_ends_a_task_from_celery_5_5_on(celery: str, pool: str, cancels: bool) -> None:
    choice = choose(Installed(celery=celery), replace(WORKER, pool=pool))
    assert ("worker_cancel_long_running_tasks_on_connection_loss" in choice.defaults) is cancels


def test_at_most_once_leaves_acknowledgement_to_celery() -> None:
    choice = choose(NEWEST, replace(WORKER, task_delivery="AtMostOnce"))
    chosen = {*choice.forced, *choice.defaults}
    assert not {name for name in chosen if "acks" in name or "multiplier" in name or "worker_lost" in name}


@pytest.mark.parametrize(
    ("celery", "broker", "delivery", "disabled"),
    [
        ("5.5.3", "redis://r/0", "AtLeastOnce", False),
        ("5.6.3", "redis://r/0", "AtLeastOnce", True),
        ("5.6.3", "sentinel://r:26379", "AtMostOnce", True),
        ("5.7.0", "rediss://r/0", "AtMostOnce", True),
        ("5.7.0", "amqp://r//", "AtLeastOnce", False),
    ],
)
def test_prefetch_is_off_where_celery_can(celery: str, broker: str, delivery: str, disabled: bool) -> None:
    choice = choose(Installed(celery=celery), replace(WORKER, broker_url=broker, task_delivery=delivery))
    assert ("worker_disable_prefetch" in choice.defaults) is disabled


@pytest.mark.parametrize(
    ("celery", "pool", "disabled"), [("5.6.3", "gevent", False), ("5.6.3", "eventlet", True), ("5.7.0", "gevent", True)]
)
def test_prefetch_stays_on_where_gevent_would_take_no_task(celery: str, pool: str, disabled: bool) -> None:
    choice = choose(Installed(celery=celery), replace(WORKER, pool=pool))
    assert ("worker_disable_prefetch" in choice.defaults) is disabled


@pytest.mark.parametrize(("kombu", "swept"), [("5.6.2", False), ("5.7.0", True)])
def test_the_sweep_is_tuned_where_kombu_can(kombu: str, swept: bool) -> None:
    options = choose(Installed(celery="5.7.0", kombu=kombu), WORKER).merged["broker_transport_options"]
    tuned = {name: value for name, value in options.items() if name.startswith("unacked_")}
    assert tuned == ({"unacked_restore_interval": 2, "unacked_restore_throttle": 1} if swept else {})


def test_all_components_have_the_same_visibility_timeout() -> None:
    worker = replace(WORKER, visibility_timeout_seconds=7200.0)
    found = [choose(NEWEST, settings).merged["broker_transport_options"] for settings in (worker, BEAT)]
    assert [options["visibility_timeout"] for options in found] == [7200.0, 7200.0]


def test_socket_options_are_for_redis_only() -> None:
    assert "broker_transport_options" in choose(NEWEST, WORKER).merged
    assert choose(NEWEST, replace(WORKER, broker_url="amqp://r//")).merged == {}


def test_the_system_notices_within_30_s_that_the_other_machine_is_gone() -> None:
    """Whether the connection is idle, as one that waits for a task, or a command is on its way."""
    server = socket.create_server(("127.0.0.1", 0))
    options = choose(NEWEST, WORKER).merged["broker_transport_options"]
    names = ("socket_keepalive", "socket_keepalive_options")
    connection: Any = Connection(  # type: ignore[no-untyped-call]
        port=server.getsockname()[1], **{name: options[name] for name in names}
    )
    with server, contextlib.closing(connection._connect()) as client:
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        idle, interval, count, unanswered = (
            client.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
        )
    assert idle + interval * count == 30
    assert unanswered == 30_000


@pytest.mark.parametrize(("mingle", "flags"), [(True, ()), (False, ("--without-mingle",))])
def test_mingle(mingle: bool, flags: tuple[str, ...]) -> None:
    assert choose(NEWEST, replace(WORKER, mingle=mingle)).flags == flags


def test_certificates_of_a_broker_are_checked_unless_the_application_says_otherwise() -> None:
    secure = choose(NEWEST, replace(WORKER, broker_url="rediss://r/0"))
    assert secure.defaults["broker_use_ssl"] == {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    assert "broker_use_ssl" not in {**secure.forced, **choose(NEWEST, WORKER).defaults}


@pytest.mark.parametrize("component", ["worker", "beat", "client", "flower"])
def test_rabbitmq_is_asked_for_its_own_name(component: str) -> None:
    secure = choose(NEWEST, replace(WORKER, component=component, broker_url="amqps://r//"))
    assert secure.defaults["broker_use_ssl"] == {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None}
    plain = choose(NEWEST, replace(WORKER, component=component, broker_url="amqp://r//"))
    assert "broker_use_ssl" not in {**secure.forced, **plain.defaults}


@pytest.mark.parametrize(("grace", "soft"), [(60.0, 50.0), (8.0, 0.0)])
def test_requeue_leaves_time_to_put_back(grace: float, soft: float) -> None:
    choice = choose(NEWEST, replace(WORKER, shutdown_mode="Requeue", grace_period_seconds=grace))
    assert choice.forced["worker_soft_shutdown_timeout"] == soft
    assert "worker_soft_shutdown_timeout" not in choose(NEWEST, WORKER).forced


@pytest.mark.parametrize(
    ("celery", "pool", "why"), [("5.4.0", "prefork", "5.5"), ("5.7.0", "threads", "prefork"), ("5.7.0", "solo", "solo")]
)
def test_requeue_is_refused_where_celery_or_the_pool_cannot(celery: str, pool: str, why: str) -> None:
    with pytest.raises(StartError, match=why) as refused:
        choose(Installed(celery=celery), replace(WORKER, shutdown_mode="Requeue", pool=pool))
    assert refused.value.reason == "ConfigInvalid"


def test_every_row_is_chosen_by_some_process() -> None:
    """A row that no process can get is a mistake in its columns."""
    cells = product(
        ("5.3.6", "5.6.3", "5.7.0"),
        ("AtMostOnce", "AtLeastOnce"),
        ("redis://r/0", "rediss://r/0", "amqp://r//", "amqps://r//"),
        ("worker", "child", "beat", "client"),
        ("prefork", "gevent"),
    )
    chosen: set[int] = set()
    for celery, delivery, broker, component, pool in cells:
        settings = replace(WORKER, task_delivery=delivery, broker_url=broker, component=component, pool=pool)
        requeue = replace(settings, shutdown_mode="Requeue" if celery == "5.7.0" else "Drain")
        found = Installed(celery=celery, kombu=celery)
        applying = [n for n, row in enumerate(TABLE) if row.applies(found, settings) or row.applies(found, requeue)]
        chosen.update(applying)
    assert chosen == set(range(len(TABLE)))


def test_no_setting_has_two_rows_in_one_container() -> None:
    for celery, delivery, broker, pool in product(
        ("5.3.6", "5.4.0", "5.5.3", "5.6.3", "5.7.0"),
        ("AtMostOnce", "AtLeastOnce"),
        ("rediss://r/0", "amqp://r//", "amqps://r//"),
        ("prefork", "threads", "gevent", "eventlet", "solo"),
    ):
        settings = replace(WORKER, task_delivery=delivery, broker_url=broker, pool=pool)
        names = [row.name for row in TABLE if row.applies(Installed(celery=celery, kombu=celery), settings)]
        assert len(names) == len(set(names))
