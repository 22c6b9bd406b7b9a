"""The deadline starts at SIGTERM, only ever becomes shorter, and listens to the operator alone."""

from __future__ import annotations

import pytest

from celery_operator.runtime.deadline import Deadline


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The first element is the time."""
    now = [1000.0]
    monkeypatch.setattr("celery_operator.runtime.deadline.time.monotonic", lambda: now[0])
    return now


def test_it_runs_from_sigterm_on(clock: list[float]) -> None:
    deadline = Deadline(30.0, "uid")
    clock[0] += 500.0
    assert deadline.left() is None
    deadline.start()
    clock[0] += 10.0
    assert deadline.left() == 20.0
    clock[0] += 60.0
    assert deadline.left() == 0.0


def test_it_only_becomes_shorter(clock: list[float]) -> None:
    deadline = Deadline(30.0, "uid")
    deadline.start()
    deadline.shorten(5.0)
    deadline.shorten(100.0)
    assert deadline.left() == 5.0


def test_what_was_told_before_sigterm_is_remembered(clock: list[float]) -> None:
    deadline = Deadline(300.0, "uid")
    deadline.shorten(20.0)
    clock[0] += 5.0
    deadline.start()
    assert deadline.left() == 15.0


def test_what_is_told_while_sigterm_is_handled_is_not_lost(clock: list[float]) -> None:
    """The signal's handler interrupts the main thread anywhere, and the operator's request has its own thread."""

    class Told(Deadline):
        def __setattr__(self, name: str, value: object) -> None:
            if name == "_end" and value is not None:
                self.shorten(5.0)
            super().__setattr__(name, value)

    deadline = Told(30.0, "uid")
    deadline.start()
    assert deadline.left() == 5.0


@pytest.mark.parametrize(
    ("token", "header", "body", "code"),
    [
        ("uid", "Bearer uid", b'{"seconds": 4.2}', 204),
        ("uid", "Bearer uid", b'{"seconds": 0}', 204),
        ("uid", "Bearer wrong", b'{"seconds": 4}', 403),
        ("uid", "", b'{"seconds": 4}', 403),
        ("", "Bearer ", b'{"seconds": 4}', 403),
        ("uid", "Bearer \u00fc", b'{"seconds": 4}', 403),
        *(
            ("uid", "Bearer uid", body, 400)
            for body in (b"", b"[]", b"4", b"{}", b'{"seconds": "4"}', b'{"seconds": true}', b'{"seconds": -1}',
                         b'{"seconds": NaN}', b'{"seconds": Infinity}', b"\xff")
        ),
    ],
)  # fmt: skip
def test_the_command(token: str, header: str, body: bytes, code: int) -> None:
    deadline = Deadline(300.0, token)
    deadline.start()
    assert deadline.command({"authorization": header}, body)[0] == code
    assert ((deadline.left() or 0.0) < 10.0) is (code == 204)
