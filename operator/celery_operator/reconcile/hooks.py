"""What has to be done before a new image or config reaches the pods: when its Job is made, and what waits for it.

Nothing has to be remembered: every workload carries the hash of the hook that had been done when it was applied, and a
Job's own name says what it was made for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from celery_operator.api import GROUP
from celery_operator.desired import hook_job, names
from celery_operator.desired.hook_job import GENERATION_ANNOTATION
from celery_operator.desired.metadata import COMPONENT_LABEL
from celery_operator.kube.objects import DEPLOYMENT, JOB, STATEFUL_SET, Manifest, ObjectRef
from celery_operator.observe.snapshot import Snapshot
from celery_operator.reconcile import strangers
from celery_operator.reconcile.steps import Delete
from celery_operator.reconcile.strangers import Stranger, owned

ANNOTATION: Final = f"{GROUP}/before-rollout"
"""On a Deployment or StatefulSet: the hash of the hook that had been done for what was applied."""
RUNNING: Final = "BeforeRolloutRunning"
FAILED: Final = "BeforeRolloutFailed"
_WAITING_COMPONENTS: Final = ("worker", "beat")
_AGAIN: Final = "change the spec, or delete the Job to run it once more"
_NOTHING_NEW: Final = "nothing new is rolled out before it succeeds, and what runs goes on"
_PODS: Final = ("active", "succeeded", "failed", "terminating", "uncountedTerminatedPods")
"""What a Job's status tells pods by. One that has just ended is in the last alone, until its finalizer is removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Why new pod templates wait: `reason` for programs, `message` for people."""

    reason: str
    message: str
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """What follows for a pass. `pending` is what templates wait for; None where they may be applied."""

    pending: Wait | None = None
    create: bool = False
    """The Job is to be made now."""
    deletes: tuple[Delete, ...] = ()
    stranger: Stranger | None = None
    """Somebody else's object under the Job's name."""


def concerns(manifest: Manifest) -> bool:
    """Whether a child, live or desired, has pods of workers or beat, so that its template waits for the hook."""
    component = (manifest["metadata"].get("labels") or {}).get(COMPONENT_LABEL)
    return component in _WAITING_COMPONENTS and ObjectRef.of(manifest).kind in (DEPLOYMENT, STATEFUL_SET)


def note(snapshot: Snapshot, manifests: Iterable[Manifest]) -> None:
    """Write on each desired workload the hash of the hook that comes before it."""
    wanted = _hash(snapshot)
    for manifest in manifests if wanted is not None else ():
        if concerns(manifest):
            manifest["metadata"].setdefault("annotations", {})[ANNOTATION] = wanted


def ref(snapshot: Snapshot) -> ObjectRef | None:
    """The Job that the spec asks for; None without a hook."""
    wanted = _hash(snapshot)
    if wanted is None:
        return None
    metadata = snapshot.cluster.metadata
    return ObjectRef(kind=JOB, namespace=metadata.namespace, name=names.before_rollout(metadata.name, wanted))


def decide(snapshot: Snapshot) -> Hook:
    """What is to be done about the hook, and whether pod templates wait for it."""
    wanted, mine = _hash(snapshot), ref(snapshot)
    jobs = _jobs(snapshot)
    if wanted is None or mine is None:
        return Hook(deletes=tuple(_prune(jobs, keep=None)))
    job = snapshot.live.get(mine)
    if _reached_pods(snapshot, wanted) or (job is not None and owned(snapshot.cluster, job) and _is(job, "Complete")):
        return Hook(deletes=tuple(_prune(jobs, keep=mine)))
    if snapshot.cluster.spec.suspend and job is None:
        return Hook(pending=Wait(reason=RUNNING, message="spec.hooks.beforeRollout runs when spec.suspend is removed"))
    if job is None:
        return _start(jobs, mine)
    if not owned(snapshot.cluster, job):
        found = strangers.describe(snapshot.cluster, job)
        return Hook(pending=Wait(reason=RUNNING, message=found.message), stranger=found)
    return _unfinished(snapshot, mine, job)


def _start(jobs: dict[ObjectRef, Manifest], mine: ObjectRef) -> Hook:
    """A new Job, but never beside a former one: two migrations at a time may ruin what they change."""
    others = [other.name for other, job in jobs.items() if not _has_ended(job)]
    if others:
        message = (
            f"spec.hooks.beforeRollout waits until the Job {others[0]!r} of the former spec has ended; delete that one "
            f"to end it at once; {_NOTHING_NEW}"
        )
        return Hook(pending=Wait(reason=RUNNING, message=message))
    return Hook(pending=_running(mine), create=True)


