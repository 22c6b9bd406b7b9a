"""Results of Celery turned into answers."""

from __future__ import annotations

from celery.result import AsyncResult, GroupResult

from celery_tasks.app import app
from celery_tasks.producer.models import GroupStatus, TaskStatus


def task_status(task_id: str) -> TaskStatus:
    """The state of a task, from one read of the result backend."""
    return _status(AsyncResult(task_id, app=app))


def group_status(group_id: str) -> GroupStatus | None:
    """The states of a group's parts, in order; None when no such group is kept (any more)."""
    group = GroupResult.restore(group_id, app=app)
    if group is None:
        return None
    parts = [_status(part) for part in group.results]
    completed = sum(part.ready for part in parts)
    return GroupStatus(
        group_id=group_id, ready=completed == len(parts), completed=completed, total=len(parts), results=parts
    )


def _status(result: AsyncResult) -> TaskStatus:
    # One snapshot: AsyncResult's properties would each read again, and could disagree.
    meta = result.backend.get_task_meta(result.id)
    state, value = str(meta["status"]), meta.get("result")
    failed = isinstance(value, BaseException)
    return TaskStatus(
        task_id=result.id,
        state=state,
        ready=state in result.backend.READY_STATES,
        task=meta.get("name"),
        result=None if failed else value,
        error=f"{type(value).__name__}: {value}" if failed else None,
        finished_at=meta.get("date_done"),
    )
