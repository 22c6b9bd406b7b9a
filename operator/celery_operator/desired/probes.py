"""Probes by HTTP from inside the process: they cost no process, and a broker outage fails none of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from celery_operator.api.probes import Probes, ProbeTiming

PORT_NAME: Final = "probes"
_TIMEOUT_SECONDS: Final = 5
"""An answer takes milliseconds, and 40 ms while a task holds the interpreter; the rest is for a throttled CPU."""

_LAST_SECONDS: Final = 60
"""Between SIGTERM and SIGKILL of a container whose probe failed: what hangs does not finish its tasks either, and would
hide them for the whole grace period."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Probe:
    """A probe with the timing that it has when the user says nothing."""

    path: str
    period: int
    failures: int


_STARTUP: Final = _Probe(path="/startupz", period=1, failures=600)
_LIVENESS: Final = _Probe(path="/livez", period=30, failures=4)
_READINESS: Final = _Probe(path="/readyz", period=5, failures=12)
"""Readiness gives up late (60 s): a ReplicaSet that shrinks deletes NotReady pods first, busy or not."""


def build(probes: Probes | None, grace_seconds: int) -> dict[str, Any]:
    """The container's probes; empty when they are disabled. A failed one shortens the pod's grace period, in seconds.

    Not that of readiness, which ends nothing: the API server refuses it there.
    """
    if probes is not None and probes.disabled:
        return {}
    asked = probes or Probes()
    ends = {"terminationGracePeriodSeconds": min(grace_seconds, _LAST_SECONDS)}
    return {
        "startupProbe": _manifest(_STARTUP, asked.startup) | ends,
        "livenessProbe": _manifest(_LIVENESS, asked.liveness) | ends,
        "readinessProbe": _manifest(_READINESS, asked.readiness),
    }


def startup_seconds(probes: Probes | None) -> int:
    """Seconds after which a container that does not start is given up; 0 when nothing asks it."""
    if probes is not None and probes.disabled:
        return 0
    timing = (probes.startup if probes is not None else None) or ProbeTiming()
    period = timing.period_seconds or _STARTUP.period
    return (timing.initial_delay_seconds or 0) + period * (timing.failure_threshold or _STARTUP.failures)


def _manifest(probe: _Probe, timing: ProbeTiming | None) -> dict[str, Any]:
    asked = timing or ProbeTiming()
    out: dict[str, Any] = {
        "httpGet": {"path": probe.path, "port": PORT_NAME},
        "periodSeconds": asked.period_seconds or probe.period,
        "timeoutSeconds": asked.timeout_seconds or _TIMEOUT_SECONDS,
        "failureThreshold": asked.failure_threshold or probe.failures,
    }
    if asked.initial_delay_seconds:
        out["initialDelaySeconds"] = asked.initial_delay_seconds
    return out
