"""An edit of a CeleryCluster's spec → its child is patched."""

from __future__ import annotations

import time

from benchmarks.bench import PENDING, Bench, look_until, say
from benchmarks.figure import Figure, durations
from celery_operator.kube.objects import DEPLOYMENT, Manifest
from celery_operator.observe.kinds import CELERY_CLUSTER
from tests.e2e import manifests

TARGET_SECONDS = 1.0
NAME = "edited"


def measure(bench: Bench) -> Figure:
    """Change an environment variable again and again and wait for it in the Deployment's pod template."""
    space = bench.space
    space.apply(manifests.cluster(NAME, beat={}, podTemplate=PENDING))
    ref = space.ref(DEPLOYMENT, f"{NAME}-worker-default")
    look_until(lambda: space.api.get(ref), bool, within=120)
    space.wait_condition(NAME, "SpecValid", "True")
    seconds = []
    for number in range(bench.size.latencies):
        variable = {"name": "EDIT", "value": f"number-{number}"}

        def patched(found: Manifest, variable: dict[str, str] = variable) -> bool:
            return variable in found["spec"]["template"]["spec"]["containers"][0]["env"]

        started = time.monotonic()
        space.edit(NAME, env=[variable])
        look_until(lambda: space.api.get(ref), patched, within=120)
        seconds.append(time.monotonic() - started)
    space.delete(CELERY_CLUSTER, NAME)
    found = durations(seconds)
    say(f"edit: {found.in_words()}")
    return Figure(
        name=f"spec edited → its child is patched ({len(seconds)} edits)",
        measured=found.in_words(),
        target=f"p95 ≤ {TARGET_SECONDS:g} s",
        passed=found.p95 <= TARGET_SECONDS,
    )
