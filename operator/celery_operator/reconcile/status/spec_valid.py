"""SpecValid: nothing in the spec keeps it from being applied."""

from __future__ import annotations

from celery_operator.reconcile.status.view import StatusView, Verdict


def evaluate(view: StatusView) -> Verdict:
    """False with every problem at once; a missing Secret is no fault of the spec."""
    if view.blocked is not None and view.blocked.reason == "InvalidSpec":
        return Verdict(status="False", reason="InvalidSpec", message="; ".join(view.blocked.problems), warning=True)
    return Verdict(status="True", reason="Valid", message="the spec is valid")
