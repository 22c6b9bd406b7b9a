"""The page of delivery guarantees says with what, when and beside how many figures were found, and what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from docs import delivery_guarantees as guarantees
from tests.verify import result

ROW: Final[dict[str, Any]] = {
    "row": "scale-in",
    "title": "scale-in",
    "broker": "redis",
    "pool": "prefork",
    "deployment": "AtLeastOnce",
    "size": "full",
    "sent": 48,
    "lost": 0,
    "left_in_broker": 0,
    "second_runs": 0,
    "unexplained_second_runs": 0,
    "revoked_and_run": 0,
    "redelivered_after_seconds": None,
    "restarts": None,
    "machine": "2 cores",
    "kubernetes": "v1.34.4",
    "celery": "5.7.0",
    "date": "2026-01-01",
    "commit": "abc",
    "side_by_side": 3,
    "seconds": 120.0,
}


@pytest.fixture(autouse=True)
def no_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page as it is before anything was measured."""
    monkeypatch.setattr(guarantees, "ON_A_CLUSTER", tmp_path / "cluster.json")
    monkeypatch.setattr(guarantees, "AS_PROCESSES", tmp_path / "processes.json")
    monkeypatch.setattr(result, "FOLDER", tmp_path)


def _measured(path: Path, *rows: dict[str, Any]) -> str:
    path.write_text(json.dumps({"results": [{**ROW, **row} for row in rows]}))
    return guarantees.page()


def test_a_page_without_results_says_so_everywhere() -> None:
    page = guarantees.page()
    assert page.count("Not measured yet") == 2
    assert "| delivery-pods-redis | not measured |" in page


def test_a_cell_that_was_not_measured_is_not_left_out() -> None:
    page = _measured(guarantees.ON_A_CLUSTER, {})
    assert "| scale-in | none of 48 lost | not measured | not measured |" in page


def test_a_full_row_hides_a_small_one_of_the_same_kind_alone() -> None:
    small, plain = {"size": "small", "sent": 24}, {"size": "small", "sent": 23, "deployment": "plain", "lost": 5}
    page = _measured(guarantees.ON_A_CLUSTER, small, {}, plain)
    assert "| scale-in | none of 48 lost | not measured | 5 of 23 lost, smaller load |" in page


def test_the_page_tells_versions_machine_dates_and_how_many_side_by_side() -> None:
    page = _measured(guarantees.ON_A_CLUSTER, {}, {"broker": "rabbitmq", "date": "2026-01-09", "commit": "def+"})
    assert "Kubernetes v1.34.4, pool prefork, Celery 5.7.0, on one machine (2 cores)" in page
    assert "2026-01-01 to 2026-01-09, commit abc and def+. A `+`: with changes beyond that commit." in page
    assert "3 rows ran side by side on it. 2 rows took 4 minutes in sum, the longest 2.0." in page


def test_other_pools_and_versions_have_lines_of_their_own() -> None:
    rows: list[dict[str, Any]] = [
        {"celery": "5.3"},
        {"pool": "gevent", "celery": "5.7", "second_runs": 2, "unexplained_second_runs": 1},
        {"celery": "5.7", "redelivered_after_seconds": -1.2},
        {"broker": "rabbitmq", "celery": "5.6", "redelivered_after_seconds": 2.0},
    ]
    lines = [line for line in _measured(guarantees.AS_PROCESSES, *rows).splitlines() if line.startswith("| scale in")]
    assert lines == [
        "| scale in | Redis | prefork | 5.7 | AtLeastOnce | 48 | 0 | 0 | before the pod was gone |",
        "| scale in | Redis | prefork | 5.3 | AtLeastOnce | 48 | 0 | 0 |  |",
        "| scale in | Redis | gevent | 5.7 | AtLeastOnce | 48 | 0 | 2 (1 of work already done) |  |",
        "| scale in | RabbitMQ | prefork | 5.6 | AtLeastOnce | 48 | 0 | 0 | 2.0 s |",
    ]


def test_a_whole_run_is_told_with_what_failed() -> None:
    result.Result(
        part="delivery-outages",
        date="2026-01-01 00:00 UTC",
        commit="abc",
        machine="2 cores",
        seconds=601,
        passed=34,
        failed=1,
        skipped=(),
        workers=4,
    ).write()
    assert "| delivery-outages | 34 | 1 | 0 | 10 | 4 | 2026-01-01 00:00 UTC | abc |" in guarantees.page()
