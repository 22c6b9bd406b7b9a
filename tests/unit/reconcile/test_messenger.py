"""Pods are told of each deadline until they answer, over real HTTP; what goes wrong is counted and harms nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from celery_operator.observe.key import ClusterKey
from celery_operator.observe.pod_http import TIMEOUT
from celery_operator.reconcile.deadlines import Deadline
from celery_operator.reconcile.messenger import Messenger, Outcome
from celery_operator.runtime.deadline import Deadline as PodDeadline
from celery_operator.runtime.probe_server import ProbeServer

KEY = ClusterKey(namespace="team", name="shop")
SOON = 60.0
"""Seconds in which happens what takes a moment on an idle machine."""
NEVER = 3600.0
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


class Clock:
    """A wall clock that a test moves, and that knows how often it was looked at."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.asked = 0

    def __call__(self) -> datetime:
        self.asked += 1
        return NOW + timedelta(seconds=self.passed)

    async def until_asked(self, count: int) -> None:
        async with asyncio.timeout(SOON):
            while self.asked < count:
                await asyncio.sleep(0.01)


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
async def messenger(outcomes: list[Outcome], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Messenger]:
    """One that waits for an answer, however slow the machine is."""
    monkeypatch.setattr("celery_operator.observe.pod_http.TIMEOUT", NEVER)
    messenger = Messenger(now=lambda: NOW, on_outcome=outcomes.append)
    yield messenger
    await messenger.stop()


def deadline(pod: FakePod, *, seconds: float = 20.0) -> Deadline:
    at = NOW + timedelta(seconds=seconds)
    return Deadline(pod="team/p", uid="pod-uid", host="127.0.0.1", port=pod.port, at=at, grace=30.0)


async def until(outcomes: list[Outcome], count: int) -> None:
    async with asyncio.timeout(SOON):
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


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long the pause is does not matter where several tries do."""
    monkeypatch.setattr("celery_operator.reconcile.messenger.RETRY_SECONDS", 0.1)


@pytest.mark.usefixtures("quick_retries")
async def test_a_pod_that_cannot_be_reached_is_tried_until_it_answers(
    outcomes: list[Outcome], unused_tcp_port: int
) -> None:
    """A node that is drained loses packets just then; the failure is counted once."""
    clock = Clock()
    messenger = Messenger(now=clock, on_outcome=outcomes.append)
    told = Deadline(
        pod="team/p", uid="pod-uid", host="127.0.0.1", port=unused_tcp_port, at=NOW + timedelta(seconds=20), grace=30.0
    )
    messenger.tell(KEY, [told])
    await until(outcomes, 1)
    clock.passed = 5.0
    await clock.until_asked(3)  # a second try has failed, too
    own = PodDeadline(grace_seconds=300.0, token="pod-uid")
    server = ProbeServer({}, dict, {"/deadline": own.command})
    server.bind(unused_tcp_port)
    server.serve()
    own.start()
    await until(outcomes, 2)
    await messenger.stop()
    server.close()
    assert outcomes == ["failed", "told"]
    left = own.left()
    assert left is not None
    assert left <= 15.0, "what is left is said anew"


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize("ended", ["the time is over", "the pod is gone", "the cluster is gone", "a new deadline"])
async def test_nobody_is_tried_for_longer_than_it_matters(
    outcomes: list[Outcome], unused_tcp_port: int, ended: str
) -> None:
    clock = Clock()
    messenger = Messenger(now=clock, on_outcome=outcomes.append)
    at = NOW + timedelta(seconds=20)
    told = Deadline(pod="team/p", uid="pod-uid", host="127.0.0.1", port=unused_tcp_port, at=at, grace=30.0)
    messenger.tell(KEY, [told])
    (task,) = [each for each in asyncio.all_tasks() if each.get_name() == "deadline of team/p"]
    await until(outcomes, 1)
    if ended == "the time is over":
        clock.passed = 20.0
    elif ended == "the pod is gone":
        messenger.tell(KEY, [])
    elif ended == "the cluster is gone":
        messenger.forget(KEY)
    else:
        messenger.tell(KEY, [replace(told, at=at - timedelta(seconds=5))])
    async with asyncio.timeout(SOON):
        await task
    failed = 2 if ended == "a new deadline" else 1
    await until(outcomes, failed)
    await messenger.stop()
    assert outcomes.count("failed") == failed


async def test_a_cluster_of_the_same_name_is_told_anew(
    pod: FakePod, messenger: Messenger, outcomes: list[Outcome]
) -> None:
    messenger.tell(KEY, [deadline(pod)])
    await until(outcomes, 1)
    messenger.forget(KEY)
    messenger.tell(KEY, [deadline(pod)])
    await until(outcomes, 2)
    assert outcomes == ["told", "told"]


async def test_stopping_waits_for_no_pod_that_is_tried_again(
    outcomes: list[Outcome], unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RETRY_SECONDS", "_STOP_GRACE"):
        monkeypatch.setattr(f"celery_operator.reconcile.messenger.{name}", NEVER)
    messenger = Messenger(now=lambda: NOW, on_outcome=outcomes.append)
    at = NOW + timedelta(seconds=20)
    messenger.tell(KEY, [Deadline(pod="p", uid="u", host="127.0.0.1", port=unused_tcp_port, at=at, grace=30.0)])
    await until(outcomes, 1)
    async with asyncio.timeout(SOON):
        await messenger.stop()


async def test_a_pod_that_hangs_delays_nobody(
    pod: FakePod, messenger: Messenger, outcomes: list[Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("celery_operator.observe.pod_http.TIMEOUT", TIMEOUT)
    pod.hang.clear()
    started = time.monotonic()
    messenger.tell(KEY, [deadline(pod)])
    assert outcomes == []
    await until(outcomes, 1)
    assert outcomes == ["failed"]
    assert time.monotonic() - started > TIMEOUT - 0.1


async def test_stopping_waits_for_no_pod_that_hangs(pod: FakePod, messenger: Messenger) -> None:
    pod.hang.clear()
    messenger.tell(KEY, [deadline(pod)])
    async with asyncio.timeout(SOON):
        await pod.came.wait()
        await messenger.stop()


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
        pod="team/p", uid="pod-uid", host=host, port=unused_tcp_port, at=NOW + timedelta(seconds=200), grace=250.0
    )
    messenger.tell(KEY, [told])
    await until(outcomes, 1)
    messenger.tell(KEY, [replace(told, uid="another")])
    await until(outcomes, 2)
    server.close()
    assert outcomes == ["told", "refused"]
    left = own.left()
    assert left is not None
    assert 100.0 < left <= 200.0
