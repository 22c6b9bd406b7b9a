"""The judge itself: from a ledger's events to lost, cut and run again; no cluster is needed."""

from __future__ import annotations

from tests.e2e.delivery.ledger import Event
from tests.e2e.delivery.load import Load, requests
from tests.e2e.delivery.verdict import judge


def _start(task_id: str, execution: str, at: float = 0.0) -> Event:
    return Event(kind="start", task_id=task_id, execution=execution, at=at)


def _end(task_id: str, execution: str, state: str = "SUCCESS") -> Event:
    return Event(kind="end", task_id=task_id, execution=execution, state=state, at=9.0)


def test_a_task_that_ran_once_is_neither_lost_nor_a_second_run() -> None:
    verdict = judge(["a"], [_start("a", "1"), _end("a", "1")])
    assert (verdict.sent, verdict.lost, verdict.cut, verdict.second_runs) == (1, (), (), 0)


def test_an_accepted_task_without_a_successful_end_is_lost() -> None:
    verdict = judge(
        ["never", "cut", "failed"], [_start("cut", "1"), _start("failed", "2"), _end("failed", "2", "FAILURE")]
    )
    assert verdict.lost == ("cut", "failed", "never")
    assert verdict.failed == ("failed",)


def test_a_task_that_another_task_sent_is_lost_as_well() -> None:
    assert judge([], [Event(kind="sent", task_id="confirm", at=0.0)]).lost == ("confirm",)


def test_the_second_run_of_a_cut_task_is_explained() -> None:
    verdict = judge(["a"], [_start("a", "1"), _start("a", "2", at=7.5), _end("a", "2")], since=5.0)
    assert (verdict.lost, verdict.cut, verdict.second_runs, verdict.unexplained_second_runs) == ((), ("a",), 1, 0)
    assert verdict.redelivered_after_seconds == 2.5


def test_an_execution_that_a_signal_ended_was_cut() -> None:
    events = [_start("a", "1"), _end("a", "1", "UNKNOWN"), _start("a", "2"), _end("a", "2")]
    verdict = judge(["a"], events)
    assert (verdict.lost, verdict.failed, verdict.cut, verdict.unexplained_second_runs) == ((), (), ("a",), 0)


def test_work_done_twice_is_not_explained() -> None:
    verdict = judge(["a"], [_start("a", "1"), _start("a", "2"), _end("a", "1"), _end("a", "2")])
    assert (verdict.second_runs, verdict.unexplained_second_runs) == (1, 1)


def test_a_revoked_task_must_not_start() -> None:
    verdict = judge(["kept", "revoked"], [_start("kept", "1"), _end("kept", "1")], revoked=["revoked"])
    assert (verdict.sent, verdict.lost, verdict.revoked_and_run) == (1, (), ())
    ran = judge(["revoked"], [_start("revoked", "1"), _end("revoked", "1")], revoked=["revoked"])
    assert ran.revoked_and_run == ("revoked",)


def test_a_load_is_the_same_for_the_same_seed_and_stays_within_its_bounds() -> None:
    load = Load(short=5, long=5, eta=5, chains=2, chords=2, prioritised=3, orders=2, over_seconds=10)
    planned = requests(load)
    assert planned == requests(load)
    assert planned != requests(Load(short=5, long=5, eta=5, chains=2, chords=2, prioritised=3, orders=2, seed=6))
    assert len(planned) == 24
    assert all(0 <= request.at_seconds <= 10 for request in planned)
    seconds = [request.body["kwargs"]["latency_seconds"] for request in planned if request.kind == "long"]
    assert all(5 <= one <= 20 for one in seconds)
