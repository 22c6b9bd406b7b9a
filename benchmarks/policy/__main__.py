"""The table of policies: `python -m benchmarks.policy` prints it; the same numbers on every machine, in seconds."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from benchmarks.policy.fleet import Fleet, Outcome, Scaler, Setting
from benchmarks.policy.keda import Keda
from benchmarks.policy.ours import Ours
from benchmarks.policy.scenarios import SCENARIOS, Scenario
from celery_operator.scaling.model import Policy

SETTING = Setting()
LATENCY = Policy(min_replicas=0, max_replicas=SETTING.max_replicas, target_latency=60.0, headroom=0.1, window=120.0)
SCALERS: dict[str, Callable[[], Scaler]] = {
    "KEDA, list length, defaults": lambda: Keda(total=False, per_pod=SETTING.slots),
    "KEDA, list + running, defaults": lambda: Keda(total=True, per_pod=SETTING.slots),
    "KEDA, list + running, tuned": lambda: Keda(
        total=True, per_pod=SETTING.slots, poll=5, cooldown=60, window=60, step=100
    ),
    "celery-operator": lambda: Ours(LATENCY, startup=SETTING.startup),
    "the same, draining idle pods alone": lambda: Ours(LATENCY, startup=SETTING.startup, idle_only=True),
}


HEAD = f"""<!-- Written by `make generate` from benchmarks/policy. Do not edit. -->
# What a scaling policy costs

A discrete-event simulation, `python -m benchmarks.policy`:

- pods have {SETTING.slots} slots, start in {SETTING.startup:g} s, end within a grace period of {SETTING.grace:g} s;
  there are at most {SETTING.max_replicas} of them;
- what workers and brokers tell is true at once;
- celery-operator is the real decision of `operator/celery_operator/scaling`, aiming at {LATENCY.target_latency:g} s of
  waiting, with {LATENCY.headroom:.0%} headroom and a window of {LATENCY.window:g} s; the last column is
  what it would be if it never drained a pod that still runs something
  ([ADR 10](adr/0010-a-busy-worker-may-be-drained.md));
- brokers give tasks by turns to the pods with a free slot;
- KEDA is modelled from its documentation and the HPA's, with the newest pods as victims.

Each cell: 95th percentile of the wait / tasks killed / changes of direction / pod-hours.

"""
FOOT = """
Reading it: for short tasks a well-tuned scaler that also counts running tasks is as quick and as cheap. What only a
scaler that knows which pods are idle can do is the zero in the second figure, for tasks of any length. Where the number
of pods follows a random load closely, it turns more often; a longer window or more headroom buys calm with pod-hours.
"""


def simulate(scenario: Scenario, scaler: Scaler) -> Outcome:
    """One run from an empty, idle cluster."""
    return Fleet(SETTING).run(scenario.arrivals(), scaler, until=scenario.until)


def cell(outcome: Outcome) -> str:
    """p95 of the wait, tasks killed, changes of direction, pod-hours."""
    waits = sorted(outcome.waits)
    p95 = waits[int(len(waits) * 0.95) - 1] if waits else 0.0
    return f"{p95:.0f} s / {outcome.killed} / {flips(outcome)} / {outcome.pod_hours:.1f}"


def flips(outcome: Outcome) -> int:
    """How often the number of replicas turned from rising to falling or back."""
    steps = [later > earlier for (_, earlier), (_, later) in itertools.pairwise(outcome.replicas)]
    return sum(one != other for one, other in itertools.pairwise(steps))


def table() -> str:
    """The whole table as Markdown."""
    lines = ["| load | " + " | ".join(SCALERS) + " |", "|---|" + "---|" * len(SCALERS)]
    for scenario in SCENARIOS:
        cells = [cell(simulate(scenario, make())) for make in SCALERS.values()]
        lines.append(f"| {scenario.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """docs/autoscaling-policy.md."""
    return HEAD + table() + FOOT


if __name__ == "__main__":
    print(table(), end="")
