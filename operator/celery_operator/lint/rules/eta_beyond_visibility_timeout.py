"""eta-beyond-visibility-timeout: tasks that wait for their time longer than Redis waits for an answer."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.lint import broker, neighbour
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    if inputs.broker_kind != broker.REDIS:
        return
    held = [inputs.group(group.name).furthest_eta for group in inputs.cluster.spec.workers]
    waiting = None if inputs.broker is None else inputs.broker.nearest_eta
    furthest = max((each for each in (*held, waiting) if each is not None), default=None)
    reported = [
        timeout for group in inputs.cluster.spec.workers for timeout in inputs.group(group.name).visibility_timeouts
    ]
    timeout = min(reported, default=neighbour.visibility_timeout(inputs.cluster))
    if timeout is not None and furthest is not None and furthest > timeout:
        yield (
            f"tasks wait for a time that is further away than the visibility timeout of {timeout:g} s: Redis delivers "
            "them again and again until they are due, each time to one worker more, and they may run several times; "
            "raise visibility_timeout in spec.broker.transportOptions above the longest ETA or countdown, or let beat "
            "send such tasks when they are due"
        )


RULE = Rule(
    id="eta-beyond-visibility-timeout",
    severity="warning",
    rests_on_facts=True,
    title="Tasks have an ETA beyond the visibility timeout",
    why="A worker takes a task with an ETA or a countdown at once, and holds it until it is due. On Redis its message "
    "comes back after the visibility timeout as if the worker had died, another worker takes it as well, and when the "
    "time has come both run it. The operator sees such tasks in the queues that the spec names, and hears of "
    "those that workers hold.",
    wrong="broker:\n  url: redis://redis:6379/0     # and task.apply_async(countdown=86400)",
    right="broker:\n  url: redis://redis:6379/0\n  transportOptions: {visibility_timeout: 90000}",
    messages=_messages,
)
