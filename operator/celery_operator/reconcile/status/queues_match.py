"""QueuesMatch: RabbitMQ's queues and exchanges are as spec.queues declares them, as far as they exist."""

from __future__ import annotations

from typing import Final

from celery_operator.desired import queues
from celery_operator.reconcile import queue_agreement
from celery_operator.reconcile.status.view import StatusView, Verdict

NAME: Final = "QueuesMatch"


def evaluate(view: StatusView) -> Verdict:
    """What the comparison before the last rollout said; while one is under way, the former answer with that reason."""
    if not queues.comparable(view.cluster.spec):
        return Verdict(status="True", reason="NothingToCompare", message="no queue is declared on a RabbitMQ")
    found, former = view.queues, view.former_queues
    if found is None:
        waits = view.queue_wait is not None
        # The former answer may be that somebody was about to ask, for a change that was taken back meanwhile.
        if former is None or waits or former.reason == queue_agreement.COMPARING:
            reason = queue_agreement.COMPARING if waits else "NotYetCompared"
            text = "spec.queues are compared with the broker's before pods are replaced"
            return Verdict(status="Unknown" if former is None else former.status, reason=reason, message=text)
        return former
    if found.differences:
        return Verdict(
            status="False", reason=queue_agreement.DIFFER, message=queue_agreement.message(found), warning=True
        )
    if found.unknown:
        message = f"not compared with the broker's, and nothing waits for it: {'; '.join(found.unknown)}"
        return Verdict(status="Unknown", reason="NotCompared", message=message)
    return Verdict(status="True", reason="Equal", message="what exists in the broker is as spec.queues declares it")