def _unfinished(snapshot: Snapshot, mine: ObjectRef, job: Manifest) -> Hook:
    if "deletionTimestamp" in job["metadata"]:
        message = f"spec.hooks.beforeRollout starts again when the Job {mine.name!r} is deleted; {_NOTHING_NEW}"
        return Hook(pending=Wait(reason=RUNNING, message=message))
    if not _is(job, "Failed"):
        return Hook(pending=_running(mine, job))
    if snapshot.cluster.metadata.generation > _generation(job):
        return Hook(pending=_running(mine), deletes=(Delete(ref=mine, uid=job["metadata"]["uid"]),))
    why, see = _why(job), "see its log"
    if _has_no_pod(job):
        see = f"it never had a pod, because of {_refused_by(mine)}"
    message = f"spec.hooks.beforeRollout failed: Job {mine.name!r}: {why}; {_NOTHING_NEW}; {see}, then {_AGAIN}"
    return Hook(pending=Wait(reason=FAILED, message=message, failed=True))


def _running(mine: ObjectRef, job: Manifest | None = None) -> Wait:
    message = f"spec.hooks.beforeRollout runs as Job {mine.name!r}; {_NOTHING_NEW}"
    if job is not None and _has_no_pod(job):
        message += f"; it has no pod yet (if that lasts: {_refused_by(mine)})"
    return Wait(reason=RUNNING, message=message)


def _refused_by(mine: ObjectRef) -> str:
    """Why the API server may let no pod be made: only an Event says it, for a Job has no condition for that."""
    return f"a quota, or a namespace that asks for podSecurity: Restricted; see kubectl describe job {mine.name}"


def _has_no_pod(job: Manifest) -> bool:
    """Whether the Job's controller has begun, and never got a pod."""
    status = job.get("status") or {}
    return "startTime" in status and not any(status.get(count) for count in _PODS)


def _hash(snapshot: Snapshot) -> str | None:
    hook = hook_job.wanted(snapshot.cluster.spec)
    return None if hook is None else hook_job.content_hash(snapshot.cluster.spec, hook)


def _reached_pods(snapshot: Snapshot, wanted: str) -> bool:
    """Whether the hook has been done: only then did any workload get the hash of it."""
    return any(
        (live["metadata"].get("annotations") or {}).get(ANNOTATION) == wanted and owned(snapshot.cluster, live)
        for live in snapshot.live.values()
        if concerns(live)
    )


def _jobs(snapshot: Snapshot) -> dict[ObjectRef, Manifest]:
    """The cluster's hook Jobs, the newest first."""
    found = {each: live for each, live in snapshot.live.items() if each.kind == JOB and owned(snapshot.cluster, live)}
    return dict(sorted(found.items(), key=lambda item: _created(item[1]), reverse=True))


def _prune(jobs: dict[ObjectRef, Manifest], keep: ObjectRef | None) -> Iterator[Delete]:
    """Ended Jobs but the one to keep, else the last: its log is what people look for. What still runs may end."""
    ended = [each for each, job in jobs.items() if _has_ended(job) and "deletionTimestamp" not in job["metadata"]]
    kept = keep if keep in ended else next(iter(ended), None)
    for each in ended:
        if each != kept:
            yield Delete(ref=each, uid=jobs[each]["metadata"]["uid"])


def _has_ended(job: Manifest) -> bool:
    return _is(job, "Complete") or _is(job, "Failed")


def _is(job: Manifest, type_: str) -> bool:
    return _condition(job, type_).get("status") == "True"


def _condition(job: Manifest, type_: str) -> dict[str, Any]:
    conditions = (job.get("status") or {}).get("conditions") or []
    return next((condition for condition in conditions if condition.get("type") == type_), {})


def _why(job: Manifest) -> str:
    failed = _condition(job, "Failed")
    reason, message = failed.get("reason") or "Failed", failed.get("message")
    return f"{reason} ({message})" if message else str(reason)


def _generation(job: Manifest) -> int:
    """The generation that the Job was made for; 0 where somebody took the note away."""
    text = str((job["metadata"].get("annotations") or {}).get(GENERATION_ANNOTATION, ""))
    return int(text) if text.isdecimal() else 0


def _created(job: Manifest) -> str:
    return str(job["metadata"].get("creationTimestamp") or "")
