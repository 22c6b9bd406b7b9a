"""Pods are told once of each deadline, over real HTTP, and what goes wrong is counted and harms nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from celery_operator.observe.key import ClusterKey
from celery_operator.reconcile.deadlines import Deadline
from celery_operator.reconcile.messenger import TIMEOUT, Messenger, Outcome
from celery_operator.runtime.deadline import Deadline as PodDeadline
from celery_operator.runtime.probe_server import ProbeServer

KEY = ClusterKey(namespace="team", name="shop")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class FakePod:
    """An HTTP server that takes deadlines as the runtime in a pod does, or does something else."""

    def __init__(self) -> None:
        self.asked: list[tuple[str | None, object]] = []
        self.status = 204
        self.hang = asyncio.Event()
        self.hang.set()
        self.came = asyncio.Event()
        self.port = 0

    async def deadline(self, request: web.Request) -> web.Response:
        self.asked.append((request.headers.get("Authorization"), await request.json()))
        self.came.set()
        await self.hang.wait()
        return web.Response(status=self.status)


@pytest.fixture
async def pod() -> AsyncIterator[FakePod]:
    fake = FakePod()
    app = web.Application()
    app.router.add_post("/deadline", fake.deadline)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.port = runner.addresses[0][1]
    yield fake
    fake.hang.set()
    await runner.cleanup()


@pytest.fixture
def outcomes() -> list[Outcome]:
    return []


@pytest.fixture
async def messenger(outcomes: list[Outcome]) -> AsyncIterator[Messenger]:
    messenger = Messenger(now=lambda: NOW, on_outcome=outcomes.append)
    yield messenger
    await messenger.stop()


def deadline(pod: FakePod, *, seconds: float = 20.0) -> Deadline:
    at = NOW + timedelta(seconds=seconds)
    return Deadline(pod="team/p", uid="pod-uid", host="127.0.0.1", port=pod.port, at=at, grace=30.0)


async def until(outcomes: list[Outcome], count: int) -> None:
    async with asyncio.timeout(TIMEOUT + 3):
        while len(outcomes) < count:
            await asyncio.sleep(0.01)


async def test_a_pod_is_told_what_is_left_with_its_own_token(
    pod: FakePod, messenger: Messenger, outcomes: list[Outcome]
) -> None:
    messenger.tell(KEY, [deadline(pod)])
    await until(outcomes, 1)
    assert pod.asked == [("Bearer pod-uid", {"seconds": 20.0})]
    assert outcomes == ["told"]


async def test_each_deadline_is_told_once(pod: FakePod, messenger: Messenger, outcomes: list[Outcome]) -> None:
    first, shorter = deadline(pod), deadline(pod, seconds=5.0)
    for told in (first, first, shorter, shorter):
        messenger.tell(KEY, [told])
    await until(outcomes, 2)
    messenger.tell(KEY, [shorter])
    await messenger.stop()
    assert sorted(str(body) for _, body in pod.asked) == ["{'seconds': 20.0}", "{'seconds': 5.0}"]


async def test_what_is_over_is_not_told(pod: FakePod, messenger: Messenger) -> None:
    messenger.tell(KEY, [deadline(pod, seconds=0.0)])
    await messenger.stop()
    assert pod.asked == []


@pytest.mark.parametrize("status", [200, 302, 403, 404, 500])
async def test_any_other_answer_is_a_refusal(
    pod: FakePod, messenger: Messenger, outcomes: list[Outcome], status: int
) -> None:
    pod.status = status
    messenger.tell(KEY, [deadline(pod)])
    await until(outcomes, 1)
    assert outcomes == ["refused"]


async def test_a_pod_that_is_not_there_is_counted(
    pod: FakePod, messenger: Messenger, outcomes: list[Outcome], unused_tcp_port: int
) -> None:
    messenger.tell(KEY, [replace(deadline(pod), port=unused_tcp_port)])
    await until(outcomes, 1)
    assert outcomes == ["failed"]


async def test_a_pod_that_hangs_delays_nobody(pod: FakePod, messenger: Messenger, outcomes: list[Outcome]) -> None:
    pod.hang.clear()
    started = time.monotonic()
    messenger.tell(KEY, [deadline(pod)])
    assert time.monotonic() - started < 0.5
    await until(outcomes, 1)
    assert outcomes == ["failed"]
    assert TIMEOUT - 0.1 < time.monotonic() - started < TIMEOUT + 2


async def test_stopping_waits_for_no_pod_that_hangs(pod: FakePod, messenger: Messenger) -> None:
    pod.hang.clear()
    messenger.tell(KEY, [deadline(pod)])
    async with asyncio.timeout(5):
        await pod.came.wait()
    started = time.monotonic()
    await messenger.stop()
    assert time.monotonic() - started < TIMEOUT - 0.5


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_the_runtime_in_the_pod_takes_what_is_sent(
    messenger: Messenger, outcomes: list[Outcome], unused_tcp_port: int, host: str
) -> None:
    own = PodDeadline(grace_seconds=300.0, token="pod-uid")
    server = ProbeServer({}, dict, {"/deadline": own.command})
    server.bind(unused_tcp_port)
    server.serve()
    own.start()
    told = Deadline(
        pod="team/p", uid="pod-uid", host=host, port=unused_tcp_port, at=NOW + timedelta(seconds=20), grace=30.0
    )
    messenger.tell(KEY, [told])
    await until(outcomes, 1)
    messenger.tell(KEY, [replace(told, uid="another")])
    await until(outcomes, 2)
    server.close()
    assert outcomes == ["told", "refused"]
    left = own.left()
    assert left is not None
    assert 15.0 < left <= 20.0
