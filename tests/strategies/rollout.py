"""How pods end, are replaced and evicted."""

from __future__ import annotations

from hypothesis import strategies as st

from celery_operator.api import rollout
from tests.strategies.model import Json, Objects, of, without
from tests.strategies.scalars import counts_or_percents, durations

_budget = of(
    rollout.DisruptionBudget,
    {},
    {
        "maxUnavailable": counts_or_percents | st.just(0),
        "minAvailable": counts_or_percents,
        "doNotDisrupt": st.booleans(),
    },
    elsewhere=("disabled",),
)


def _one_side(budget: Json) -> Json:
    return without(budget, "minAvailable") if "maxUnavailable" in budget else budget


budgets: Objects = _budget.map(_one_side) | st.just({"disabled": True, "doNotDisrupt": True})
_strategy = of(
    rollout.Strategy,
    {},
    {
        "maxSurge": counts_or_percents,
        "maxUnavailable": counts_or_percents,
        "progressDeadline": durations(1000),
    },
)
strategies: Objects = _strategy | st.sampled_from(
    [{"maxSurge": 0, "maxUnavailable": 1}, {"maxSurge": "0%", "maxUnavailable": "34%"}, {"maxUnavailable": 0}]
)
