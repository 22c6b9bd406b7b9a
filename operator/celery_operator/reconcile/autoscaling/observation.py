"""A group's load, put together from its Deployment, its pods, the broker's reading and what the workers say. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from celery_operator.desired.metadata import COMPONENT_LABEL, GROUP_LABEL
from celery_operator.desired.worker_deployment import COMPONENT
from celery_operator.kube.objects import Manifest
from celery_operator.observe.broker.depth import Depth, Heartbeat, Reading
from celery_operator.observe.worker_report import PodAddress, WorkerReport
from celery_operator.reconcile.deadlines import probe_port
from celery_operator.scaling.model import Load, Queue, Worker
from celery_operator.scaling.removal import Pods

_MISSED_HEARTBEATS: Final = 3.0
"""So many heartbeats may be missing before a worker counts as silent."""
REPORT_AGE: Final = 6.0
"""Seconds that a report says something about a worker whose heartbeats have stopped; longer where they come seldom."""
ONLY_REPORT_AGE: Final = 75.0
"""Seconds that a report says something about a worker that never sends heartbeats: two rounds of the poller."""
_ENDED: Final = ("Succeeded", "Failed")
_REVISION_LABEL: Final = "pod-template-hash"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """What a group has in common with others: its part of each queue, and what their workers hold of them."""

    shares: Mapping[str, float] = field(default_factory=dict)
    held_by_others: int = 0
    """Messages that living workers of other groups which consume the same queues hold."""
    unheard: frozenset[str] = frozenset()
    """Queues that a group consumes, too, whose load nobody looks at: what its workers hold of them is unknown, and
    what a lost worker held these bring back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known of a CeleryCluster's brokers and workers at one moment."""

    now: float
    """Seconds of the monotonic clock."""
    wall: datetime
    reading: Reading | None
    heartbeats: Mapping[str, Heartbeat]
    """By node name, which is `<group>@<pod>`."""
    report: Callable[[str], WorkerReport | None]
    """By the pod's uid."""
    held: frozenset[str]
    """Uids of pods that we keep drained."""
    refuses: Callable[[str], str | None]
    """By the pod's uid: why its runtime cannot be told to drain, in words."""
    busy_unheard: frozenset[str] = frozenset()
    """Groups whose heartbeats say nothing of what runs: a solo worker sends them between its tasks alone."""


def pods_by_group(pods: Iterable[Manifest]) -> dict[str, list[Manifest]]:
    """Worker pods that run or will run and are not being deleted, by their group."""
    out: dict[str, list[Manifest]] = {}
    for pod in pods:
        labels = pod["metadata"].get("labels") or {}
        if labels.get(COMPONENT_LABEL) != COMPONENT or "deletionTimestamp" in pod["metadata"]:
            continue
        if (pod.get("status") or {}).get("phase") not in _ENDED:
            out.setdefault(str(labels.get(GROUP_LABEL)), []).append(pod)
    return out


def address(pod: Manifest) -> PodAddress | None:
    """Where the pod's runtime listens; None while it has no address, and where probes are disabled."""
    host, port = (pod.get("status") or {}).get("podIP"), probe_port(pod)
    if host is None or port is None:
        return None
    return PodAddress(uid=pod["metadata"]["uid"], name=pod["metadata"]["name"], host=host, port=port)


def worker(pod: Manifest, group: str, slots: int, idle_since: float | None, around: Surroundings) -> Worker:
    """One pod. One that is not Ready and was not heard of is starting, and runs nothing; who is silent is full."""
    metadata = pod["metadata"]
    heartbeat = _heartbeat(pod, group, around)
    report = around.report(metadata["uid"])
    ready = is_ready(pod)
    starting = not ready and not has_started(pod, group, around)
    active = 0 if starting else _active(heartbeat, report, around.now)
    recent = report is not None and around.now - report.at <= ONLY_REPORT_AGE
    can_drain = starting or (recent and address(pod) is not None and around.refuses(metadata["uid"]) is None)
    return Worker(
        pod=metadata["name"],
        slots=(report.slots if report is not None else None) or slots,
        active=active,
        reserved=0 if report is None or not recent else _reserved(report, heartbeat, slots),
        held=(report.held or 0) if report is not None and recent else 0,
        eta=(report.eta or 0) if report is not None and recent else 0,
        draining=can_drain and is_drained(report, metadata["uid"] in around.held),
        can_drain=can_drain,
        ready=ready,
        idle_seconds=0.0 if active != 0 or idle_since is None else around.now - idle_since,
    )


def has_started(pod: Manifest, group: str, around: Surroundings) -> bool:
    """Whether the worker in a pod was heard of as one that consumes, and its container has not ended since."""
    report = around.report(pod["metadata"]["uid"])
    heard = f"{group}@{pod['metadata']['name']}" in around.heartbeats or (report is not None and report.started)
    return heard and not _is_down(pod)


