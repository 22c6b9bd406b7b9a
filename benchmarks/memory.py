"""Memory of the operator's processes while they serve the settled CeleryClusters."""

from __future__ import annotations

from benchmarks.bench import Bench, say
from benchmarks.figure import Figure
from tests.e2e.release import TAKE_OVER_SECONDS
from tests.e2e.until import until

TARGET_MEBIBYTES = 100.0
METRIC = "process_resident_memory_bytes"


def measure(bench: Bench) -> Figure:
    """Resident memory of the leader, from its own metrics; the standby's is shown beside it."""
    release = bench.release
    leader = until(release.leader, within=TAKE_OVER_SECONDS)
    assert leader is not None
    mebibytes = {
        pod["metadata"]["name"]: release.metric(pod["metadata"]["name"], METRIC) / 2**20 for pod in release.pods()
    }
    leading = mebibytes.pop(leader)
    standing_by = ", ".join(f"{value:.1f} MiB" for value in mebibytes.values()) or "none"
    say(f"memory: leader {leading:.1f} MiB, standby {standing_by}")
    return Figure(
        name=f"resident memory with {bench.size.clusters} clusters",
        measured=f"leader {leading:.1f} MiB, standby {standing_by}",
        target=f"leader ≤ {TARGET_MEBIBYTES:g} MiB",
        passed=leading <= TARGET_MEBIBYTES,
    )
