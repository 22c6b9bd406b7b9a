"""What a kubelet does at the end of a pod, by a clock that stands still while this machine does.

A test that counted the grace period by the wall would kill a worker which had no chance to run in it.
"""

from __future__ import annotations

import time

from tests.integration.runtime.pods import Pod

TURN_SECONDS = 0.02
LONGEST_TURN_SECONDS = 0.2
"""Seconds that one turn counts for at the most: whoever waits was not woken for longer, nor was the pod, perhaps."""


def wait_for_end(pod: Pod, *, within: float) -> float:
    """Wait until the pod has ended, or ``within`` seconds have passed; the seconds that were counted."""
    counted = 0.0
    while pod.running and counted < within:
        before = time.monotonic()
        time.sleep(TURN_SECONDS)
        counted += min(time.monotonic() - before, LONGEST_TURN_SECONDS)
    return counted
