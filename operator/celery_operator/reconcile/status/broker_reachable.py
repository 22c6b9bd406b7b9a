"""BrokerReachable: the broker answers the operator. Workers may reach a broker that the operator cannot."""

from __future__ import annotations

from typing import Final, Literal

from celery_operator.reconcile.status.view import StatusView, Verdict

STATUS: Final[dict[bool | None, Literal["True", "False", "Unknown"]]] = {True: "True", False: "False", None: "Unknown"}


def evaluate(view: StatusView) -> Verdict:
    """What the last ping said."""
    broker = view.broker
    return Verdict(
        status=STATUS[broker.reachable],
        reason=broker.reason,
        message=broker.message,
        warning=broker.reachable is False,
    )
