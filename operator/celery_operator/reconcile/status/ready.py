"""Ready: what was declared runs, all of it with the newest settings."""

from __future__ import annotations

from celery_operator.desired import connections, hook_job, managed_redis, names
from celery_operator.desired.metadata import COMPONENT_LABEL
from celery_operator.reconcile.hooks import Wait
from celery_operator.reconcile.status import beat_running, pod_trouble, single_pod, suspended, workers_available
from celery_operator.reconcile.status.view import StatusView, Verdict


def evaluate(view: StatusView) -> Verdict:
    """The summary of everything that matters; the first thing that is wrong gives the reason."""
    return (
        _not_applied(view) or _not_running(view) or Verdict(status="True", reason="Running", message="all is running")
    )


def _not_applied(view: StatusView) -> Verdict | None:
    if view.blocked is not None:
        problems = "; ".join(view.blocked.problems)
        return Verdict(status="False", reason=view.blocked.reason, message=problems, warning=True)
    if view.taken:
        message = "; ".join((*view.taken, *view.leaving))
        return Verdict(status="False", reason="ChildNameTaken", message=message, warning=True)
    if view.leaving:
        message = f"waiting for names to become free: {'; '.join(view.leaving)}"
        return Verdict(status="False", reason="ChildBeingDeleted", message=message)
    if view.held:
        message = "spec.paused is set, and changes of the spec wait until it is removed"
        return Verdict(status="False", reason="Paused", message=message)
    if view.failure is not None:
        return Verdict(status="False", reason="ApplyFailed", message=view.failure, warning=True)
    if view.cluster.spec.suspend:
        return Verdict(status="False", reason=suspended.REASON, message=suspended.evaluate(view).message)
    if view.queue_wait is not None:
        wait = view.queue_wait
        return Verdict(status="False", reason=wait.reason, message=wait.message, warning=wait.failed)
    return None if view.hook is None else _waits(view, view.hook)


def _waits(view: StatusView, hook: Wait) -> Verdict:
    """For what new pod templates wait, and what keeps it from getting anywhere."""
    of_hook = {COMPONENT_LABEL: hook_job.COMPONENT}.items()
    pods = (pod for pod in view.pods if of_hook <= (pod["metadata"].get("labels") or {}).items())
    trouble = None if hook.failed else pod_trouble.find(pods)
    message = hook.message if trouble is None else f"{hook.message}: {trouble.message}"
    return Verdict(status="False", reason=hook.reason, message=message, warning=hook.failed or trouble is not None)


def _not_running(view: StatusView) -> Verdict | None:
    workers = workers_available.evaluate(view)
    if workers.status != "True" or workers.reason in workers_available.ROLLING:
        return Verdict(status="False", reason=workers.reason, message=workers.message, warning=workers.warning)
    for single in (beat_running.evaluate(view), _managed_redis(view)):
        if single is not None and (single.status == "False" or single.reason == beat_running.WAITING):
            return Verdict(status="False", reason=single.reason, message=single.message, warning=single.warning)
    return None


def _managed_redis(view: StatusView) -> Verdict | None:
    """The managed Redis; None where none is asked for. It has no condition of its own."""
    if not connections.wants_managed_redis(view.cluster.spec):
        return None
    name = names.redis(view.cluster.metadata.name)
    return single_pod.evaluate(view, name, managed_redis.COMPONENT, "the managed Redis")
