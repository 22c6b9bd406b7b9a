"""What the work queue does with a run that failed or wants to wait, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from celery_operator.kube.errors import NotLeader, Unavailable
from celery_operator.kube.queue import KeyedQueue, RetryLater
from tests.unit.kube.queues import Clock, Recorder, failing, make_queue
from tests.unit.kube.virtual_time import run_virtually


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
