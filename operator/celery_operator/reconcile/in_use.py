"""What pods still use of children that nobody wants any more: it goes after the last of them. Pure.

A pod of a former template works on until it has finished its tasks, and may be made anew by its former ReplicaSet for
as long as a rollout has not succeeded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from celery_operator.desired import managed_redis as redis
from celery_operator.desired.metadata import COMPONENT_LABEL
from celery_operator.desired.pod import RESTARTED_BY
from celery_operator.desired.runtime_configmap import live_volume
from celery_operator.kube.objects import DEPLOYMENT, JOB, STATEFUL_SET, Kind, Manifest
from celery_operator.observe.snapshot import Snapshot

_ENDED: Final = ("Succeeded", "Failed")


def runtimes(snapshot: Snapshot) -> set[str]:
    """ConfigMaps with a runtime that a live template or a live pod mounts; desired ones are wanted anyway."""
    volumes = [live_volume(pod) for pod in (*_templates(snapshot, DEPLOYMENT, JOB, STATEFUL_SET), *snapshot.pods)]
    return {volume["configMap"]["name"] for volume in volumes if volume is not None}


def service_accounts(snapshot: Snapshot) -> set[str]:
    """Those of live templates, and of pods that have not ended.

    Without it no pod is admitted in the place of one that is lost. A hook's Job counts by its pods alone: the last one
    is kept for its log.
    """
    pods = (pod for pod in snapshot.pods if _phase(pod) not in _ENDED)
    users = (*_templates(snapshot, DEPLOYMENT, STATEFUL_SET), *pods)
    return {str((user.get("spec") or {}).get("serviceAccountName")) for user in users}


def managed_redis(snapshot: Snapshot) -> bool:
    """Whether some pod works with the managed Redis: it still acknowledges and stores there. Not one that never ran."""
    return any(
        RESTARTED_BY in (pod["metadata"].get("annotations") or {})
        and (pod["metadata"].get("labels") or {}).get(COMPONENT_LABEL) != redis.COMPONENT
        for pod in snapshot.pods
        if _phase(pod) == "Running"
    )


def _templates(snapshot: Snapshot, *kinds: Kind) -> Iterator[dict[str, Any]]:
    for ref, live in snapshot.live.items():
        if ref.kind in kinds:
            yield live["spec"]["template"]


def _phase(pod: Manifest) -> Any:
    return (pod.get("status") or {}).get("phase")
