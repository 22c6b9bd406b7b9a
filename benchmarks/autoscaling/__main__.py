"""Runs the autoscaling benchmarks: all of them and writes docs/benchmarks.md, or the named ones and only prints."""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from typing import Final

from benchmarks import report
from benchmarks.autoscaling import decision, group, makespan, spikes, thousand
from benchmarks.bench import FULL, Bench, say
from benchmarks.figure import Figure
from tests.cluster import provider, tool
from tests.e2e.api import served
from tests.e2e.release import Release
from tests.e2e.space import Space

COMMAND: Final = "make bench-autoscaling"
PARTS: Final = ("decide", "thousand", "spikes", "makespan")
_WITHOUT_CLUSTER: Final = {"decide", "thousand"}


def main() -> int:
    """0 when every figure keeps its promise, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.autoscaling", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}; all of them when absent")
    parser.add_argument("--quick", action="store_true", help="two spikes and one backlog; writes no file")
    parser.add_argument("--installed", action="store_true", help="measure the release as it is installed already")
    words = parser.parse_args()
    if unknown := set(words.parts).difference(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    parts = words.parts or list(PARTS)
    started = time.monotonic()
    figures = decision.measure() if "decide" in parts else []
    figures += thousand.measure() if "thousand" in parts else []
    name = "none"
    if not _WITHOUT_CLUSTER.issuperset(parts):
        name, found = _on_cluster(parts, quick=words.quick, installed=words.installed)
        figures += found
    minutes = (time.monotonic() - started) / 60
    page = report.render(figures, command=COMMAND, cluster=name, minutes=minutes, title="Benchmarks of autoscaling")
    print(page)
    if not words.parts and not words.quick:
        report.save(page)
        say(f"written to {report.PATH.relative_to(report.PATH.parents[1])}")
    return 0 if all(figure.passed for figure in figures) else 1


def _on_cluster(parts: list[str], *, quick: bool, installed: bool) -> tuple[str, list[Figure]]:
    """The cluster's name, and the figures that need one."""
    cluster = provider()
    cluster.up()
    with served(tool("kubectl"), cluster.kubeconfig()) as api:
        release = Release(api, cluster.kubeconfig())
        found = release.is_installed
        if not installed:
            release.install()
        space = Space(api, cluster.kubeconfig(), f"bench-{uuid.uuid4().hex[:8]}")
        space.create("restricted")
        bench = Bench(release=release, space=space, audit_log=cluster.audit_log, size=FULL)
        try:
            producer = group.create(bench)
            figures = spikes.measure(bench, 2 if quick else 20) if "spikes" in parts else []
            figures += makespan.measure(bench, 1 if quick else 3) if "makespan" in parts else []
            producer.close()
        finally:
            space.remove()
            if not found:
                release.uninstall()
    return cluster.name, figures


if __name__ == "__main__":
    sys.exit(main())
