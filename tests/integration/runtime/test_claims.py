"""A claim whose reply was lost is still ours, and a claim that our own lost connection holds is nobody else's."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import kombu
import pytest
from redis import Redis

from celery_operator.runtime import amqp_claims, claims
from celery_operator.runtime.claim_attempts import BrokerAwayError, ClaimRefusedError
from celery_operator.runtime.ticks import Tick
from tests.integration.runtime.conftest import PASSWORD
from tests.integration.runtime.lossy_proxy import Fate, Proxy
from tests.integration.servers import RabbitServer, RedisServer, free_port, wait_until


def beat(url: str, scope: str, **options: Any) -> Any:
    """The claims of one beat. Of an application they need no more than its connections."""
    app = SimpleNamespace(
        connection_for_write=lambda **more: kombu.Connection(url, **options, **more),
        amqp=SimpleNamespace(Producer=kombu.Producer),
    )
    return claims.for_app(app, scope)


def tick(number: int) -> Tick:
    """A tick of the entry ``ours``."""
    return Tick(entry="ours", series="i30", number=number, life=600)


def take(own: Any, wanted: Tick) -> bool:
    """Ask until there is an answer, as beat does."""
    answers: list[bool] = []

    def answered() -> bool:
        try:
            answers.append(own.take(wanted))
        except BrokerAwayError:
            return False
        return True

    wait_until(answered, timeout=60.0, interval=0.1, what="an answer")
    return answers[0]


class LoseOneReply:
    """Loses the reply to the first request that contains ``words``."""

    def __init__(self, *words: bytes) -> None:
        self._words = words
        self._lost = False

    def __call__(self, data: bytes) -> Fate:
        if self._lost or not all(word in data for word in self._words):
            return Fate.PASS
        self._lost = True
        return Fate.REPLY_LOST


def scope_of(request: pytest.FixtureRequest) -> str:
    """A cluster's name that no other test uses."""
    return f"claims-{request.node.name}-{time.time_ns()}".replace("[", "-").replace("]", "")


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A beat that gives its claim up waits for the answer of a busy RabbitMQ, too."""
    monkeypatch.setattr(amqp_claims, "_FAREWELL_SECONDS", 30.0)


@pytest.mark.parametrize("prefix", ["", "shop:"])
def test_redis_knows_our_claim_after_a_lost_reply(
    prefix: str, empty_broker: RedisServer, request: pytest.FixtureRequest
) -> None:
    scope = scope_of(request)
    options = {"transport_options": {"global_keyprefix": prefix}}
    with Proxy(empty_broker.port, LoseOneReply(b"SET", b"celery-operator:beat:")) as proxy:
        lossy = empty_broker.url().replace(str(empty_broker.port), str(proxy.port))
        first, second = beat(lossy, scope, **options), beat(empty_broker.url(), scope, **options)
        assert take(first, tick(1)) is True, "claimed, and dispatched by nobody"
        assert proxy.fates == [Fate.REPLY_LOST]
        assert take(second, tick(1)) is False
        assert take(first, tick(1)) is False, "asked for twice is dispatched twice"
        first.close()
        second.close()


@pytest.mark.parametrize("prefix", ["", "shop:"])
def test_redis_rights_are_asked_for_before_a_tick_is_lost(
    prefix: str, empty_broker: RedisServer, request: pytest.FixtureRequest
) -> None:
    scope = scope_of(request)
    rights = ["~celery", "~_kombu*", "~unacked*", "&*", "+@all"]
    options = {"transport_options": {"global_keyprefix": prefix}}
    with Redis.from_url(empty_broker.url()) as admin:
        admin.execute_command("ACL", "SETUSER", "narrow", "reset", "on", ">secret", *rights)
        own = beat(f"redis://narrow:secret@127.0.0.1:{empty_broker.port}/0", scope, **options)
        for _ in range(2):
            with pytest.raises(ClaimRefusedError, match="grant SET and GET on celery-operator:beat:"):
                own.prepare()
        # No wider than what the ticks need: whoever shares a Redis gives each application its own keys.
        admin.execute_command("ACL", "SETUSER", "narrow", f"~{prefix}celery-operator:beat:{scope}:*")
        own.prepare()
        assert take(own, tick(1)) is True
        # Taken away again under a beat that is connected: the tick is told as missed, and not asked for without end.
        admin.execute_command("ACL", "SETUSER", "narrow", "resetkeys", *rights[:3])
        with pytest.raises(ClaimRefusedError):
            own.take(tick(2))
        own.close()
        admin.execute_command("ACL", "DELUSER", "narrow")


@pytest.mark.usefixtures("patient")
def test_rabbitmq_knows_our_claim_after_a_lost_reply(rabbit: RabbitServer, request: pytest.FixtureRequest) -> None:
    scope = scope_of(request)
    with Proxy(rabbit.port, LoseOneReply(b'{"ours"')) as proxy:
        first, second = beat(through(proxy), scope), beat(rabbit.url(), scope)
        assert take(first, tick(1)) is True, "claimed, and dispatched by nobody"
        assert proxy.fates == [Fate.REPLY_LOST]
        assert take(first, tick(1)) is False, "asked for twice is dispatched twice"
        assert take(first, tick(2)) is True
        assert take(second, tick(3)) is False, "two owners"
        first.close()
        assert take(second, tick(2)) is False, "the slots were not handed over"
        assert take(second, tick(3)) is True
        second.close()


def test_the_third_server_of_a_list_is_asked_too(rabbit: RabbitServer, request: pytest.FixtureRequest) -> None:
    gone = [rabbit.url().replace(f":{rabbit.port}", f":{free_port()}") for _ in range(2)]
    own = beat(";".join([*gone, rabbit.url()]), scope_of(request))
    own.prepare()
    assert own.take(tick(1)) is True
    own.close()


def test_rabbitmq_keeps_the_claim_of_a_half_open_connection_for_its_owner(
    rabbit: RabbitServer, request: pytest.FixtureRequest
) -> None:
    scope = scope_of(request)
    with Proxy(rabbit.port) as proxy:
        own = beat(through(proxy), scope)
        own.heartbeat = 1
        assert take(own, tick(1)) is True
        proxy.half_open()
        assert take(own, tick(2)) is True, "the tick was taken for another beat's"
        own.close()


@pytest.mark.usefixtures("patient")
def test_rabbitmq_has_the_claim_back_before_it_sees_the_connection_end(
    rabbit: RabbitServer, request: pytest.FixtureRequest
) -> None:
    scope = scope_of(request)
    with Proxy(rabbit.port) as proxy:
        first, second = beat(through(proxy), scope), beat(rabbit.url(), scope)
        assert take(first, tick(1)) is True
        proxy.hold_ends()
        first.close()
        assert take(second, tick(2)) is True, "refused, and dispatched by nobody"
        second.close()


@pytest.mark.parametrize("claimed", ['{"ours":["i30",99999999999,""]}', '{"ours":["i30",Infinity,""]}', "[", "3"])
@pytest.mark.usefixtures("patient")
def test_what_nobody_can_have_claimed_does_not_silence_beat(
    claimed: str, rabbit: RabbitServer, request: pytest.FixtureRequest
) -> None:
    """A clock that was wrong, or a message of somebody else's."""
    scope = scope_of(request)
    first, second, third = (beat(rabbit.url(), scope) for _ in range(3))
    assert take(first, tick(1)) is True
    first.close()
    with kombu.Connection(rabbit.url(), transport_options={"confirm_publish": True}) as connection:
        slots = f"celery-operator.beat.{scope}.slots"
        connection.Producer().publish(claimed, exchange="", routing_key=slots, content_encoding="utf-8")
    assert take(second, tick(2)) is True
    second.close()
    assert take(third, tick(2)) is False, "what the message says stays in force"
    third.close()


def test_giving_a_claim_up_does_not_wait_for_a_lost_rabbitmq(
    rabbit: RabbitServer, request: pytest.FixtureRequest
) -> None:
    with Proxy(rabbit.port) as proxy:
        own = beat(through(proxy), scope_of(request))
        assert take(own, tick(1)) is True
        proxy.half_open()
        begun = time.monotonic()
        own.close()
        assert time.monotonic() - begun < 15.0


def through(proxy: Proxy) -> str:
    """The address of the RabbitMQ behind ``proxy``."""
    return RabbitServer.url(SimpleNamespace(username="shop", password=PASSWORD, port=proxy.port))  # type: ignore[arg-type]
