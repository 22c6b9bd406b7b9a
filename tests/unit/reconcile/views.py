"""What conditions are computed from: a view with as much in it as a test needs."""

from __future__ import annotations

import json
from typing import Any

from celery_operator.desired.metadata import COMPONENT_LABEL, GROUP_LABEL
from celery_operator.kube.objects import DEPLOYMENT, STATEFUL_SET, Kind
from celery_operator.observe.broker.reachability import REACHABLE
from celery_operator.reconcile.status.view import StatusView
from tests.unit.desired.clusters import cluster
from tests.unit.reconcile.world import ref

Json = dict[str, Any]


def view(spec: Json | None = None, *children: Json, pods: tuple[Json, ...] = (), **fields: Any) -> StatusView:
    """A view of the cluster `shop` with these children; its broker answers."""
    kinds: dict[str, Kind] = {"Deployment": DEPLOYMENT, "StatefulSet": STATEFUL_SET}
    live = {ref(kinds[child["kind"]], child["metadata"]["name"]): child for child in children}
    return StatusView(cluster=cluster(spec), live=live, pods=pods, **{"broker": REACHABLE, **fields})


def deployment(group: str = "web", *, generation: int = 1, **status: Any) -> Json:
    """A group's Deployment with a status."""
    return {
        "kind": "Deployment",
        "metadata": {"name": f"shop-worker-{group}", "generation": generation},
        "status": {"observedGeneration": 1, **status},
    }


def running(group: str = "web", pods: int = 1) -> Json:
    """A Deployment that has everything it wants."""
    counts = dict.fromkeys(("replicas", "readyReplicas", "availableReplicas", "updatedReplicas"), pods)
    return deployment(group, **counts)


def beat(*, ready: int = 1, current: str = "a", update: str = "a", generation: int = 1) -> Json:
    """Beat's StatefulSet."""
    return {
        "kind": "StatefulSet",
        "metadata": {"name": "shop-beat", "generation": generation},
        "status": {
            "observedGeneration": 1,
            "readyReplicas": ready,
            "currentRevision": current,
            "updateRevision": update,
        },
    }


def pod(
    *containers: Json, group: str | None = "web", init: tuple[Json, ...] = (), conditions: tuple[Json, ...] = ()
) -> Json:
    """A pod of a worker group, or of beat where the group is None."""
    labels = {COMPONENT_LABEL: "beat" if group is None else "worker"}
    if group is not None:
        labels[GROUP_LABEL] = group
    return {
        "kind": "Pod",
        "metadata": {"name": "a-pod", "labels": labels},
        "status": {
            "containerStatuses": list(containers),
            "initContainerStatuses": list(init),
            "conditions": list(conditions),
        },
    }


def waiting(reason: str, message: str = "") -> Json:
    """A container that the kubelet cannot start."""
    return {"ready": False, "state": {"waiting": {"reason": reason, "message": message}}}


def ended(code: int = 1, message: str = "", reason: str = "Error") -> Json:
    """A container that ended and is waiting to be started again."""
    terminated = {"exitCode": code, "message": message, "reason": reason}
    return {
        "ready": False,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": terminated},
    }


def launcher_says(**fields: Any) -> str:
    """The launcher's termination message."""
    return json.dumps(
        {
            "celeryOperator": 1,
            "reason": "AppImportFailed",
            "exception": "ModuleNotFoundError",
            "module": "shop.celery",
            "message": "No module named 'shop'",
            **fields,
        }
    )
