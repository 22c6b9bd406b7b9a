"""Single tasks for a bench: where and when each starts matters here, which a mixed load leaves to chance."""

from __future__ import annotations

from typing import Any, Final

import httpx

from tests.e2e.delivery.bench import Bench
from tests.e2e.delivery.load import TIMEOUT_SECONDS, accepted
from tests.e2e.delivery.verdict import Verdict
from tests.e2e.until import until

_START_SECONDS: Final = 120.0


def submit(row: Bench, kind: str, options: list[dict[str, Any]], *, seconds: float) -> list[str]:
    """Submit one task that sleeps for so long for each of the options; their ids are `<kind>-<number>`."""
    url = row.space.api.service_url(row.space.name, "producer", 8000)
    begun = sum(1 for found in row.accepted.values() if found == kind)
    ids = [f"{kind}-{begun + number}" for number in range(len(options))]
    with httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS, trust_env=False) as http:
        for task_id, one in zip(ids, options, strict=True):
            body = {"kwargs": {"requests": 1, "latency_seconds": seconds}, "options": {"task_id": task_id, **one}}
            accepted(http, "/tasks/io_bound", body)
            row.accepted[task_id] = kind
    return ids


def hosts(row: Bench, ids: list[str]) -> dict[str, str]:
    """The pods of the tasks that have started, by task id."""
    return {start.task_id: start.host for start in row.started() if start.task_id in ids}


def spread(row: Bench, *, pods: int, seconds: float) -> list[str]:
    """Submit long tasks one by one until so many pods run one at least; returns their ids."""
    ids: list[str] = []
    while len(set(hosts(row, ids).values())) < pods:
        assert len(ids) < 2 * pods, f"the tasks gather: {hosts(row, ids)}"
        ids = [*ids, *submit(row, "spread", [{}], seconds=seconds)]
        _wait_started(row, ids)
    return ids


def _wait_started(row: Bench, ids: list[str]) -> None:
    until(lambda: hosts(row, ids), lambda found: len(found) == len(ids), within=_START_SECONDS, every=0.2)


def assert_clean(verdict: Verdict, sent: int) -> None:
    """Every task was done, once, and undisturbed."""
    assert (verdict.sent, verdict.lost, verdict.cut, verdict.second_runs) == (sent, (), (), 0)
