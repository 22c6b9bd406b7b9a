"""What is believed of the management API's answers, against a small real server that gives any answer."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from celery_operator.observe.broker.rabbitmq_connection import TIMEOUT
from celery_operator.observe.broker.rabbitmq_management import PERIOD, RabbitManagement


@dataclass(slots=True)
class Api:
    """Answers always the same, and keeps what it was asked for."""

    status: int = 200
    body: str = "[]"
    seconds: float = 0.0
    port: int = 0
    asked: list[str] = field(default_factory=list)
    accounts: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.raw_path)
        self.accounts.append(request.headers.get("Authorization", ""))
        await asyncio.sleep(self.seconds)
        return web.Response(status=self.status, text=self.body, headers={"Location": "/"})


@pytest.fixture
async def api(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    """One that runs; its answers are waited for, however slow the machine is."""
    monkeypatch.setattr("celery_operator.observe.broker.rabbitmq_management.TIMEOUT", 60.0)
    one = Api()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", one.answer)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.port = int(runner.addresses[0][1])
    yield one
    await runner.cleanup()


async def asked(
    api: Api, *, path: str = "", broker_url: str = "amqp://me:s%40cret@rabbit/shop%2Feu"
) -> RabbitManagement:
    """After one question; closed."""
    management = RabbitManagement(f"http://127.0.0.1:{api.port}{path}", broker_url=broker_url)
    management.refresh()
    task = next(task for task in asyncio.all_tasks() if task.get_name() == "rabbitmq-management")
    await asyncio.wait({task})
    await management.close()
    return management


async def test_only_figures_are_believed_and_the_rest_is_unknown(api: Api) -> None:
    figures = {"held": 3, "none": 0, "negative": -1, "boolean": True, "text": "3", "null": None, "celery_delayed_7": 9}
    entries = [{"name": name, "messages_unacknowledged": value} for name, value in figures.items()]
    api.body = json.dumps([*entries, {"name": "new"}, {"messages_unacknowledged": 1}, 7, {"name": ["list"]}])
    management = await asked(api)
    known = {name: management.unacked(name) for name in [*figures, "new", "absent"]}
    assert {name: value for name, value in known.items() if value is not None} == {"held": 3, "none": 0}
    assert management.problem is None


@pytest.mark.parametrize(
    ("arguments", "policy", "seconds"),
    [
        ({}, {}, None),
        ({"x-consumer-timeout": 7200000}, {}, 7200.0),
        ({}, {"consumer-timeout": 1500}, 1.5),
        ({"x-consumer-timeout": 7200000}, {"consumer-timeout": 3600000}, 3600.0),
        ({"x-consumer-timeout": 1800000}, {"consumer-timeout": 3600000}, 1800.0),
        ({"x-consumer-timeout": "1h"}, {"consumer-timeout": 0}, None),
        ({"x-consumer-timeout": -1}, {"max-length": 5}, None),
        (None, [], None),
    ],
)
async def test_a_queue_has_the_shorter_one_of_what_its_argument_and_its_policies_say(
    arguments: object, policy: object, seconds: float | None, api: Api
) -> None:
    entry = {"name": "orders", "arguments": arguments, "effective_policy_definition": policy}
    api.body = json.dumps([entry, {"name": "plain"}])
    management = await asked(api)
    assert management.consumer_timeout("orders") == seconds
    assert (management.consumer_timeout("plain"), management.consumer_timeout("absent")) == (None, None)
    assert management.problem is None


@pytest.mark.parametrize("status", [200, 500])
async def test_what_is_unknown_is_told_apart_from_what_is_not_set(status: int, api: Api) -> None:
    api.status = status
    management = RabbitManagement(f"http://127.0.0.1:{api.port}", broker_url="amqp://me:secret@rabbit")
    assert not management.has_answered
    await management.close()
    assert (await asked(api)).has_answered
    assert RabbitManagement("nonsense", broker_url="amqp://rabbit").has_answered


async def test_the_virtual_host_and_the_account_are_the_brokers_unless_the_url_has_its_own(api: Api) -> None:
    await asked(api, path="/prefix/")
    assert api.asked[0].partition("?")[0] == "/prefix/api/queues/shop%2Feu"
    assert api.accounts == ["Basic bWU6c0BjcmV0"]
    management = RabbitManagement(f"http://other:pw@127.0.0.1:{api.port}", broker_url="amqp://me:secret@rabbit")
    management.refresh()
    async with asyncio.timeout(60):
        while len(api.asked) < 2:
            await asyncio.sleep(0.01)
    await management.close()
    assert api.asked[1].partition("?")[0] == "/api/queues/%2F"
    assert api.accounts[1] == "Basic b3RoZXI6cHc="


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (401, "{}", "ManagementRefused"),
        (403, "{}", "ManagementRefused"),
        (404, "{}", "ManagementNotFound"),
        (302, "", "ManagementRefused"),
        (500, "", "ManagementRefused"),
        (200, "<html>", "ManagementUnreachable"),
        (200, "{}", "ManagementUnreachable"),
        (200, "x" * (17 * 1024 * 1024), "ManagementUnreachable"),
    ],
)
async def test_what_is_no_list_of_queues_is_a_problem_and_never_a_zero(
    status: int, body: str, reason: str, api: Api
) -> None:
    api.status, api.body = status, body
    management = await asked(api)
    assert management.problem is not None
    assert management.problem.reason == reason
    assert "cret" not in management.problem.message
    assert management.unacked("orders") is None


async def test_a_failure_makes_former_figures_unknown(api: Api) -> None:
    now = 100.0
    management = RabbitManagement(
        f"http://127.0.0.1:{api.port}", broker_url="amqp://me:secret@rabbit", clock=lambda: now
    )
    entry = {"name": "orders", "messages_unacknowledged": 3, "arguments": {"x-consumer-timeout": 60000}}
    api.body = json.dumps([entry, {"name": "mail"}])
    management.refresh()
    async with asyncio.timeout(60):
        while management.unacked("orders") is None:
            await asyncio.sleep(0.01)
    api.status = 500
    now += PERIOD - 0.1
    management.refresh()
    await asyncio.sleep(0.05)
    assert len(api.asked) == 1
    now += 0.2
    management.refresh()
    async with asyncio.timeout(60):
        while management.problem is None:
            await asyncio.sleep(0.01)
    assert management.unacked("orders") is None
    assert management.consumer_timeout("orders") == 60.0  # that is set, and does not grow old
    await management.close()


async def test_one_that_hangs_is_given_up_after_two_seconds_and_asked_once_at_a_time(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("celery_operator.observe.broker.rabbitmq_management.TIMEOUT", TIMEOUT)
    api.seconds = 3600.0
    began = time.monotonic()
    management = RabbitManagement(f"http://127.0.0.1:{api.port}", broker_url="amqp://rabbit", clock=lambda: began)
    management.refresh()
    management.refresh()
    async with asyncio.timeout(60):
        while management.problem is None:
            await asyncio.sleep(0.01)
    assert time.monotonic() - began > 1.5
    assert "TimeoutError" in management.problem.message
    await management.close()
    assert len(api.asked) == 1
