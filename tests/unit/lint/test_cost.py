"""The linter is part of every pass: hundreds of CeleryClusters are looked at all the time."""

from __future__ import annotations

import time

from celery_operator.api.cluster import CeleryCluster
from celery_operator.lint.linter import Linter
from tests.unit.desired.clusters import BIG, manifest

UNCHANGED_MILLISECONDS = 0.3
"""The aim, some 1 us measured: of a pass without any change, which may take 5 ms."""
CHANGED_MILLISECONDS = 5.0
"""Some 0.15 ms on an idle machine; this is what a busy one may need."""


def test_a_pass_without_change_costs_next_to_nothing() -> None:
    linter = Linter()
    cluster = CeleryCluster.model_validate(manifest(BIG))
    linter.findings(cluster, None, None)
    assert min(_milliseconds(linter, cluster) for _ in range(50)) < UNCHANGED_MILLISECONDS


def test_a_change_is_looked_at_in_no_time() -> None:
    linter = Linter()
    changed = []
    for generation in range(20):
        stored = manifest(BIG)
        stored["metadata"]["generation"] = generation
        changed.append(CeleryCluster.model_validate(stored))
    assert min(_milliseconds(linter, cluster) for cluster in changed) < CHANGED_MILLISECONDS


def _milliseconds(linter: Linter, cluster: CeleryCluster) -> float:
    started = time.process_time()
    linter.findings(cluster, None, None)
    return (time.process_time() - started) * 1000
