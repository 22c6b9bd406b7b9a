"""BrokerReachable: the broker answers the operator. Workers may reach a broker that the operator cannot."""

from __future__ import annotations

from celery_operator.reconcile.status.view import StatusView, Verdict


def evaluate(view: StatusView) -> Verdict:
    """What the last ping said."""
    broker = view.broker
    status = {True: "True", False: "False", None: "Unknown"}[broker.reachable]
    return Verdict(
        status="True" if status == "True" else "False" if status == "False" else "Unknown",
        reason=broker.reason,
        message=broker.message,
        warning=broker.reachable is False,
    )
