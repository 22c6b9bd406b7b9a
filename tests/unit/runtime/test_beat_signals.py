"""A signal that comes while a tick is claimed and published is handled right after, and never lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from celery_operator.runtime import beat_signals
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
