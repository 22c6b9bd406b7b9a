"""Settled CeleryClusters cost the API server no write: counted from its audit log, by the operator's account."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import settled
from benchmarks.bench import Bench, say
from benchmarks.figure import Figure
from tests.e2e.release import USER

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
SHOWN = 20


def measure(bench: Bench) -> Figure:
    """Watch the audit log while nothing happens."""
    name = f"writes while {bench.size.clusters} settled clusters idle for {bench.size.idle_seconds:g} s"
    target = "0, the Lease's aside"
    log = bench.audit_log
    if log is None:
        return Figure(name=name, measured="not measured: no audit log in this cluster", target=target, passed=False)
    before, start = settled.statuses(bench), log.stat().st_size
    say(f"idling for {bench.size.idle_seconds:g} s ...")
    time.sleep(bench.size.idle_seconds)  # the measurement itself
    events = list(_writes(log, start))
    lease = [event for event in events if event["objectRef"]["resource"] == "leases"]
    others = [event for event in events if event["objectRef"]["resource"] != "leases"]
    say(f"idle: {len(others)} writes, and {len(lease)} to the Lease")
    return Figure(
        name=name,
        measured=f"{len(others)} (and {len(lease)} to the Lease)",
        target=target,
        # Without a single renewal the log was not that of the operator's API server.
        passed=not others and bool(lease),
        note=settled.DEFINITION,
        details=(
            *(_in_words(event) for event in others[:SHOWN]),
            *list(differences(before, settled.statuses(bench)))[:SHOWN],
        ),
    )


def _writes(log: Path, start: int) -> Iterator[dict[str, Any]]:
    """The operator's completed writes in the part of the log behind `start` (bytes)."""
    with log.open("rb") as lines:
        # From the first whole line on: one may have been half written when `start` was taken.
        lines.seek(max(0, start - 1))
        if start:
            lines.readline()
        for line in lines:
            if not line.endswith(b"\n"):
                return
            event: dict[str, Any] = json.loads(line)
            if (
                event["user"]["username"] == USER
                and event["verb"] in WRITES
                and event["stage"] == "ResponseComplete"
                and "objectRef" in event
            ):
                yield event


def differences(before: Any, after: Any, path: str = "status") -> Iterator[str]:
    """What became of the statuses, since the audit log has no bodies."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from differences(before.get(key), after.get(key), f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from differences(old, new, f"{path}[{index}]")
    elif before != after:
        yield f"{path}: {json.dumps(before)} became {json.dumps(after)}"


def _in_words(event: dict[str, Any]) -> str:
    ref = event["objectRef"]
    subresource = f"/{ref['subresource']}" if "subresource" in ref else ""
    where = f"{ref.get('namespace', '')}/{ref.get('name', '')}"
    return f"{event['requestReceivedTimestamp']} {event['verb']} {ref['resource']}{subresource} {where}"
