"""BrokerReachable: the broker answers the operator. Workers may reach a broker that the operator cannot."""

from __future__ import annotations

from typing import Final, Literal

from celery_operator.observe.broker.reachability import UNKNOWN
from celery_operator.reconcile.status.view import StatusView, Verdict

NAME: Final = "BrokerReachable"
STATUS: Final[dict[bool | None, Literal["True", "False", "Unknown"]]] = {True: "True", False: "False", None: "Unknown"}


def evaluate(view: StatusView) -> Verdict:
    """What the last ping said; as long as there is none of this process, what was said of the same spec before."""
    broker, former = view.broker, view.former.get(NAME)
    if broker.reason == UNKNOWN.reason and former is not None and former.status != "Unknown":
        return former
    return Verdict(
        status=STATUS[broker.reachable],
        reason=broker.reason,
        message=broker.message,
        warning=broker.reachable is False,
    )
