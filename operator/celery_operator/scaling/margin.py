"""What is kept beyond the need, so that a load that is constant on average does not turn at the boundary of a pod.

Where such a load just fills the pods, one task more or less at one look is a pod up at once, and a window later a pod
down. So the last pods are given back only when the rest would do for somewhat more than was seen.
"""

from __future__ import annotations

import math
from typing import Final

from celery_operator.scaling import demand
from celery_operator.scaling.model import Demand, Load, Lows, Worker

_PART_OF_ROOT: Final = 0.75
"""The margin is at most this part of the root of the slots.

Slots in use vary by about the root of their number when tasks come at random, and by less when they come regularly.
The most of a window is already above the mean; of what is seen later little exceeds it by more than this
(tests/unit/scaling/test_calm.py).
"""


def wanted(found: Demand, load: Load, lows: Lows, now: float, window: float) -> int:
    """Workers to which the group may go down when this load is the largest of a window; at least those wanted.

    The margin is what the slots rose by within the window, up to a limit: tasks that just go on have none. Neither
    have loads that pause, which are not constant: one worker is enough for a task at a time.
    """
    low = next((slots for at, slots in lows if now - at <= window), found.slots)
    if not 0 < low < found.slots:
        return found.want
    margin = min(found.slots - low, _PART_OF_ROOT * math.sqrt(found.slots))
    return max(found.want, demand.workers(found.slots + margin, load.slots_per_worker))


def used(load: Load, window: float) -> int:
    """Most workers that a margin may keep: not those that are drained already or have been idle for the window."""
    return load.replicas - sum(worker.drained or _is_unused(worker, load, window) for worker in load.workers)


def _is_unused(worker: Worker, load: Load, window: float) -> bool:
    """Where the broker hides ETAs, who holds such tasks counts as busy: they would come back as if they were due."""
    return worker.idle and worker.idle_seconds >= window and not (load.hides_eta and worker.eta)
