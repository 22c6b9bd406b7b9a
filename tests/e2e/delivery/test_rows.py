"""Every row on the real cluster: no task is lost, and none runs twice but those that were cut off."""

from __future__ import annotations

import time

import pytest

from tests.e2e.conftest import MakeSpace
from tests.e2e.delivery import results
from tests.e2e.delivery.bench import Bench, bench
from tests.e2e.delivery.matrix import FULL, SMALL, Case
from tests.e2e.delivery.verdict import Verdict

VERIFY_SECONDS = 1500


def _parameter(case: Case) -> object:
    marks = [] if case.size_name == "small" else [pytest.mark.verify, pytest.mark.timeout(VERIFY_SECONDS)]
    return pytest.param(case, id=str(case), marks=marks)


@pytest.mark.parametrize("case", [_parameter(case) for case in (*SMALL, *FULL)])
def test_no_task_is_lost(
    case: Case, request: pytest.FixtureRequest, make_space: MakeSpace, next_image: str, kubernetes_version: str
) -> None:
    if case.kind != "plain":
        request.getfixturevalue("release")
    nodes: list[str] = request.getfixturevalue("two_nodes") if case.row.needs_two_nodes else []
    size, begun = case.size, time.monotonic()
    node = nodes[0] if nodes else None
    with bench(make_space(), case.broker, case.kind, size.fleet, next_image, node) as row:
        size.disturb(row, size.load)
        row.wait_over(size.load, within=size.within, silence=size.silence)
        verdict = row.verdict()
        restarts = row.restarts() if case.row.keeps_pods else None
        results.write(_result(case, row, verdict, restarts, time.monotonic() - begun), kubernetes_version)
        if case.kind == "plain":
            assert verdict.sent >= len(row.accepted) - len(row.revoked) > 0
            assert verdict.lost or not case.row.plain_loses, verdict
        else:
            _check(case, row, verdict, restarts)


def _check(case: Case, row: Bench, verdict: Verdict, restarts: int | None) -> None:
    assert verdict.sent >= len(row.accepted) - len(row.revoked) > 0
    assert verdict.revoked_and_run == ()
    assert not restarts
    if case.kind == "AtMostOnce":
        # What is cut off is lost by definition, and nothing else is.
        assert set(verdict.lost) <= set(verdict.cut), verdict
        if case.row.second_runs == "none":
            assert (verdict.lost, verdict.second_runs) == ((), 0), verdict
        return
    assert verdict.lost == (), verdict
    if case.row.second_runs == "none":
        assert verdict.second_runs == 0, verdict
    elif case.row.second_runs == "cut":
        assert verdict.second_runs, verdict
        assert verdict.unexplained_second_runs == 0, verdict
    elif case.row.second_runs == "shown":
        assert verdict.unexplained_second_runs, verdict
        assert row.notes["redeliveryInWarnings"], row.notes
    if case.row.must_note:
        assert row.notes[case.row.must_note], row.notes
    if case.row.redelivered_within:
        assert verdict.redelivered_after_seconds is not None, verdict
        assert verdict.redelivered_after_seconds <= case.row.redelivered_within[case.broker], verdict


def _result(case: Case, row: Bench, verdict: Verdict, restarts: int | None, seconds: float) -> results.Result:
    after = verdict.redelivered_after_seconds
    return results.Result(
        row=case.row.name,
        title=case.row.title,
        broker=case.broker,
        deployment=case.kind,
        size=case.size_name,
        pool=case.size.fleet.pool,
        celery=results.celery_version(),
        sent=verdict.sent,
        lost=len(verdict.lost),
        left_in_broker=row.broker.remaining(),
        failed=len(verdict.failed),
        cut=len(verdict.cut),
        second_runs=verdict.second_runs,
        unexplained_second_runs=verdict.unexplained_second_runs,
        revoked_and_run=len(verdict.revoked_and_run),
        redelivered_after_seconds=None if after is None else round(after, 1),
        restarts=restarts,
        seconds=round(seconds, 1),
        notes=row.notes,
    )
