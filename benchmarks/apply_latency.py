"""A CeleryCluster applied → its Deployments exist."""

from __future__ import annotations

import time

from benchmarks.bench import PENDING, Bench, look_until, say
from benchmarks.figure import Figure, durations
from celery_operator.kube.objects import DEPLOYMENT
from celery_operator.observe.kinds import CELERY_CLUSTER
from tests.e2e import manifests

TARGET_SECONDS = 1.5


def measure(bench: Bench) -> Figure:
    """Apply quick starts (a managed Redis, a worker group, beat) one after the other; each is deleted when measured."""
    space = bench.space
    seconds = []
    for number in range(bench.size.latencies):
        name = f"apply-{number}"
        ref = space.ref(DEPLOYMENT, f"{name}-worker-default")
        started = time.monotonic()
        space.apply(manifests.cluster(name, beat={}, podTemplate=PENDING))
        look_until(lambda ref=ref: space.api.get(ref), bool, within=120)  # type: ignore[misc]
        seconds.append(time.monotonic() - started)
        space.delete(CELERY_CLUSTER, name)
    found = durations(seconds)
    say(f"apply: {found.in_words()}")
    return Figure(
        name=f"CeleryCluster applied → its Deployment exists ({len(seconds)} applies)",
        measured=found.in_words(),
        target=f"p95 ≤ {TARGET_SECONDS:g} s",
        passed=found.p95 <= TARGET_SECONDS,
    )
