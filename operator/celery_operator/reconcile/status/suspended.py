"""Suspended: the user asked for no workers and no beat, and none are left."""

from __future__ import annotations

from celery_operator.reconcile import suspension
from celery_operator.reconcile.status.view import StatusView, Verdict

REASON = "Suspended"
MESSAGE = "spec.suspend is set: workers and beat are at zero until it is removed"


def evaluate(view: StatusView) -> Verdict:
    """True when the last pod has ended, so that a script can wait for it before it touches the database."""
    if not view.cluster.spec.suspend:
        waits = "; what was suspended waits for spec.hooks.beforeRollout" if view.hook is not None else ""
        return Verdict(status="False", reason="NotSuspended", message=f"spec.suspend is not set{waits}")
    if not in_force(view):
        return Verdict(status="Unknown", reason="NotApplied", message="the spec is not applied; Ready says why")
    left = ending(view)
    if left:
        message = f"spec.suspend is set: {left} {'pod is' if left == 1 else 'pods are'} still finishing what runs there"
        return Verdict(status="False", reason="Suspending", message=message)
    return Verdict(status="True", reason=REASON, message=MESSAGE)


def in_force(view: StatusView) -> bool:
    """Whether nothing is to run: what the user asked for, unless the operator may not or cannot do it."""
    refused = view.blocked is not None and not view.blocked.partly
    return bool(view.cluster.spec.suspend) and not view.held and not refused


def ending(view: StatusView) -> int:
    """Pods of workers, beat and hook that have not ended. Evicted ones stay there for ever, and do nothing."""
    return sum(
        suspension.is_component(pod["metadata"].get("labels"))
        and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
        for pod in view.pods
    )
