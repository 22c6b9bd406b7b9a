"""Worker groups whose times, pools and numbers go together."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from celery_operator.api import rollout, workers
from tests.strategies.autoscaling import autoscalings
from tests.strategies.extras import lifecycles, persistences, volumes_and_mounts
from tests.strategies.model import Json, Objects, of, without
from tests.strategies.overrides import VOLUMES, overrides
from tests.strategies.pod import log_levels, resources, templates
from tests.strategies.probes import adjusted
from tests.strategies.queues import queue_names
from tests.strategies.rollout import budgets, strategies
from tests.strategies.scalars import names, spelled
from tests.strategies.scheduling import spreads

_TIMES: Final = ("maxTaskDuration", "timeLimit", "softTimeLimit", "shutdown")
_NUMBERS: Final = ("replicas", "autoscaling", "externalScaling")
_LIMITED: Final = ("maxTasksPerChild", "maxMemoryPerChild", "softTimeLimit", "processAutoscale")
"""What the prefork pool alone honours."""
_TEN_HOURS: Final = 36_000
_arguments = st.lists(
    st.sampled_from(["--heartbeat-interval=5", "--own-option", "--without-heartbeat", "$(A)"]), max_size=2
)
_pools = st.sampled_from(["prefork", "threads", "gevent", "eventlet", "solo", "custom"])
_concurrency = st.integers(1, 100000) | st.just("auto")
_process_autoscale = st.tuples(st.integers(1, 50000), st.integers(0, 50000)).map(
    lambda drawn: {"min": drawn[0], "max": drawn[0] + drawn[1]}
)


def _fields(*, may_be_root: bool) -> dict[str, st.SearchStrategy[Any]]:
    return {
        **overrides(may_be_root=may_be_root),
        "queues": st.lists(queue_names, min_size=1, max_size=3, unique=True),
        "concurrency": _concurrency,
        "processAutoscale": _process_autoscale,
        "pool": _pools,
        "prefetchMultiplier": st.integers(0, 100000),
        "optimization": st.sampled_from(["default", "fair"]),
        "maxTasksPerChild": st.integers(1, 2**31),
        "maxMemoryPerChild": st.sampled_from(["8Mi", "32Mi", 2**25]),
        "strategy": strategies,
        "disruptionBudget": budgets,
        "probes": adjusted(may_be_disabled=True),
        "mingle": st.sampled_from(["Auto", "Enabled", "Disabled"]),
        "taskEvents": st.booleans(),
        "logLevel": log_levels,
        "extraArgs": _arguments,
        "resources": resources(),
        "topologySpreadConstraints": spreads,
        "lifecycle": lifecycles,
        "persistence": persistences,
        "podTemplate": templates("worker"),
    }


@st.composite
def _times(draw: st.DrawFn, spec: Json, longest: int | None) -> Json:
    """Limits and a way to end that go together, below the cluster's longest task in seconds."""
    out: Json = {}
    bound = longest
    if draw(st.booleans()):
        bound = draw(st.integers(1, longest or _TEN_HOURS))
        out["maxTaskDuration"] = draw(spelled(bound * 1000))
    most = bound or _TEN_HOURS
    limit = draw(st.none() | st.integers(1, most))
    if limit is not None:
        out["timeLimit"] = draw(spelled(limit * 1000))
    soft_most = most * 1000 if limit is None else limit * 1000
    soft = draw(st.none() | st.integers(1, soft_most - 1))
    if soft is not None:
        out["softTimeLimit"] = draw(spelled(soft))
    task = bound if bound is not None else limit
    may_be_short = spec.get("taskDelivery") == "AtLeastOnce" or task is None
    grace = (
        st.integers(0 if may_be_short else task or 0, 2 * _TEN_HOURS).filter(bool).flatmap(lambda n: spelled(n * 1000))
    )
    shape = draw(of(rollout.Shutdown, {}, {"gracePeriod": grace, "mode": st.sampled_from(["Drain", "Requeue"])}))
    if shape:
        out["shutdown"] = shape
    return out


def _agree(group: Json) -> Json:
    """Only what the pool honours."""
    pool = group.get("pool", "prefork")
    if pool not in ("prefork", "custom"):
        group = without(group, *_LIMITED)
    if pool not in ("prefork", "gevent", "custom"):
        group = without(group, "timeLimit")
    if "processAutoscale" in group:
        group = without(group, "concurrency")
    if pool == "solo" and "concurrency" in group:
        group = {**group, "concurrency": 1}
    if pool != "prefork" and group.get("shutdown", {}).get("mode") == "Requeue":
        group = without(group, "shutdown")
    if "autoscaling" in group and group.get("probes", {}).get("disabled"):
        group = without(group, "probes")
    return group


@st.composite
def worker_groups(draw: st.DrawFn, spec: Json, longest: int | None, *, may_be_root: bool) -> Json:
    """A group of a cluster whose other fields are in `spec` and whose longest task takes `longest` seconds."""
    base = draw(
        of(
            workers.WorkerGroup,
            {"name": names(63)},
            _fields(may_be_root=may_be_root),
            elsewhere=(*_TIMES, *_NUMBERS, *VOLUMES),
            most=5,
        )
    )
    numbers: Objects = (
        st.just({})
        | st.fixed_dictionaries({"replicas": st.integers(0, 100000)})
        | st.fixed_dictionaries({"autoscaling": autoscalings()})
        | st.just({"externalScaling": {}})
    )
    return _agree({**base, **draw(numbers), **draw(_times(spec, longest)), **draw(volumes_and_mounts())})
