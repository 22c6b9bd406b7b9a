"""A signal that comes while a tick is claimed and published is handled right after, and never lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from celery_operator.runtime import beat_scheduler, beat_signals
from celery_operator.runtime.beat_signals import HeldBack


@pytest.fixture(autouse=True)
def celery_s_handler() -> Iterator[None]:
    """Celery's: beat ends."""

    def end(*_: Any) -> None:
        raise SystemExit

    former = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)
    signal.alarm(0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_waits_for_the_publishing(number: int) -> None:
    done = []

    def publish() -> None:
        with HeldBack():
            os.kill(os.getpid(), number)
            done.append("published")

    with pytest.raises(SystemExit):
        publish()
    assert done == ["published"]
    assert signal.alarm(0) == 0, "the alarm of a broker that does not hang"


def test_the_end_of_an_inner_one_is_not_the_end() -> None:
    done = []

    def publish() -> None:
        held = HeldBack()
        with held:
            with held:
                os.kill(os.getpid(), signal.SIGTERM)
            done.append("advanced")

    with pytest.raises(SystemExit):
        publish()
    assert done == ["advanced"]


class Scheduler:
    """The part of celery.beat.Scheduler that sends: an entry is advanced before, and a signal comes right then."""

    sent = False

    def apply_entry(self, entry: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        self.apply_async(entry)

    def apply_async(self, entry: Any) -> None:
        del entry
        self.sent = True


def test_it_does_not_lose_a_tick_that_is_about_to_be_claimed() -> None:
    class Ours(beat_scheduler._Claiming, Scheduler):
        def __init__(self) -> None:
            self._operator_dispatch = cast("Any", SimpleNamespace(undisturbed=HeldBack()))
            self._operator_state = cast("Any", SimpleNamespace(dispatched=0))

        def apply_async(self, entry: Any) -> None:  # type: ignore[override]
            Scheduler.apply_async(self, entry)

    ours = Ours()
    with pytest.raises(SystemExit):
        ours.apply_entry("entry")
    assert ours.sent


def test_it_is_handled_before_a_wait() -> None:
    done = []

    def wait() -> None:
        with HeldBack() as held:
            with held.suspended():
                done.append("slept")
            done.append("asked again")
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("still away")
            with held.suspended():
                done.append("slept again")

    with pytest.raises(SystemExit):
        wait()
    assert done == ["slept", "asked again", "still away"]


def test_it_is_handled_at_once_while_nothing_can_be_lost() -> None:
    done = []

    def wait() -> None:
        with HeldBack() as held, held.suspended():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("slept")

    with pytest.raises(SystemExit):
        wait()
    assert done == []


def test_a_failed_publishing_does_not_lose_it() -> None:
    def fail() -> None:
        with HeldBack():
            os.kill(os.getpid(), signal.SIGTERM)
            raise ValueError

    with pytest.raises(SystemExit):
        fail()


def test_a_hanging_broker_does_not_hold_it_up_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beat_signals, "PATIENCE", 1)

    def hang() -> None:
        with HeldBack():
            os.kill(os.getpid(), signal.SIGTERM)
            while True:
                signal.pause()  # as the end of a read that never comes

    with pytest.raises(SystemExit):
        hang()


def test_without_a_signal_nothing_happens_and_handlers_come_back() -> None:
    former = signal.getsignal(signal.SIGTERM)
    held = HeldBack()
    for _ in range(2):
        with held:
            assert signal.getsignal(signal.SIGTERM) != former
        assert signal.getsignal(signal.SIGTERM) == former