def _is_down(pod: Manifest) -> bool:
    """Whether the kubelet says that the worker's container does not run, as between two crashes."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return bool(statuses) and not any("running" in (each.get("state") or {}) for each in statuses)


def is_drained(report: WorkerReport | None, held: bool) -> bool:
    """Whether a worker was told to take no more tasks: by us, who keep it so, or by a former leader, as it says."""
    return held or (report is not None and report.draining)


def is_ready(pod: Manifest) -> bool:
    """Whether Kubernetes calls the pod Ready."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def processed(pod: Manifest, group: str, around: Surroundings) -> int | None:
    """Tasks that the pod's worker has begun since its start."""
    heartbeat = _heartbeat(pod, group, around)
    if heartbeat is not None and heartbeat.processed is not None:
        return heartbeat.processed
    report = around.report(pod["metadata"]["uid"])
    return None if report is None else report.processed


def load(
    queues: Iterable[str], workers: Iterable[Worker], replicas: int, slots: int, sharing: Sharing, around: Surroundings
) -> Load:
    """The group's load. A queue that the reading does not have was not read."""
    depths = {} if around.reading is None else around.reading.depths
    found = {name: depths.get(name) for name in queues}
    attributed = [depth for name, depth in found.items() if name not in sharing.unheard]
    return Load(
        queues=tuple(_queue(name, depth, sharing, around.wall) for name, depth in found.items()),
        workers=tuple(workers),
        replicas=replicas,
        slots_per_worker=max(1, slots),
        unacked=_unacked(attributed, sharing),
        unacked_needed=any(depth is None or depth.unacked_needed for depth in attributed),
    )


def pods_of(deployment: Manifest, pods: Iterable[Manifest]) -> Pods:
    """What decides whether pods can be removed."""
    status, alive = deployment.get("status") or {}, list(pods)
    ready = frozenset(pod["metadata"]["name"] for pod in alive if is_ready(pod))
    return Pods(
        wanted=deployment["spec"].get("replicas", 1),
        fresh=status.get("observedGeneration") == deployment["metadata"].get("generation"),
        existing=status.get("replicas") or 0,
        updated=status.get("updatedReplicas") or 0,
        ready=ready,
        not_ready=frozenset(pod["metadata"]["name"] for pod in alive) - ready,
        revisions=frozenset(_revisions(alive)),
        strays=frozenset(pod["metadata"]["name"] for pod in alive if not _is_controlled(pod)),
    )


def _is_controlled(pod: Manifest) -> bool:
    return any(owner.get("controller") for owner in pod["metadata"].get("ownerReferences") or ())


def _revisions(pods: Iterable[Manifest]) -> Iterator[str]:
    for pod in pods:
        revision = (pod["metadata"].get("labels") or {}).get(_REVISION_LABEL)
        if revision is not None:
            yield str(revision)


def _heartbeat(pod: Manifest, group: str, around: Surroundings) -> Heartbeat | None:
    """The last one that says what the pod's worker does."""
    return None if group in around.busy_unheard else around.heartbeats.get(f"{group}@{pod['metadata']['name']}")


def _active(heartbeat: Heartbeat | None, report: WorkerReport | None, now: float) -> int | None:
    """What the worker said last; None when that is too long ago to say anything about now."""
    if heartbeat is not None and (report is None or heartbeat.at >= report.at):
        fresh = now - heartbeat.at <= _MISSED_HEARTBEATS * heartbeat.freq
        return heartbeat.active if fresh and not heartbeat.offline else None
    if report is None:
        return None
    limit = ONLY_REPORT_AGE
    if heartbeat is not None:
        limit = min(limit, max(REPORT_AGE, _MISSED_HEARTBEATS * heartbeat.freq))
    return report.active if now - report.at <= limit else None


def _reserved(report: WorkerReport, heartbeat: Heartbeat | None, slots: int) -> int:
    """What the worker took in advance; none of it is left where it has told since that a slot is free."""
    since = heartbeat.active if heartbeat is not None and heartbeat.at > report.at else None
    return 0 if since is not None and since < (report.slots or slots) else report.reserved or 0


def _queue(name: str, depth: Depth | None, sharing: Sharing, wall: datetime) -> Queue:
    if depth is None:
        return Queue(name=name, ready=None, future_eta=None)
    return Queue(
        name=name,
        ready=depth.ready,
        future_eta=depth.future_eta,
        next_eta=None if depth.next_eta is None else depth.next_eta - wall.timestamp(),
        hides_eta=depth.hides_eta,
        share=sharing.shares.get(name, 1.0),
    )


def _unacked(depths: Iterable[Depth | None], sharing: Sharing) -> int | None:
    """Messages of the group's queues at workers; without what other groups' workers hold of them."""
    total = 0
    for depth in depths:
        if depth is None or depth.unacked is None:
            return None
        total += depth.unacked
    return max(0, total - sharing.held_by_others)
