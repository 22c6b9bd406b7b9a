"""A real worker says which versions it has, which visibility timeout its application sets, and how far ETAs are."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from celery_operator.observe.key import ClusterKey
from celery_operator.observe.worker_report import PodAddress, WorkerAbout
from celery_operator.observe.worker_reports import WorkerReports
from tests.integration.runtime.pods import REQUIREMENTS, Pod, send
from tests.integration.servers import RedisServer, wait_until
from tests.integration.venvs import celery_venv


@pytest.mark.parametrize("release", ["5.7", "5.5"])
async def test_the_linter_s_facts_come_from_the_worker_itself(tmp_path: Path, release: str) -> None:
    python = celery_venv(REQUIREMENTS / f"celery-{release}.txt") / "bin" / "python"
    reports = WorkerReports(clock=time.monotonic, random=lambda: 0.5)
    with RedisServer(folder=tmp_path) as redis:
        pod = Pod(folder=tmp_path, python=python, broker=redis.url(1), env={"LEDGER_URL": redis.url()})
        try:
            pod.start().wait_for("/readyz", timeout=120.0)
            for eta in ("2099-01-01T00:00:00+00:00", "2098-12-31T23:00:00+00:00"):
                send(redis.url(1), "shop.record", "later", eta=eta)
            wait_until(lambda: pod.status()["eta"] == 2, timeout=90.0, what="the worker holds two tasks with an ETA")
            address = PodAddress(uid=pod.uid, name=pod.name, host="127.0.0.1", port=pod.port)
            reports.watch(ClusterKey(namespace="team", name="shop"), {pod.uid: address})
            async with asyncio.timeout(90.0):
                while (report := reports.get(pod.uid)) is None:
                    await asyncio.sleep(0.05)
        finally:
            await reports.stop()
            pod.kill()
    assert report.about is not None
    about = report.about
    assert str(about.celery).startswith(release)
    assert str(about.kombu).startswith(release)
    assert about == WorkerAbout(celery=about.celery, kombu=about.kombu, redis=about.redis, visibility_timeout=3600.0)
    assert about.redis is not None
    assert report.unknown_tasks == 0
    assert report.latest_eta == datetime(2099, 1, 1, tzinfo=UTC).timestamp()
