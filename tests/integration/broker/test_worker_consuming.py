"""A real worker says that it consumes, that it does not while its broker is away, and that it does again."""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path

from celery_operator.observe.key import ClusterKey
from celery_operator.observe.worker_report import PodAddress, WorkerReport
from celery_operator.observe.worker_reports import WorkerReports
from tests.integration.runtime.pods import REQUIREMENTS, Pod
from tests.integration.servers import RedisServer
from tests.integration.venvs import celery_venv
from tests.integration.waiting import eventually

PATIENCE = 120.0


async def test_a_worker_that_loses_its_broker_says_so_until_it_is_back(tmp_path: Path) -> None:
    python = celery_venv(REQUIREMENTS / "celery-5.7.txt") / "bin" / "python"
    reports = WorkerReports(clock=time.monotonic, random=lambda: 0.5)
    occasions = itertools.count()
    with RedisServer(folder=tmp_path / "broker") as broker:
        pod = Pod(folder=tmp_path, python=python, broker=broker.url())

        async def said() -> WorkerReport | None:
            reports.ask(pod.uid, str(next(occasions)))
            return reports.get(pod.uid)

        async def until(consuming: bool) -> WorkerReport:
            found = await eventually(said, lambda one: one is not None and one.consuming is consuming, within=PATIENCE)
            assert found is not None
            return found

        try:
            pod.start().wait_for("/readyz", timeout=PATIENCE)
            address = PodAddress(uid=pod.uid, name=pod.name, host="127.0.0.1", port=pod.port)
            reports.watch(ClusterKey(namespace="team", name="shop"), {pod.uid: address})
            well = await until(True)
            assert (well.connected, well.not_consuming_since) == (True, None)
            await asyncio.to_thread(broker.stop)
            cut = await until(False)
            assert cut.connected is False
            assert cut.not_consuming_since is not None
            assert cut.not_consuming_since <= cut.at
            await asyncio.to_thread(broker.start)
            again = await until(True)
            assert (again.connected, again.not_consuming_since) == (True, None)
        finally:
            await reports.stop()
            pod.kill()
