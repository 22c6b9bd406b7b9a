"""Probes, adjusted or switched off."""

from __future__ import annotations

from hypothesis import strategies as st

from celery_operator.api import probes
from tests.strategies.model import Objects, of

_seconds = st.integers(1, 86400)
_timing = of(
    probes.ProbeTiming,
    {},
    {
        "periodSeconds": _seconds,
        "timeoutSeconds": _seconds,
        "failureThreshold": st.integers(1, 100000),
        "initialDelaySeconds": st.integers(0, 86400),
    },
)


def adjusted(*, may_be_disabled: bool) -> Objects:
    """Probes of a component; what scales by its load must not be without."""
    timed = of(
        probes.Probes,
        {},
        {"port": st.integers(1024, 65535), "liveness": _timing, "readiness": _timing, "startup": _timing},
        elsewhere=("disabled",),
    )
    return timed | st.just({"disabled": True}) if may_be_disabled else timed
