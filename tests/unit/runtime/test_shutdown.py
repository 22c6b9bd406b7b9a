"""When the watchdog acts, and what becomes of each request."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from threading import Lock
from types import SimpleNamespace
from typing import Any

import pytest

from celery_operator.runtime import guard, shutdown, task_requests
from celery_operator.runtime.deadline import Deadline
from celery_operator.runtime.environment import Settings
from celery_operator.runtime.shutdown import LAST_SECONDS, Shutdown, margin
from celery_operator.runtime.versions import Installed


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


ANOTHER = SimpleNamespace(_write_to=None, correlation_id="another")
"""A job of another request, which waits in the pool for a child."""


@pytest.mark.parametrize("billiard_pool", [None, SimpleNamespace(), SimpleNamespace(outbound_buffer=deque([ANOTHER]))])
@pytest.mark.parametrize("apply_result", [None, lambda: None, lambda: SimpleNamespace(_write_to=None)])
def test_only_a_request_whose_job_waits_in_a_prefork_pool_is_unwritten(billiard_pool: Any, apply_result: Any) -> None:
    """Not one that has no job, whose job is gone, or whose job is elsewhere: these may have been run."""
    pool = SimpleNamespace(_pool=billiard_pool)
    assert task_requests.unwritten(pool, [request(_apply_result=apply_result)]) == []


def test_of_two_equal_requests_the_one_that_a_child_has_does_not_go_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """An application's Request may compare by task id, and a message may come twice."""
    back: list[Any] = []
    monkeypatch.setattr(shutdown, "put_back", back.append)
    one = watchdog()
    monkeypatch.setattr(one._main, "run", lambda function, **_: function())
    dropped, written = (request(id="twice", time_start=None, _apply_result=SimpleNamespace) for _ in range(2))
    assert dropped == written
    one._dropped.append(dropped)
    one._unstarted.extend([written, dropped])
    one._put_back_unstarted()
    assert len(back) == 1
    assert back[0] is dropped
    assert not one._unstarted


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


def test_a_message_that_cannot_go_back_is_still_the_tasks() -> None:
    """Its task may end in time, and must be able to acknowledge then."""

    def refuse() -> None:
        raise ConnectionError

    one = request(message=SimpleNamespace(channel=SimpleNamespace(), requeue=refuse))
    with pytest.raises(ConnectionError):
        task_requests.put_back(one)
    assert not one.acknowledged


class Changing:
    """A set that other threads change while it is looked at, ``times`` times."""

    def __init__(self, times: int) -> None:
        self._times = times

    def __iter__(self) -> Iterator[int]:
        self._times -= 1
        yield 1
        if self._times >= 0:
            raise RuntimeError("Set changed size during iteration")


def test_a_set_that_changes_is_looked_at_again() -> None:
    assert task_requests.snapshot(Changing(9)) == [1]
    with pytest.raises(RuntimeError):
        task_requests.snapshot(Changing(10))


class Callback:
    """What Celery queues: a promise of a bound method."""

    def __init__(self, name: str, called: list[str], error: Exception | None = None) -> None:
        def fun() -> None:
            called.append(name)
            if error is not None:
                raise error

        fun.__name__ = name
        self.fun = fun

    def __call__(self) -> None:
        self.fun()


@pytest.fixture
def no_failures() -> Iterator[None]:
    """The guard's list as it was."""
    before = dict(guard.failed)
    yield
    guard.failed.clear()
    guard.failed.update(before)


@pytest.mark.usefixtures("no_failures")
def test_every_answer_is_sent_and_nothing_else() -> None:
    called: list[str] = []
    answers = [Callback(name, called, ConnectionError()) for name in ("ack_log_error", "reject_log_error")]
    other = Callback("_flush_events", called)
    hub = SimpleNamespace(_ready={*answers, other}, _ready_lock=Lock())
    consumer = SimpleNamespace(hub=hub)
    assert task_requests.unsent(consumer)
    task_requests.send_answers(consumer)
    assert sorted(called) == ["ack_log_error", "reject_log_error"]
    assert hub._ready == {other}
    assert not task_requests.unsent(consumer)


def test_a_lock_that_the_interrupted_thread_holds_is_not_waited_for() -> None:
    called: list[str] = []
    hub = SimpleNamespace(_ready={Callback("ack_log_error", called)}, _ready_lock=Lock())
    with hub._ready_lock:
        task_requests.send_answers(SimpleNamespace(hub=hub))
    assert called == []
    assert len(hub._ready) == 1


def watchdog() -> Shutdown:
    """As for a worker with the prefork pool."""
    settings = Settings(cluster="shop", component="worker", pool="prefork", grace_period_seconds=30.0)
    return Shutdown(settings, Installed(celery="5.7.0"), Deadline(30.0, "uid"))


@pytest.mark.usefixtures("no_failures")
def test_the_watchdog_starts_whatever_else_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []

    def fail(_: Any) -> None:
        raise RuntimeError("Set changed size during iteration")

    monkeypatch.setattr(shutdown, "start_new_thread", lambda function, _: started.append(function))
    monkeypatch.setattr(task_requests, "unstarted", fail)
    one = watchdog()
    one._begin()
    assert started == [one._watch]


@pytest.mark.usefixtures("no_failures")
def test_a_worker_that_ends_by_itself_closes_although_no_thread_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []

    def fail(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(shutdown, "start_new_thread", fail)
    monkeypatch.setattr(task_requests, "unstarted", lambda _: [])
    one = watchdog()
    blueprint = SimpleNamespace(on_close=lambda: closed.append("consumer"))
    one._worker = SimpleNamespace(consumer=SimpleNamespace(blueprint=blueprint))
    one._note_again_at_the_close()
    blueprint.on_close()
    assert closed == ["consumer"]


@pytest.mark.usefixtures("no_failures")
def test_sigterm_sets_the_deadline_of_a_worker_that_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    acted: list[str] = []
    monkeypatch.setattr(shutdown, "start_new_thread", lambda function, _: started.append(function))
    monkeypatch.setattr(shutdown, "margin", lambda _: 60.0)
    one = watchdog()
    monkeypatch.setattr(one, "_cut", lambda: acted.append("cut"))
    one._worker = SimpleNamespace(consumer=SimpleNamespace(blueprint=SimpleNamespace(on_close=lambda: None)))
    one._note_again_at_the_close()
    one._worker.consumer.blueprint.on_close()
    one._round()
    assert (len(started), acted) == (1, [])
    one._begin()
    one._round()
    assert (len(started), acted) == (1, ["cut"])


@pytest.mark.usefixtures("no_failures")
def test_a_round_that_fails_does_not_end_the_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[float] = []

    class Enough(Exception):
        """Ends the test."""

    def rest(seconds: float) -> None:
        rounds.append(seconds)
        if len(rounds) == 3:
            raise Enough

    def fail(_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(shutdown, "sleep", rest)
    monkeypatch.setattr(Deadline, "left", fail)
    with pytest.raises(Enough):
        watchdog()._watch()
    assert len(rounds) == 3


@pytest.mark.parametrize(("alive", "left"), [(True, 300.0), (False, 60.0)])
def test_after_a_failed_probe_there_is_a_minute(alive: bool, left: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutdown, "start_new_thread", lambda *_: None)
    monkeypatch.setattr("celery_operator.runtime.deadline.time.monotonic", lambda: 1000.0)
    deadline = Deadline(300.0, "uid")
    Shutdown(Settings(cluster="shop", component="worker"), Installed(celery="5.7.0"), deadline, lambda: alive)._begin()
    assert deadline.left() == left
