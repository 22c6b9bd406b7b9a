"""The table of what fits which version."""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import replace

import pytest
from kombu.exceptions import VersionMismatch
from kombu.transport.redis import Channel

from celery_operator.runtime.environment import Settings
from celery_operator.runtime.failures import StartError
from celery_operator.runtime.versions import Installed, check, choose, parse

WORKER = Settings(cluster="c", component="worker", broker_url="redis://r/0", task_delivery="AtLeastOnce")


@pytest.mark.parametrize(
    ("text", "numbers"), [("5.7.0", (5, 7, 0)), ("5.6.0rc1", (5, 6, 0)), ("5.7b2", (5, 7)), ("dev", ())]
)
def test_versions_are_compared_as_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert parse(text) == numbers


def test_an_old_celery_is_refused() -> None:
    with pytest.raises(StartError) as refused:
        check(Installed(celery="5.2.7"), None)
    assert refused.value.reason == "UnsupportedVersion"
    check(Installed(celery="5.3.0"), None)


@pytest.mark.parametrize(
    ("celery", "lost", "disables_prefetch"),
    [
        ("5.5.3", "task_reject_on_worker_lost", False),
        ("5.6.3", "task_reject_on_worker_lost", True),
        ("5.7.0", "task_retry_on_worker_lost", True),
    ],
)
def test_at_least_once(celery: str, lost: str, disables_prefetch: bool) -> None:
    choice = choose(Installed(celery=celery), WORKER)
    assert choice.forced["task_acks_late"] is True
    assert choice.defaults[lost] is True
    assert ("worker_disable_prefetch" in choice.defaults) is disables_prefetch


def test_at_most_once_leaves_acknowledgement_and_prefetch_to_celery() -> None:
    choice = choose(Installed(celery="5.7.0"), replace(WORKER, task_delivery="AtMostOnce"))
    chosen = {*choice.forced, *choice.defaults}
    assert not {name for name in chosen if "acks" in name or "prefetch" in name or "worker_lost" in name}


def test_socket_options_are_for_redis_only() -> None:
    assert "broker_transport_options" in choose(Installed(celery="5.7.0"), WORKER).merged
    rabbit = replace(WORKER, broker_url="amqp://r//")
    assert choose(Installed(celery="5.7.0"), rabbit).merged == {}


@pytest.mark.parametrize(("mingle", "flags"), [(None, ()), (True, ()), (False, ("--without-mingle",))])
def test_mingle(mingle: bool | None, flags: tuple[str, ...]) -> None:
    assert choose(Installed(celery="5.7.0"), replace(WORKER, mingle=mingle)).flags == flags


def test_certificates_of_a_broker_are_checked_unless_the_application_says_otherwise() -> None:
    secure = choose(Installed(celery="5.7.0"), replace(WORKER, broker_url="rediss://r/0"))
    assert secure.defaults["broker_use_ssl"] == {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    assert "broker_use_ssl" not in {**secure.forced, **choose(Installed(celery="5.7.0"), WORKER).defaults}


@pytest.mark.parametrize(("error", "refused"), [(VersionMismatch("too old"), True), (AttributeError("gone"), False)])
def test_only_a_mismatch_of_kombu_and_redis_is_refused(
    error: Exception, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def private(_: object) -> object:
        raise error

    monkeypatch.setattr(Channel, "_get_client", private)
    found = Installed(celery="5.7.0", kombu="5.7.0", redis="5.3.1")
    with pytest.raises(StartError, match="too old") if refused else contextlib.nullcontext():
        check(found, "redis://r/0")
