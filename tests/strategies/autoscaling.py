"""Autoscaling of worker groups."""

from __future__ import annotations

from hypothesis import strategies as st

from celery_operator.api import autoscaling
from tests.strategies.model import Json, of
from tests.strategies.scalars import durations

_up = of(autoscaling.ScaleUp, {}, {"maxPods": st.integers(1, 100000)})
_down = of(autoscaling.ScaleDown, {}, {"stabilizationWindow": durations()})
_LIMITS = ("minReplicas", "maxReplicas")
_TARGETS = ("targetQueueLength", "targetLatency", "expectedTaskDuration")


@st.composite
def autoscalings(draw: st.DrawFn) -> Json:
    """Limits, one target and how fast."""
    least, most = sorted(draw(st.tuples(st.integers(0, 50), st.integers(1, 50))))
    rest = draw(
        of(
            autoscaling.Autoscaling,
            {},
            {
                "headroomPercent": st.integers(0, 90),
                "scaleUp": _up,
                "scaleDown": _down,
                "dryRun": st.booleans(),
                "fallback": of(autoscaling.Fallback, {"replicas": st.integers(least, most)}, {"after": durations()}),
            },
            elsewhere=(*_LIMITS, *_TARGETS),
        )
    )
    target: Json = {"targetQueueLength": draw(st.integers(1, 1000000))}
    if draw(st.booleans()):
        target = {"targetLatency": draw(durations()), "expectedTaskDuration": draw(durations())}
    return {"minReplicas": least, "maxReplicas": most, **target, **rest}
