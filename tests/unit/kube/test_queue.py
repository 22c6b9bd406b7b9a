"""The work queue's promises, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celery_operator.kube.errors import NotLeader, Unavailable
from celery_operator.kube.queue import KeyedQueue, RetryLater
from tests.unit.kube.virtual_time import run_virtually

Clock = Callable[[], float]
Script = Callable[[str, int], Awaitable[float | None]]
"""What the n-th run (from 1) of a key does."""


@dataclass
class Recorder:
    """A handler that follows a script and remembers when each key started and ended."""

    clock: Clock
    script: Script
    starts: list[tuple[str, float]] = field(default_factory=list)
    running: set[str] = field(default_factory=set)
    most_at_once: int = 0
    overlaps: list[str] = field(default_factory=list)
    errors: list[tuple[str, Exception, float]] = field(default_factory=list)

    async def handle(self, key: str) -> float | None:
        if key in self.running:
            self.overlaps.append(key)
        self.starts.append((key, round(self.clock(), 3)))
        self.running.add(key)
        self.most_at_once = max(self.most_at_once, len(self.running))
        try:
            return await self.script(key, len(self.times(key)))
        finally:
            self.running.discard(key)

    def times(self, key: str) -> list[float]:
        return [at for name, at in self.starts if name == key]


async def succeed(key: str, run: int) -> float | None:
    return None


def taking(seconds: float) -> Script:
    async def script(key: str, run: int) -> float | None:
        await asyncio.sleep(seconds)
        return None

    return script


def failing(times: int, error: Callable[[], Exception] = lambda: RuntimeError("no")) -> Script:
    async def script(key: str, run: int) -> float | None:
        if run <= times:
            raise error()
        return None

    return script


def make_queue(clock: Clock, script: Script, *, workers: int = 8) -> tuple[KeyedQueue[str], Recorder]:
    """Build a queue without jitter: random() = 0.5 is its middle."""
    recorder = Recorder(clock=clock, script=script)
    queue: KeyedQueue[str] = KeyedQueue(
        recorder.handle,
        workers=workers,
        clock=clock,
        random=lambda: 0.5,
        on_error=lambda key, error, delay: recorder.errors.append((key, error, delay)),
    )
    return queue, recorder


def test_events_within_the_debounce_time_are_one_run() -> None:
    async def scenario(clock: Clock) -> list[float]:
        queue, recorder = make_queue(clock, succeed)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.run())
            for _ in range(10):
                queue.add("a")
                await asyncio.sleep(0.015)
            await asyncio.sleep(5)
            await queue.stop()
        return recorder.times("a")

    assert run_virtually(scenario) == [0.2]


def test_an_immediate_add_does_not_wait() -> None:
    async def scenario(clock: Clock) -> list[float]:
        queue, recorder = make_queue(clock, succeed)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.run())
            queue.add("a")
            queue.add("a", immediate=True)
            await asyncio.sleep(1)
            await queue.stop()
        return recorder.times("a")

    assert run_virtually(scenario) == [0.0]


def test_an_event_during_a_run_causes_one_more_run_after_it() -> None:
    async def scenario(clock: Clock) -> list[float]:
        queue, recorder = make_queue(clock, taking(3))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.run())
            queue.add("a", immediate=True)
            await asyncio.sleep(1)
            queue.add("a")
            queue.add("a", immediate=True)
            await asyncio.sleep(10)
            await queue.stop()
        assert recorder.overlaps == []
        return recorder.times("a")

    assert run_virtually(scenario) == [0.0, 3.0]


def test_an_event_during_a_run_is_not_put_off_by_the_runs_own_requeue_time() -> None:
    async def script(key: str, run: int) -> float | None:
        await asyncio.sleep(1)
        return 600

    async def scenario(clock: Clock) -> list[float]:
        queue, recorder = make_queue(clock, script)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.run())
            queue.add("a", immediate=True)
            await asyncio.sleep(0.9)
            queue.add("a")
            await asyncio.sleep(100)
            await queue.stop()
        return recorder.times("a")

    assert run_virtually(scenario) == [0.0, 1.1]


def test_a_superseded_time_does_not_start_a_key_that_is_running() -> None:
    async def scenario(clock: Clock) -> list[float]:
        queue, recorder = make_queue(clock, taking(20))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.run())
            queue.add_after("a", 8)
            queue.add_after("a", 4)
            await asyncio.sleep(5)
            queue.add_after("a", 1)
            await asyncio.sleep(60)
            await queue.stop()
        assert recorder.overlaps == []
        return recorder.times("a")

    assert run_virtually(scenario) == [4.0, 24.0]


def test_failures_back_off_by_doubling_up_to_five_minutes() -> None:
    async def scenario(clock: Clock) -> list[float]:
        queue, recorder = make_queue(clock, failing(12))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.run())
            queue.add("a", immediate=True)
            await asyncio.sleep(5000)
            await queue.stop()
        assert len(recorder.times("a")) == 13
        return [round(delay, 3) for _, _, delay in recorder.errors]

    assert run_virtually(scenario) == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


@pytest.mark.parametrize(("random", "expected"), [(0.0, 0.8), (1.0, 1.2)])
def test_back_off_varies_by_a_fifth(random: float, expected: float) -> None:
    async def scenario(clock: Clock) -> float:
        recorder = Recorder(clock=clock, script=failing(1))
        queue = KeyedQueue(recorder.handle, clock=clock, random=lambda: random)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.run())
            queue.add("a", immediate=True)
            await asyncio.sleep(10)
            await queue.stop()
        return recorder.times("a")[1]

    assert run_virtually(scenario) == pytest.approx(expected)


def test_a_new_event_cuts_the_back_off_short_but_keeps_the_failure_count() -> None:
    async def scenario(clock: Clock) -> tuple[list[float], list[float]]:
        queue, recorder = make_queue(clock, failing(100))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.run())
            queue.add("a", immediate=True)
            await asyncio.sleep(8)  # ran at 0, 1, 3, 7; the next would be at 15
            queue.add("a")
            await asyncio.sleep(1)
            await queue.stop()
        return recorder.times("a"), [delay for _, _, delay in recorder.errors]

    times, delays = run_virtually(scenario)
    assert times == [0.0, 1.0, 3.0, 7.0, 8.2]
    assert delays == [1, 2, 4, 8, 16]


def test_a_success_clears_the_failures() -> None:
    async def scenario(clock: Clock) -> int:
        queue, _ = make_queue(clock, failing(3))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.run())
            queue.add("a", immediate=True)
            await asyncio.sleep(5)
            assert queue.failures("a") == 3
            await asyncio.sleep(5)
            await queue.stop()
        return queue.failures("a")

    assert run_virtually(scenario) == 0


def test_a_wait_is_no_failure() -> None:
    async def script(key: str, run: int) -> float | None:
        if run <= 3:
            raise RetryLater(5)
        return None

    async def scenario(clock: Clock) -> list[float]:
        queue, recorder = make_queue(clock, script)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.run())
            queue.add("a", immediate=True)
            await asyncio.sleep(60)
            await queue.stop()
        assert queue.failures("a") == 0
        return recorder.times("a")

    assert run_virtually(scenario) == [0.0, 5.0, 10.0, 15.0]


def test_lost_leadership_is_no_failure_of_the_key() -> None:
    async def scenario(clock: Clock) -> int:
        queue, recorder = make_queue(clock, failing(1, NotLeader))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.run())
            queue.add("a", immediate=True)
            await asyncio.sleep(0.5)
            failures = queue.failures("a")
            await asyncio.sleep(1)
            await queue.stop()
        assert recorder.times("a") == [0.0, 1.0]
        return failures

    assert run_virtually(scenario) == 0


def test_the_servers_retry_after_is_kept() -> None:
    async def scenario(clock: Clock) -> list[float]:
        queue, recorder = make_queue(clock, failing(1, lambda: Unavailable("busy", status=429, retry_after=7)))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.run())
            queue.add("a", immediate=True)
            await asyncio.sleep(60)
            await queue.stop()
        return recorder.times("a")

    assert run_virtually(scenario) == [0.0, 7.0]


def test_the_handlers_requeue_time_and_add_after_keep_the_earliest() -> None:
    async def script(key: str, run: int) -> float | None:
        return 10 if run == 1 else None

    async def scenario(clock: Clock) -> list[float]:
        queue, recorder = make_queue(clock, script)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.run())
            queue.add("a", immediate=True)
            await asyncio.sleep(1)
            queue.add_after("a", 60)
            queue.add_after("a", 4)
            queue.add_after("a", 30)
            await asyncio.sleep(100)
            await queue.stop()
        return recorder.times("a")

    assert run_virtually(scenario) == [0.0, 5.0]


def test_one_slow_key_delays_no_other() -> None:
    async def script(key: str, run: int) -> float | None:
        await asyncio.sleep(1000 if key == "slow" else 0)
        return None

    async def scenario(clock: Clock) -> list[float]:
        queue, recorder = make_queue(clock, script, workers=2)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.run())
            queue.add("slow", immediate=True)
            await asyncio.sleep(1)
            queue.add("a", immediate=True)
            await asyncio.sleep(1)
            assert queue.oldest_run_seconds() == pytest.approx(2.0)
            await queue.stop()
        return recorder.times("a")

    assert run_virtually(scenario) == [1.0]


def test_a_paused_queue_keeps_its_keys_and_runs_them_on_resume() -> None:
    async def scenario(clock: Clock) -> list[float]:
        queue, recorder = make_queue(clock, succeed)
        queue.pause()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.run())
            queue.add("a")
            await asyncio.sleep(50)
            assert recorder.starts == []
            assert queue.depth() == 1
            queue.resume()
            await asyncio.sleep(1)
            await queue.stop()
        return recorder.times("a")

    assert run_virtually(scenario) == [50.0]


def test_a_forgotten_key_does_not_come_back() -> None:
    async def scenario(clock: Clock) -> list[float]:
        queue, recorder = make_queue(clock, failing(100))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.run())
            queue.add("a", immediate=True)
            await asyncio.sleep(0.5)
            queue.forget("a")
            await asyncio.sleep(100)
            await queue.stop()
        return recorder.times("a")

    assert run_virtually(scenario) == [0.0]


def test_a_key_forgotten_during_its_run_comes_back_only_for_a_new_event() -> None:
    async def script(key: str, run: int) -> float | None:
        await asyncio.sleep(2)
        return 5

    async def scenario(clock: Clock) -> tuple[list[float], list[float]]:
        queue, recorder = make_queue(clock, script)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.run())
            queue.add("gone", immediate=True)
            queue.add("reborn", immediate=True)
            await asyncio.sleep(1)
            queue.forget("gone")
            queue.forget("reborn")
            queue.add("reborn")
            await asyncio.sleep(2)
            await queue.stop()
        return recorder.times("gone"), recorder.times("reborn")

    assert run_virtually(scenario) == ([0.0], [0.0, 2.0])


def test_stop_lets_short_runs_end_and_cancels_long_ones_within_three_seconds() -> None:
    ended: list[str] = []

    async def script(key: str, run: int) -> float | None:
        try:
            await asyncio.sleep(1 if key == "short" else 60)
        except asyncio.CancelledError:
            ended.append(f"{key} cancelled")
            raise
        ended.append(f"{key} finished")
        return None

    async def scenario(clock: Clock) -> float:
        queue, _ = make_queue(clock, script)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.run())
            queue.add("short", immediate=True)
            queue.add("long", immediate=True)
            await asyncio.sleep(0.1)
            queue.add("never", immediate=False)
            stopping_at = clock()
            await queue.stop()
        return clock() - stopping_at

    assert run_virtually(scenario) == pytest.approx(2.0, abs=0.6)
    assert ended == ["short finished", "long cancelled"]


def test_a_run_whose_own_task_was_cancelled_is_tried_again() -> None:
    async def script(key: str, run: int) -> float | None:
        if run == 1:
            inner = asyncio.create_task(asyncio.sleep(60))
            inner.cancel()
            await inner
        return None

    async def scenario(clock: Clock) -> list[float]:
        queue, recorder = make_queue(clock, script)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.run())
            queue.add("a", immediate=True)
            await asyncio.sleep(10)
            await queue.stop()
        return recorder.times("a")

    assert run_virtually(scenario) == [0.0, 1.0]


def test_an_error_that_cannot_be_reported_ends_the_queue() -> None:
    def on_error(key: str, error: Exception, delay: float) -> None:
        raise LookupError("the reporter is broken")

    async def scenario(clock: Clock) -> None:
        recorder = Recorder(clock=clock, script=failing(1))
        queue = KeyedQueue(recorder.handle, clock=clock, on_error=on_error)
        queue.add("a", immediate=True)
        with pytest.raises(LookupError, match="reporter is broken"):
            await queue.run()

    run_virtually(scenario)


def test_cancelling_run_cancels_the_runs_in_progress() -> None:
    ended: list[str] = []

    async def script(key: str, run: int) -> float | None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(key)
        return None

    async def scenario(clock: Clock) -> None:
        queue, _ = make_queue(clock, script)
        running = asyncio.create_task(queue.run())
        queue.add("a", immediate=True)
        await asyncio.sleep(1)
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()

    run_virtually(scenario)
    assert ended == ["a"]


def test_the_observer_sees_adds_waits_and_results() -> None:
    seen: list[tuple[str, object]] = []

    class Observer:
        def added(self) -> None:
            seen.append(("added", None))

        def started(self, waited: float) -> None:
            seen.append(("started", round(waited, 3)))

        def finished(self, result: str, ran: float) -> None:
            seen.append((result, round(ran, 3)))

        def retried(self) -> None:
            seen.append(("retried", None))

    async def script(key: str, run: int) -> float | None:
        await asyncio.sleep(2)
        if run == 1:
            raise RuntimeError("no")
        return None

    async def scenario(clock: Clock) -> None:
        recorder = Recorder(clock=clock, script=script)
        queue = KeyedQueue(recorder.handle, clock=clock, random=lambda: 0.5, observer=Observer())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.run())
            queue.add("a", immediate=True)
            await asyncio.sleep(10)
            await queue.stop()

    run_virtually(scenario)
    assert seen == [
        ("added", None),
        ("started", 0.0),
        ("retried", None),
        ("error", 2.0),
        ("started", 0.0),
        ("success", 2.0),
    ]


# --- invariants ------------------------------------------------------------------------------------------------

KEYS = ("a", "b", "c")
ACTIONS = st.tuples(
    st.sampled_from(("add", "add_now", "add_after", "pause", "resume")),
    st.sampled_from(KEYS),
    st.floats(0, 4),  # the delay of add_after
    st.floats(0, 1.5),  # the time until the next action
)
OUTCOMES = st.tuples(st.sampled_from(("done", "error", "later", "requeue")), st.floats(0, 2))


@settings(max_examples=300, deadline=None)
@given(
    actions=st.lists(ACTIONS, min_size=1, max_size=40),
    outcomes=st.lists(OUTCOMES, max_size=30),
    workers=st.integers(1, 3),
)
def test_no_key_runs_twice_at_once_and_none_is_lost(
    actions: list[tuple[str, str, float, float]], outcomes: list[tuple[str, float]], workers: int
) -> None:
    remaining = iter(outcomes)

    async def script(key: str, run: int) -> float | None:
        outcome, seconds = next(remaining, ("done", 0.1))
        await asyncio.sleep(seconds)
        if outcome == "error":
            raise RuntimeError("no")
        if outcome == "later":
            raise RetryLater(seconds)
        return seconds if outcome == "requeue" else None

    async def scenario(clock: Clock) -> None:
        queue, recorder = make_queue(clock, script, workers=workers)
        asked: dict[str, float] = {}
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.run())
            for action, key, delay, gap in actions:
                if action.startswith("add"):
                    asked[key] = round(clock(), 3)
                if action == "add":
                    queue.add(key)
                elif action == "add_now":
                    queue.add(key, immediate=True)
                elif action == "add_after":
                    queue.add_after(key, delay)
                elif action == "pause":
                    queue.pause()
                else:
                    queue.resume()
                await asyncio.sleep(gap)
            queue.resume()
            await asyncio.sleep(3600)
            assert queue.depth() == 0
            await queue.stop()
        assert recorder.overlaps == []
        assert recorder.most_at_once <= workers
        for key, at in asked.items():
            assert recorder.times(key), f"{key} never ran"
            assert recorder.times(key)[-1] >= at, f"{key} did not run after it was asked for"

    run_virtually(scenario)
