"""Whether a worker takes messages, and since when it does not, is read from its /status."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from celery_operator.observe.worker_client import Answer, WorkerClient
from celery_operator.observe.worker_report import PodAddress, WorkerReport
from celery_operator.observe.worker_reports import WorkerReports
from tests.unit.observe.runtimes import Runtime
from tests.unit.observe.test_worker_about import saying
from tests.unit.observe.test_worker_reports import SHOP, reported, reports, until, watch
from tests.unit.observe.virtual_time import run

__all__ = ["reports"]
LOST: dict[str, Any] = {"connected": False, "consuming": ["web"]}


@pytest.mark.parametrize(
    ("more", "connected", "consuming"),
    [
        ({}, None, None),
        ({"connected": True, "consuming": ["web"]}, True, True),
        ({"connected": True, "consuming": []}, True, False),
        ({"connected": False, "consuming": ["web"]}, False, False),
        ({"connected": True, "consuming": None}, True, None),
        ({"connected": "yes", "consuming": "web"}, None, None),
    ],
)
async def test_it_consumes_when_it_is_connected_and_has_a_queue(
    reports: WorkerReports, more: dict[str, Any], connected: bool | None, consuming: bool | None
) -> None:
    async with Runtime() as runtime:
        runtime.misbehave = saying(runtime, **more)
        watch(reports, runtime)
        report = await reported(reports, runtime)
        assert (report.connected, report.consuming) == (connected, consuming)
        assert (report.not_consuming_since is not None) is (consuming is False)


@pytest.mark.parametrize("more", [{"startedSince": None}, {"shuttingDown": True}])
async def test_who_starts_or_ends_need_not_consume(reports: WorkerReports, more: dict[str, Any]) -> None:
    async with Runtime() as runtime:
        runtime.misbehave = saying(runtime, **LOST, **more)
        watch(reports, runtime)
        report = await reported(reports, runtime)
        assert (report.consuming, report.not_consuming_since) == (False, None)


async def test_since_when_it_does_not_is_kept_until_it_does_or_its_container_restarts(reports: WorkerReports) -> None:
    async with Runtime() as runtime:
        runtime.misbehave = saying(runtime, **LOST)
        watch(reports, runtime)
        since = (await reported(reports, runtime)).not_consuming_since
        assert since is not None
        await asked_again(reports, runtime, "a")
        assert reports.get(runtime.uid).not_consuming_since == since  # type: ignore[union-attr]
        runtime.restart("boot-2")
        runtime.misbehave = saying(runtime, **LOST)
        await asked_again(reports, runtime, "b")
        assert reports.get(runtime.uid).not_consuming_since > since  # type: ignore[union-attr,operator]
        runtime.misbehave = saying(runtime, connected=True, consuming=["web"])
        await asked_again(reports, runtime, "c")
        assert reports.get(runtime.uid).not_consuming_since is None  # type: ignore[union-attr]


@pytest.mark.parametrize(("consuming", "times"), [(True, [0, 30, 60]), (False, [*range(0, 65, 5)])])
def test_who_takes_nothing_is_asked_every_five_seconds(
    consuming: bool, times: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    async def test(clock: Callable[[], float]) -> None:
        async def status(*_: object, **__: object) -> Answer:
            asked.append(clock())
            return Answer(
                report=WorkerReport(
                    at=clock(), boot_id="boot-1", slots=2, active=1, reserved=0, held=0, eta=None, processed=5,
                    started=True, shutting_down=False, draining=False, drained=False, consuming=consuming,
                )
            )  # fmt: skip

        monkeypatch.setattr(WorkerClient, "status", status)
        poller = WorkerReports(clock=clock, random=lambda: 0.5)
        poller.watch(SHOP, {"uid-1": PodAddress(uid="uid-1", name="one", host="127.0.0.1", port=1)})
        await asyncio.sleep(62)
        await poller.stop()

    run(test)
    assert asked == times


async def asked_again(reports: WorkerReports, runtime: Runtime, occasion: str) -> None:
    """Ask now; until the answer is there."""
    report = reports.get(runtime.uid)
    assert report is not None
    reports.ask(runtime.uid, occasion)
    await until(lambda: reports.get(runtime.uid).at > report.at)  # type: ignore[union-attr]
