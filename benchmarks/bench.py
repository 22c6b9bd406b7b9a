"""What every benchmark works with: the cluster, the operator installed by Helm, and how long to measure."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from celery_operator.kube.objects import Manifest
from tests.e2e.release import Release
from tests.e2e.space import Space
from tests.e2e.until import until

FINE = 0.005
"""Seconds between two looks at an object: the resolution of the latencies."""
PENDING = {"spec": {"nodeSelector": {"no-such": "node"}}}
"""A pod template whose pods are never started, so that a latency is the operator's and the API server's alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    latencies: int
    """Applies, and edits."""
    clusters: int
    """Settled CeleryClusters of the idle figures."""
    idle_seconds: float
    passes: int
    """Passes of which nothing comes."""


FULL = Size(latencies=30, clusters=20, idle_seconds=300.0, passes=200)
QUICK = Size(latencies=3, clusters=2, idle_seconds=10.0, passes=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One run of the benchmarks."""

    release: Release
    space: Space
    audit_log: Path | None
    size: Size


def say(text: str) -> None:
    """Progress, on standard error: standard output is the report's."""
    print(f"[bench] {text}", file=sys.stderr, flush=True)


def look_until(read: Callable[[], Manifest | None], holds: Callable[[Manifest], object], *, within: float) -> Manifest:
    """Wait for an object in a state, looking as often as the figures need it."""
    found = until(read, lambda value: value is not None and holds(value), within=within, every=FINE)
    assert found is not None
    return found
