"""Runs every benchmark: `python -m benchmarks` writes docs/benchmarks.md, `--quick` only shows that all of it works."""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks import apply_latency, edit_latency, idle_writes, memory, no_change_pass, report, settled
from benchmarks.bench import FULL, QUICK, Bench, say
from benchmarks.figure import Figure
from tests.cluster import provider, tool
from tests.e2e.api import served
from tests.e2e.release import Release
from tests.e2e.space import Space

COMMAND = "make bench"


def _active(bench: Bench) -> list[Figure]:
    return [apply_latency.measure(bench), edit_latency.measure(bench), no_change_pass.measure(bench)]


def _idle(bench: Bench) -> list[Figure]:
    """What needs a quiet cluster: after the others, whose objects are gone."""
    settled.create(bench)
    figures = [idle_writes.measure(bench), memory.measure(bench)]
    settled.remove(bench)
    return figures


PARTS: Final[dict[str, Callable[[Bench], list[Figure]]]] = {"active": _active, "idle": _idle}
"""By name, in the order in which they run."""


def main() -> int:
    """0 when every figure keeps its promise, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run of a minute or two; writes no file")
    parser.add_argument("--installed", action="store_true", help="measure the release as it is installed already")
    parser.add_argument("--only", choices=list(PARTS), help="measure a part, and show it; writes no file")
    words = parser.parse_args()
    started = time.monotonic()
    cluster = provider()
    cluster.up()
    with served(tool("kubectl"), cluster.kubeconfig()) as api:
        release = Release(api, cluster.kubeconfig())
        found = release.is_installed
        if not words.installed:
            release.install()
        space = Space(api, cluster.kubeconfig(), f"bench-{uuid.uuid4().hex[:8]}")
        space.create("restricted")
        size = QUICK if words.quick else FULL
        try:
            figures = measure(
                Bench(release=release, space=space, audit_log=cluster.audit_log, size=size),
                parts=list(PARTS) if words.only is None else [words.only],
            )
        finally:
            space.remove()
            if not found:
                release.uninstall()
    page = report.render(figures, command=COMMAND, cluster=cluster.name, minutes=(time.monotonic() - started) / 60)
    print(page)
    if not words.quick and words.only is None:
        report.save(page)
        say(f"written to {report.PATH.relative_to(report.PATH.parents[1])}")
    return 0 if all(figure.passed for figure in figures) else 1


def measure(bench: Bench, parts: Sequence[str]) -> list[Figure]:
    """The figures of these parts."""
    return [figure for part in parts for figure in PARTS[part](bench)]


if __name__ == "__main__":
    sys.exit(main())
