"""When the work queue starts a key's run, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from celery_operator.kube.queue import KeyedQueue
from tests.unit.kube.queues import Clock, Recorder, failing, make_queue, succeed, taking
from tests.unit.kube.virtual_time import run_virtually


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
