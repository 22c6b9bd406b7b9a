"""The lease is one decision for two threads, and listens to the operator alone."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import sentinel

import pytest

from celery_operator.runtime.drain import Drain, Lease


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The first element is the time."""
    now = [1000.0]
    monkeypatch.setattr("celery_operator.runtime.drain.monotonic", lambda: now[0])
    return now


class State:
    """What Drain asks of the worker's state."""

    boot_id = "boot"

    def __init__(self) -> None:
        self.busy = {"active": 0, "reserved": 0}

    def counts(self) -> dict[str, Any]:
        """Of a worker that has as much to do as the test says."""
        return dict(self.busy)


def test_it_runs_out(clock: list[float]) -> None:
    lease = Lease()
    assert not lease.holds()
    lease.renew(30.0)
    clock[0] += 29.0
    assert lease.holds()
    assert lease.read() == (True, False, 1.0)
    clock[0] += 1.0
    assert not lease.holds()
    assert lease.read() == (False, False, 0.0)


def test_a_renewal_counts_from_now_and_may_be_shorter(clock: list[float]) -> None:
    lease = Lease()
    lease.renew(30.0)
    lease.renew(5.0)
    assert lease.read()[2] == 5.0
    clock[0] += 4.0
    lease.renew(30.0)
    assert lease.read()[2] == 30.0


def test_zero_ends_it(clock: list[float]) -> None:
    lease = Lease()
    lease.renew(30.0)
    lease.settle(True)
    lease.renew(0.0)
    assert lease.read() == (False, False, 0.0)
    assert not lease.holds()


def test_a_renewal_in_time_keeps_it_drained(clock: list[float]) -> None:
    lease = Lease()
    lease.renew(30.0)
    lease.settle(True)
    clock[0] += 29.0
    assert lease.holds()
    lease.renew(30.0)
    assert lease.read() == (True, True, 30.0)


def test_a_renewal_after_the_worker_was_told_to_consume_is_not_drained(clock: list[float]) -> None:
    """The loop has its answer and is about to consume: what comes in that moment must not say "drained"."""
    lease = Lease()
    lease.renew(30.0)
    lease.settle(True)
    clock[0] += 30.0
    assert not lease.holds()
    lease.renew(30.0)
    assert lease.read() == (True, False, 30.0)


def test_what_is_found_after_its_end_is_void(clock: list[float]) -> None:
    lease = Lease()
    lease.renew(30.0)
    clock[0] += 31.0
    lease.settle(True)
    lease.renew(30.0)
    assert lease.read() == (True, False, 30.0)


def body(**changes: Any) -> bytes:
    """A good body, but for the changes."""
    wish = {"bootId": "boot", "seconds": 30.0, **changes}
    return json.dumps({key: value for key, value in wish.items() if value is not sentinel.absent}).encode()


@pytest.mark.parametrize(
    ("token", "header", "given", "code"),
    [
        ("uid", "Bearer uid", body(), 200),
        ("uid", "Bearer uid", body(seconds=0), 200),
        ("uid", "Bearer wrong", body(), 403),
        ("uid", "", body(), 403),
        ("", "Bearer ", body(), 403),
        ("uid", "Bearer uid", body(bootId="other"), 409),
        ("uid", "Bearer wrong", body(bootId="other"), 403),
        *(
            ("uid", "Bearer uid", given, 400)
            for given in (b"", b"[]", b"4", b"{}", b"\xff", body(bootId=sentinel.absent), body(bootId=4),
                          body(seconds=sentinel.absent), body(seconds="4"), body(seconds=True), body(seconds=-1),
                          body(seconds=float("nan")), body(seconds=float("inf")), body(bootId="other", seconds=-1))
        ),
    ],
)  # fmt: skip
def test_the_command(token: str, header: str, given: bytes, code: int, clock: list[float]) -> None:
    drain = Drain(token, State())  # type: ignore[arg-type]
    answered, said = drain.command({"authorization": header}, given)
    assert answered == code
    if code == 409:
        assert said == {"bootId": "boot"}
    seconds = drain.shown()["seconds"]
    assert seconds == (30.0 if code == 200 and b"30" in given else 0.0)


@pytest.mark.parametrize(("active", "reserved", "drained"), [(0, 0, True), (1, 0, False), (0, 1, False)])
def test_a_worker_with_work_is_never_drained(active: int, reserved: int, drained: bool, clock: list[float]) -> None:
    """Whatever the loop has found: these counts are of this moment."""
    state = State()
    drain = Drain("uid", state)  # type: ignore[arg-type]
    drain._lease.renew(30.0)
    drain._lease.settle(True)
    state.busy = {"active": active, "reserved": reserved}
    assert drain.shown() == {"draining": True, "drained": drained, "seconds": 30.0}
