"""Where the main thread may be interrupted, and that what has not begun in time never runs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from celery_operator.runtime.main_thread import MainThread


@pytest.fixture
def main() -> Iterator[MainThread]:
    """Installed; its signal is nobody's again afterwards."""
    one = MainThread("prefork")
    one.install()
    yield one
    assert one._number is not None
    signal.signal(one._number, signal.SIG_DFL)


def inside(*modules: str) -> Any:
    """A function that calls its argument through one frame of each module, the innermost last."""

    def call(function: Any) -> Any:
        return function()

    for module in reversed(modules):
        namespace: dict[str, Any] = {"__name__": module, "inner": call}
        exec("def outer(function):\n    return inner(function)", namespace)
        call = namespace["outer"]
    return call


def run_to_its_end(thread: threading.Thread) -> None:
    """Started here, so that the signal finds the main thread where it waits."""
    thread.start()
    thread.join()


def asked(main: MainThread, *modules: str, timeout: float = 1.0) -> tuple[bool | None, list[str]]:
    """What ``run`` says to another thread while the main thread waits inside ``modules``, and what has run."""
    ran: list[str] = []
    said: list[bool] = []

    def ask() -> None:
        said.append(main.run(lambda: ran.append("ran"), timeout=timeout, patience=0.3))

    thread = threading.Thread(target=ask)
    inside(*modules)(lambda: run_to_its_end(thread))
    return said[0], ran


@pytest.mark.parametrize(
    ("modules", "runs"),
    [
        (("celery.worker",), True),
        (("kombu.transport.redis", "redis.connection"), True),
        (("kombu.transport.pyamqp", "amqp.transport"), False),
        (("amqp.connection", "redis.connection"), False),
        (("amqp.connection", "celery.app.trace", "tasks", "redis.connection"), True),
        (("redis.connection", "celery.app.trace", "tasks", "amqp.transport"), True),
    ],
)
def test_the_worker_is_not_interrupted_where_amqp_writes(
    main: MainThread, modules: tuple[str, ...], runs: bool
) -> None:
    timeout = 60.0 if runs else 1.0
    assert asked(main, *modules, timeout=timeout) == (runs, ["ran"] if runs else [])


def test_redis_has_its_time_before_it_is_interrupted(main: MainThread) -> None:
    ran: list[str] = []
    thread = threading.Thread(target=lambda: main.run(lambda: ran.append("ran"), timeout=0.3, patience=3600.0))
    inside("redis.connection")(lambda: run_to_its_end(thread))
    assert ran == []


def test_what_did_not_begin_in_time_never_runs(main: MainThread) -> None:
    assert asked(main, "amqp.transport") == (False, [])
    assert main._number is not None
    signal.raise_signal(main._number)
    assert not main._waiting
