"""What the poller asks pods and when, what it believes of their answers, and how it keeps them drained."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from celery_operator.observe.key import ClusterKey
from celery_operator.observe.worker_client import Answer, WorkerClient
from celery_operator.observe.worker_report import PodAddress, WorkerReport
from celery_operator.observe.worker_reports import WorkerReports
from tests.unit.observe.runtimes import Misbehaviour, Runtime, answering, silence
from tests.unit.observe.virtual_time import run

SOON = 60.0
"""Seconds in which happens what takes a moment on an idle machine."""
NEVER = 3600.0
LONG = 3600.0
"""Seconds of a lease that is not renewed, and does not end, while a test runs."""
SHOP, OTHER = ClusterKey(namespace="team", name="shop"), ClusterKey(namespace="team", name="other")


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks every second asks ten times a second: how often it is in truth, the tests in virtual time say."""
    monkeypatch.setattr("celery_operator.observe.worker_follower.SHORT_PERIOD", 0.1)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests with a poller of their own."""
    hurry(monkeypatch)


@pytest.fixture
async def reports(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WorkerReports]:
    """A poller without jitter, which must leave nothing behind. It waits for an answer, however slow the machine is."""
    hurry(monkeypatch)
    monkeypatch.setattr("celery_operator.observe.pod_http.TIMEOUT", NEVER)
    before = asyncio.all_tasks()
    poller = WorkerReports(clock=time.monotonic, random=lambda: 0.5)
    yield poller
    await poller.stop()
    assert {task.get_name() for task in asyncio.all_tasks() - before if task.get_name().startswith("worker-")} == set()


async def until(condition: Callable[[], bool], *, timeout: float = SOON) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.01)


def watch(reports: WorkerReports, *runtimes: Runtime, key: ClusterKey = SHOP) -> None:
    reports.watch(key, {runtime.uid: runtime.address for runtime in runtimes})


def drained(reports: WorkerReports, uid: str = "uid-1") -> bool:
    report = reports.get(uid)
    return report is not None and report.drained


async def reported(reports: WorkerReports, runtime: Runtime) -> WorkerReport:
    await until(lambda: reports.get(runtime.uid) is not None)
    report = reports.get(runtime.uid)
    assert report is not None
    return report


async def test_a_worker_s_answer_becomes_its_report(reports: WorkerReports) -> None:
    async with Runtime(active=1) as runtime:
        began = time.monotonic()
        watch(reports, runtime)
        report = await reported(reports, runtime)
        assert began <= report.at <= time.monotonic()
        assert report == WorkerReport(
            at=report.at, boot_id="boot-1", slots=2, active=1, reserved=0, held=0, eta=None, processed=5,
            started=True, shutting_down=False, draining=False, drained=False,
        )  # fmt: skip
        assert reports.refuses(runtime.uid) is None


def said(clock: Callable[[], float], *, started: bool = True, draining: bool = False) -> WorkerReport:
    return WorkerReport(
        at=clock(), boot_id="boot-1", slots=2, active=1, reserved=0, held=0, eta=None, processed=5,
        started=started, shutting_down=False, draining=draining, drained=draining,
    )  # fmt: skip


def note_questions(
    monkeypatch: pytest.MonkeyPatch, clock: Callable[[], float], asked: list[float], *, starts_at: float = 0.0
) -> None:
    """Note when a worker that runs, or will from a moment on, is asked; it answers at once."""

    async def status(*_: object, **__: object) -> Answer:
        asked.append(clock())
        return Answer(report=said(clock, started=clock() >= starts_at))

    monkeypatch.setattr(WorkerClient, "status", status)


def test_a_worker_is_asked_every_second_until_it_consumes_and_seldom_then(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    async def test(clock: Callable[[], float]) -> None:
        note_questions(monkeypatch, clock, asked, starts_at=2.5)
        poller = WorkerReports(clock=clock, random=lambda: 0.5)
        poller.watch(SHOP, {"uid-1": PodAddress(uid="uid-1", name="one", host="127.0.0.1", port=1)})
        await asyncio.sleep(35)
        await poller.stop()

    run(test)
    assert asked == [0, 1, 2, 3, 33]


@pytest.mark.parametrize(
    ("options", "times"),
    [
        ({"often": {"uid-2"}}, [0, 30, 60, 90]),
        ({"often": {"uid-1", "uid-2"}}, list(range(0, 100, 5))),
        ({"often": {"uid-1"}}, list(range(0, 100, 5))),
    ],
    ids=["its heartbeats are heard", "nobody's are", "its own do not tell what it runs"],
)
def test_a_worker_that_runs_is_asked_every_half_minute(
    options: dict[str, Any], times: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    async def test(clock: Callable[[], float]) -> None:
        note_questions(monkeypatch, clock, asked)
        poller = WorkerReports(clock=clock, random=lambda: 0.5)
        poller.watch(SHOP, {"uid-1": PodAddress(uid="uid-1", name="one", host="127.0.0.1", port=1)}, **options)
        await asyncio.sleep(100)
        await poller.stop()

    run(test)
    assert asked == times


async def test_a_worker_that_begins_to_consume_is_told_of_once_for_each_start_of_its_container(impatient: None) -> None:
    started: list[ClusterKey] = []
    reports = WorkerReports(clock=time.monotonic, random=lambda: 0.5, on_start=started.append)
    async with Runtime(started=False) as runtime:
        watch(reports, runtime)
        await reported(reports, runtime)
        assert not started
        runtime.started = True
        await until(lambda: bool(started))
        for number, boot_id in enumerate(["boot-1", "boot-2"], start=1):
            runtime.restart(boot_id)
            asked = len(runtime.gets)
            assert reports.ask(runtime.uid, f"ready at {number}")
            await until(lambda asked=asked: len(runtime.gets) > asked)  # type: ignore[misc]
        await until(lambda: (report := reports.get(runtime.uid)) is not None and report.boot_id == "boot-2")
        assert started == [SHOP, SHOP]
        await reports.stop()


def test_a_pod_is_asked_out_of_turn_once_for_each_occasion(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    async def test(clock: Callable[[], float]) -> None:
        note_questions(monkeypatch, clock, asked)
        poller = WorkerReports(clock=clock, random=lambda: 0.5)
        assert not poller.ask("uid-1", "ready at 1"), "nobody watches it"
        poller.watch(SHOP, {"uid-1": PodAddress(uid="uid-1", name="one", host="127.0.0.1", port=1)})
        await asyncio.sleep(5)
        assert poller.ask("uid-1", "ready at 1")
        await asyncio.sleep(5)
        assert poller.ask("uid-1", "ready at 1")
        await asyncio.sleep(5)
        assert poller.ask("uid-1", "ready at 2")
        await asyncio.sleep(1)
        await poller.stop()

    run(test)
    assert asked == [0, 5, 15]


async def test_a_pod_that_listens_later_is_found(reports: WorkerReports, unused_tcp_port: int) -> None:
    runtime = Runtime(port=unused_tcp_port)
    watch(reports, runtime)
    await asyncio.sleep(0.1)
    assert reports.get(runtime.uid) is None
    async with runtime:
        await reported(reports, runtime)


async def test_dead_pods_delay_nobody(reports: WorkerReports) -> None:
    async with Runtime(uid="dead", misbehave=silence) as dead, Runtime(uid="live") as live:
        many = {f"dead-{number}": address_of(dead, f"dead-{number}") for number in range(40)}
        reports.watch(OTHER, many)
        await until(lambda: dead.busy == 40)
        watch(reports, live)
        await reported(reports, live)
        assert dead.busy == 40, "they have no answer yet"


async def test_a_drain_does_not_wait_for_any_number_of_dead_pods(reports: WorkerReports) -> None:
    async with Runtime(uid="dead", misbehave=silence) as dead, Runtime() as live:
        watch(reports, live)
        await reported(reports, live)
        reports.watch(OTHER, {f"dead-{number}": address_of(dead, f"dead-{number}") for number in range(200)})
        await until(lambda: dead.busy >= 48)
        reports.hold(live.address, "boot-1", LONG)
        await until(lambda: drained(reports))
        assert 48 <= dead.busy <= 64, "they have no answer yet, and others wait for their turn"


def address_of(runtime: Runtime, uid: str) -> PodAddress:
    return PodAddress(uid=uid, name=uid, host="127.0.0.1", port=runtime.port)


async def test_a_pod_that_moved_is_asked_where_it_is_now(reports: WorkerReports) -> None:
    async with Runtime(boot_id="former") as former, Runtime(boot_id="now") as now:
        watch(reports, former)
        await reported(reports, former)
        watch(reports, now)
        await until(lambda: bool((report := reports.get("uid-1")) and report.boot_id == "now"))


async def test_pods_that_are_gone_and_forgotten_clusters_are_asked_no_more(reports: WorkerReports) -> None:
    async with Runtime(uid="one") as one, Runtime(uid="two") as two, Runtime(uid="three") as three:
        watch(reports, one, two)
        watch(reports, three, key=OTHER)
        for runtime in (one, two, three):
            await reported(reports, runtime)
        reports.hold(one.address, "boot-1", LONG)
        watch(reports, two)
        assert reports.get("one") is None
        assert not reports.is_held("uid-1")
        reports.forget(SHOP)
        assert reports.get("two") is None
        assert reports.get("three") is not None
        watch(reports, one)
        await reported(reports, one)


async def test_a_held_pod_is_drained(reports: WorkerReports) -> None:
    async with Runtime() as runtime:
        watch(reports, runtime)
        await reported(reports, runtime)
        reports.hold(runtime.address, "boot-1", LONG)
        assert reports.is_held("uid-1")
        await until(lambda: drained(reports))
        assert runtime.draining
        assert runtime.drains == [{"bootId": "boot-1", "seconds": LONG}]
        assert runtime.tokens == ["Bearer uid-1"]


def test_the_lease_of_a_held_pod_is_renewed_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    drains: list[tuple[float, str, float]] = []

    async def test(clock: Callable[[], float]) -> None:
        def answer() -> Answer:
            lease_end = drains[-1][0] + drains[-1][2] if drains else 0.0
            return Answer(report=said(clock, draining=clock() < lease_end), lease_until=lease_end - 0.5)

        async def status(*_: object, **__: object) -> Answer:
            return answer()

        async def drain(_: WorkerClient, __: PodAddress, boot_id: str, seconds: float) -> Answer:
            drains.append((round(clock(), 3), boot_id, seconds))
            return answer()

        monkeypatch.setattr(WorkerClient, "status", status)
        monkeypatch.setattr(WorkerClient, "drain", drain)
        poller = WorkerReports(clock=clock, random=lambda: 0.5)
        address = PodAddress(uid="uid-1", name="one", host="127.0.0.1", port=1)
        poller.watch(SHOP, {"uid-1": address})
        await asyncio.sleep(1)
        poller.hold(address, "boot-1", 1.5)
        await asyncio.sleep(0.1)
        for _ in range(380):
            assert drained(poller)
            poller.hold(address, "boot-1", 1.5)  # as every pass does
            await asyncio.sleep(0.01)
        await poller.stop()

    run(test)
    assert [(boot_id, seconds) for _, boot_id, seconds in drains] == [("boot-1", 1.5)] * len(drains)
    assert [at for at, _, _ in drains] == pytest.approx([1.0 + 0.5 * number for number in range(8)], abs=0.05)


async def test_a_held_pod_is_asked_every_second_between_renewals(reports: WorkerReports) -> None:
    async with Runtime(active=1) as runtime:
        watch(reports, runtime)
        await reported(reports, runtime)
        reports.hold(runtime.address, "boot-1", LONG)
        await until(lambda: bool((report := reports.get("uid-1")) and report.draining))
        assert not drained(reports)
        runtime.active = 0
        await until(lambda: drained(reports))
        assert len(runtime.drains) == 1, "it was asked, and not drained anew"


async def test_a_pod_that_is_let_go_consumes_at_once(reports: WorkerReports) -> None:
    async with Runtime() as runtime:
        watch(reports, runtime)
        await reported(reports, runtime)
        reports.hold(runtime.address, "boot-1", LONG)
        await until(lambda: drained(reports))
        reports.let_go(runtime.address)
        assert not drained(reports)
        assert not reports.is_held("uid-1")
        await until(lambda: not runtime.draining)
        assert runtime.drains[-1] == {"bootId": "boot-1", "seconds": 0.0}
        reports.let_go(runtime.address)
        await until(lambda: len(runtime.gets) >= 2)
        assert len(runtime.drains) == 2


async def test_letting_go_is_tried_until_the_pod_answers(reports: WorkerReports) -> None:
    async with Runtime() as runtime:
        watch(reports, runtime)
        await reported(reports, runtime)
        reports.hold(runtime.address, "boot-1", LONG)
        await until(lambda: drained(reports))
        runtime.misbehave = answering(500, "trouble")
        reports.let_go(runtime.address)
        watch(reports)  # the pod need not be watched for it
        await until(lambda: len(runtime.drains) >= 3)
        assert runtime.draining
        runtime.misbehave = None
        await until(lambda: not runtime.draining)


async def test_letting_go_is_given_up_when_the_lease_has_run_out(
    reports: WorkerReports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("celery_operator.observe.worker_follower.REQUEST_SECONDS", 0.2)
    async with Runtime() as runtime:
        reports.hold(runtime.address, "boot-1", 0.3)
        await until(lambda: len(runtime.drains) >= 1)
        runtime.misbehave = answering(500, "trouble")
        reports.let_go(runtime.address)
        await until(lambda: not any(task.get_name().startswith("worker-reports") for task in asyncio.all_tasks()))
        assert len(runtime.drains) <= 10


async def test_a_pod_that_a_former_leader_drained_can_be_let_go(reports: WorkerReports) -> None:
    async with Runtime() as runtime:
        former = WorkerReports(clock=time.monotonic, random=lambda: 0.5)
        former.hold(runtime.address, "boot-1", LONG)
        await until(lambda: drained(former))
        await former.stop()
        assert runtime.draining
        watch(reports, runtime)
        await until(lambda: drained(reports))
        reports.let_go(runtime.address)
        await until(lambda: not runtime.draining)


async def test_drained_is_not_said_beyond_the_lease(reports: WorkerReports) -> None:
    async with Runtime() as runtime:
        watch(reports, runtime)
        await reported(reports, runtime)
        reports.hold(runtime.address, "boot-1", 1.5)
        await until(lambda: drained(reports))
        runtime.misbehave = silence
        await until(lambda: not drained(reports))
        report = reports.get("uid-1")
        assert report is not None
        assert not report.draining


async def test_what_a_pod_said_before_it_was_let_go_is_void(reports: WorkerReports) -> None:
    answered = asyncio.Event()

    async def late(request: web.Request) -> web.Response | None:
        if request.path != "/drain" or runtime.drains[-1]["seconds"] == 0:
            return None
        document = {**runtime.status(), "draining": True, "drained": True, "seconds": 60.0}
        await asyncio.sleep(0.5)
        answered.set()
        return web.json_response(document)

    async with Runtime() as runtime:
        watch(reports, runtime)
        await reported(reports, runtime)
        runtime.misbehave = late
        reports.hold(runtime.address, "boot-1", LONG)
        await until(lambda: len(runtime.drains) == 1)
        reports.let_go(runtime.address)
        reports.hold(runtime.address, "boot-1", LONG)
        await answered.wait()
        while len(runtime.drains) < 2:
            assert not drained(reports)
            await asyncio.sleep(0)


async def test_a_restarted_container_is_held_no_more_and_reported_anew(reports: WorkerReports) -> None:
    async with Runtime() as runtime:
        watch(reports, runtime)
        await reported(reports, runtime)
        runtime.restart("boot-2")
        reports.hold(runtime.address, "boot-1", LONG)
        await until(lambda: not reports.is_held("uid-1"))
        await until(lambda: bool((report := reports.get("uid-1")) and report.boot_id == "boot-2"), timeout=20.0)
        asked = len(runtime.drains)
        reports.hold(runtime.address, "boot-1", LONG)  # by somebody who has not seen it yet
        assert not reports.is_held("uid-1")
        reports.hold(runtime.address, "boot-2", LONG)
        await until(lambda: drained(reports))
        runtime.restart("boot-3")
        await until(lambda: not reports.is_held("uid-1"))
        assert not drained(reports)
        assert len(runtime.drains) == asked + 1


@pytest.mark.parametrize(
    ("misbehaviour", "why"),
    [
        (answering(404, "there are /livez", path="/drain"), "older operator"),
        (answering(405, "only GET", path="/drain"), "older operator"),
        (answering(403, "the token is the pod's UID", path="/drain"), "UID"),
        (answering(400, "the body is", path="/drain"), "answer 400"),
        (answering(302, "elsewhere", path="/drain"), "answer 302"),
        (answering(200, "ok", path="/drain"), "something else listens"),
        (answering(200, "[1]", path="/drain"), "something else listens"),
        (answering(200, json.dumps({"bootId": "boot-1"}), path="/drain"), "knows"),
    ],
)
async def test_a_pod_that_refuses_is_not_held_and_says_why(
    misbehaviour: Misbehaviour, why: str, reports: WorkerReports
) -> None:
    async with Runtime(misbehave=misbehaviour) as runtime:
        watch(reports, runtime)
        await reported(reports, runtime)
        assert reports.refuses("uid-1") is None
        reports.hold(runtime.address, "boot-1", LONG)
        await until(lambda: reports.refuses("uid-1") is not None)
        assert why in str(reports.refuses("uid-1"))
        assert not reports.is_held("uid-1")
        await until(lambda: len(runtime.gets) >= 2)
        reports.hold(runtime.address, "boot-1", LONG)
        assert not reports.is_held("uid-1")
        assert len(runtime.drains) == 1
        assert not drained(reports)


async def test_a_refusal_ends_with_the_container(reports: WorkerReports) -> None:
    async with Runtime(misbehave=answering(403, "no", path="/drain"), started=False) as runtime:
        watch(reports, runtime)
        await reported(reports, runtime)
        reports.hold(runtime.address, "boot-1", LONG)
        await until(lambda: reports.refuses("uid-1") is not None)
        runtime.misbehave = None
        runtime.restart("boot-2")
        await until(lambda: reports.refuses("uid-1") is None)
        reports.hold(runtime.address, "boot-2", LONG)
        await until(lambda: drained(reports))


async def test_a_runtime_without_drains_reports_and_refuses(reports: WorkerReports) -> None:
    async with Runtime(can_drain=False) as runtime:
        watch(reports, runtime)
        report = await reported(reports, runtime)
        assert (report.slots, report.draining, report.drained) == (2, False, False)
        assert "older operator" in str(reports.refuses("uid-1"))
        reports.hold(runtime.address, "boot-1", LONG)
        assert not reports.is_held("uid-1")
    assert runtime.drains == []


@pytest.mark.parametrize(
    "body",
    [
        "ok", "", "null", "[]", "{}", "[" * 50_000, json.dumps({"bootId": 7, "shuttingDown": False}),
        json.dumps({"bootId": "b", "shuttingDown": False, "active": "3"}),
        json.dumps({"bootId": "b", "shuttingDown": False, "drain": {"draining": "yes"}}),
        json.dumps({"bootId": "b", "shuttingDown": False, "drain": {"draining": True, "drained": True, "seconds": -1}}),
        "x" * 100_000,
    ],
)  # fmt: skip
async def test_what_is_no_worker_s_answer_is_no_report(body: str, reports: WorkerReports) -> None:
    async with Runtime(misbehave=answering(200, body, path="/status")) as runtime:
        watch(reports, runtime)
        await until(lambda: reports.refuses("uid-1") is not None)
        assert reports.get("uid-1") is None
        runtime.misbehave = None
        await reported(reports, runtime)
        assert reports.refuses("uid-1") is None


async def test_a_pod_in_trouble_is_held_when_it_answers_again(reports: WorkerReports) -> None:
    async with Runtime(misbehave=answering(500, "AttributeError", path="/drain")) as runtime:
        watch(reports, runtime)
        await reported(reports, runtime)
        reports.hold(runtime.address, "boot-1", LONG)
        await until(lambda: len(runtime.drains) >= 2)
        assert reports.is_held("uid-1")
        runtime.misbehave = None
        await until(lambda: drained(reports))


async def test_stopping_lets_no_pod_go_and_ends_at_once(reports: WorkerReports) -> None:
    async with Runtime() as runtime, Runtime(uid="dead", misbehave=silence) as dead:
        watch(reports, runtime)
        await reported(reports, runtime)
        reports.hold(runtime.address, "boot-1", LONG)
        reports.hold(dead.address, "boot-1", LONG)
        await until(lambda: drained(reports) and bool(dead.drains))
        async with asyncio.timeout(SOON):
            await reports.stop()
        assert runtime.draining
        assert [drain["seconds"] for drain in runtime.drains] == [LONG]
