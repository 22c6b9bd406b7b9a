"""How the work queue ends: when it is told to, when it is cancelled, and when nobody would hear of errors."""

from __future__ import annotations

import asyncio

import pytest

from celery_operator.kube.queue import KeyedQueue
from tests.unit.kube.queues import Clock, Recorder, failing, make_queue
from tests.unit.kube.virtual_time import run_virtually


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
