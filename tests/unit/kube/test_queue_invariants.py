"""What holds for the work queue in any order of events."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from celery_operator.kube.queue import RetryLater
from tests.unit.kube.queues import Clock, make_queue
from tests.unit.kube.virtual_time import run_virtually

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
