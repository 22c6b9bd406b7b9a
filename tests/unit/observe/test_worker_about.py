"""What a worker's program is, is read from its /status and kept while it is only told to drain."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from celery_operator.observe.worker_report import WorkerAbout
from celery_operator.observe.worker_reports import WorkerReports
from tests.unit.observe.runtimes import Misbehaviour, Runtime
from tests.unit.observe.test_worker_reports import reported, reports, until, watch

__all__ = ["reports"]
VERSIONS = {"celery": "5.7.0", "kombu": "5.7.1", "redis": "8.0.0", "billiard": "4.3.2", "python": "3.13.1"}
ABOUT = WorkerAbout(celery="5.7.0", kombu="5.7.1", redis="8.0.0", visibility_timeout=7200.0)


def saying(runtime: Runtime, **more: Any) -> Misbehaviour:
    """Its /status with more in it; whatever else is asked is answered as ever."""

    async def misbehave(request: web.Request) -> web.Response | None:
        if request.path != "/status":
            return None
        return web.Response(text=json.dumps({**runtime.status(), **more}), content_type="application/json")

    return misbehave


async def test_versions_and_visibility_timeout_are_read(reports: WorkerReports) -> None:
    async with Runtime() as runtime:
        options = {"visibility_timeout": 7200, "socket_timeout": 30}
        runtime.misbehave = saying(runtime, versions=VERSIONS, effective={"broker_transport_options": options})
        watch(reports, runtime)
        assert (await reported(reports, runtime)).about == ABOUT


@pytest.mark.parametrize(
    ("more", "about"),
    [
        ({}, None),
        ({"versions": None}, None),
        ({"versions": [5, 7]}, None),
        ({"versions": {"celery": "5.7.0", "redis": None}, "effective": None}, WorkerAbout(celery="5.7.0")),
        ({"versions": {"celery": 5}, "effective": {"broker_transport_options": "x"}}, WorkerAbout()),
        ({"versions": {}, "effective": {"broker_transport_options": {"visibility_timeout": "1h"}}}, WorkerAbout()),
    ],
)
async def test_what_cannot_be_read_of_it_hinders_nothing(
    reports: WorkerReports, more: dict[str, Any], about: WorkerAbout | None
) -> None:
    async with Runtime() as runtime:
        runtime.misbehave = saying(runtime, **more)
        watch(reports, runtime)
        report = await reported(reports, runtime)
        assert (report.about, report.slots) == (about, 2)
        assert reports.refuses(runtime.uid) is None


@pytest.mark.parametrize(
    ("said", "moment"),
    [(4070908800.5, 4070908800.5), (None, None), (True, None), ("soon", None), (float("nan"), None), (1e400, None)],
)
async def test_when_the_last_eta_is_due_is_a_number_or_unknown(
    reports: WorkerReports, said: object, moment: float | None
) -> None:
    async with Runtime() as runtime:
        runtime.misbehave = saying(runtime, latestEta=said)
        watch(reports, runtime)
        assert (await reported(reports, runtime)).latest_eta == moment


async def test_an_answer_to_a_drain_forgets_nothing_until_the_container_restarts(reports: WorkerReports) -> None:
    async with Runtime() as runtime:
        runtime.misbehave = saying(
            runtime, versions=VERSIONS, unknownTasksRequeued=3, redeliveredWhileRunning=2, latestEta=4070908800
        )
        watch(reports, runtime)
        known = (await reported(reports, runtime)).about
        assert known is not None
        runtime.misbehave = None
        reports.hold(runtime.address, runtime.boot_id, 30.0)
        await until(lambda: bool((report := reports.get(runtime.uid)) and report.draining))
        assert reports.get(runtime.uid).about == known  # type: ignore[union-attr]
        assert reports.get(runtime.uid).unknown_tasks == 3  # type: ignore[union-attr]
        assert reports.get(runtime.uid).redelivered == 2  # type: ignore[union-attr]
        assert reports.get(runtime.uid).latest_eta == 4070908800.0  # type: ignore[union-attr]
        runtime.restart("boot-2")
        await until(lambda: bool((report := reports.get(runtime.uid)) and report.boot_id == "boot-2"))
        assert reports.get(runtime.uid).about is None  # type: ignore[union-attr]
