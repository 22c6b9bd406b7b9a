"""When the watchdog acts, and what becomes of each request."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from celery_operator.runtime import task_requests
from celery_operator.runtime.shutdown import LAST_SECONDS, margin


@pytest.mark.parametrize(("grace", "seconds"), [(4.0, 3.0), (20.0, 5.0), (60.0, 15.0), (3600.0, 15.0)])
def test_the_margin_is_a_quarter_within_bounds(grace: float, seconds: float) -> None:
    assert margin(grace) == seconds
    assert margin(grace) > LAST_SECONDS


def request(**fields: Any) -> Any:
    """The fields of a request that are read."""
    return SimpleNamespace(
        **{"task": SimpleNamespace(acks_late=True), "acknowledged": False, "time_start": 1.0, "_apply_result": None}
        | fields
    )


@pytest.mark.parametrize(
    ("late", "acknowledged", "back"), [(True, False, True), (True, True, False), (False, True, False)]
)
def test_only_what_the_broker_still_holds_goes_back(late: bool, acknowledged: bool, back: bool) -> None:
    one = request(task=SimpleNamespace(acks_late=late), acknowledged=acknowledged)
    assert task_requests.goes_back(one) is back


@pytest.mark.parametrize(
    ("fields", "given"),
    [
        ({"time_start": 1.0}, True),
        ({"time_start": None, "_apply_result": object()}, True),
        ({"time_start": None, "_apply_result": None}, False),
    ],
)
def test_what_the_pool_has_is_not_given_back(fields: dict[str, Any], given: bool) -> None:
    assert task_requests.given_to_pool(request(**fields)) is given


def test_a_message_goes_back_once() -> None:
    requeued: list[str] = []
    message = SimpleNamespace(channel=SimpleNamespace(), requeue=lambda: requeued.append("once"))
    one = request(message=message)
    assert task_requests.put_back(one)
    assert not task_requests.put_back(one)
    assert requeued == ["once"]
    assert one.acknowledged


@pytest.mark.parametrize(("failed", "told"), [(0, ["success"]), (1, [])])
def test_of_a_cut_task_only_a_success_is_told(failed: int, told: list[str]) -> None:
    results: list[str] = []
    job = SimpleNamespace(_callback=lambda result: results.append(result[1]), _error_callback=results.append)
    killed: list[tuple[int, int]] = []
    pool = SimpleNamespace(terminate_job=lambda pid, number: killed.append((pid, number)))
    one = request(_apply_result=lambda: job, worker_pid=77)
    task_requests.cut(one, pool)
    job._callback((failed, "success", 1.0))
    assert results == told
    assert job._error_callback is None
    assert killed == [(77, 15)]
    assert one._already_cancelled
