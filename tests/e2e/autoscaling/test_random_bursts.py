"""Half an hour of random bursts, on both brokers and with both deliveries side by side: every task is done, once."""

from __future__ import annotations

import contextlib
import os
import random
import time
from dataclasses import dataclass
from typing import Final

import pytest

from tests.e2e.autoscaling.group import LEAVE_SECONDS, fleet, replicas
from tests.e2e.autoscaling.tasks import assert_clean, submit
from tests.e2e.conftest import MakeSpace
from tests.e2e.delivery.bench import Bench, bench
from tests.e2e.delivery.load import Load
from tests.e2e.release import WORKER_IMAGE, Release
from tests.e2e.until import until

pytestmark = pytest.mark.verify

BURSTS_SECONDS: Final = float(os.environ.get("BURSTS_SECONDS", "1800"))
TASK_SECONDS: Final = (1.0, 60.0)
_BURST: Final = (1, 10)
_PAUSE_SECONDS: Final = (5.0, 60.0)
"""Often longer than the window, so that groups shrink between bursts, and often while something runs."""
_SEED: Final = 6


@dataclass(slots=True, kw_only=True)
class _Case:
    name: str
    row: Bench
    next_burst: float
    sent: int = 0
    replicas: int = 0
    scale_ins: int = 0

    def burst(self, chance: random.Random) -> None:
        """Mostly short tasks, and some that are still running when the others are long done."""
        for _ in range(chance.randint(*_BURST)):
            low, high = TASK_SECONDS
            submit(self.row, "burst", [{}], seconds=round(low * (high / low) ** chance.random(), 2))
            self.sent += 1
        self.next_burst = time.monotonic() + chance.uniform(*_PAUSE_SECONDS)

    def look(self) -> None:
        """Count how often the group shrinks."""
        now = replicas(self.row.space)
        self.scale_ins += now < self.replicas
        self.replicas = now


@pytest.mark.timeout(BURSTS_SECONDS + 900)  # four benches are made before, and four tails are waited for afterwards
def test_random_bursts(release: Release, make_space: MakeSpace) -> None:
    chance = random.Random(_SEED)
    with contextlib.ExitStack() as stack:
        cases = [
            _Case(
                name=f"{broker}-{delivery}",
                row=stack.enter_context(
                    bench(make_space(), broker, delivery, fleet(least=0, most=4), WORKER_IMAGE),
                ),
                next_burst=0.0,
            )
            for broker in ("redis", "rabbitmq")
            for delivery in ("AtMostOnce", "AtLeastOnce")
        ]
        end = time.monotonic() + BURSTS_SECONDS
        while (now := time.monotonic()) < end:
            for case in cases:
                case.look()
                if case.next_burst <= now:
                    case.burst(chance)
            time.sleep(0.5)
        for case in cases:
            _ends_well(case)


def _ends_well(case: _Case) -> None:
    row = case.row
    row.wait_over(Load(short=1, short_seconds=TASK_SECONDS), within=300, silence=90)
    until(lambda: replicas(row.space), lambda found: found == 0, within=LEAVE_SECONDS)
    print(f"{case.name}: {case.sent} tasks, {case.scale_ins} scale-ins under load")  # for the published figures
    assert case.scale_ins >= BURSTS_SECONDS / 180, f"{case.name}: it hardly ever shrank"
    assert_clean(row.verdict(), case.sent)
