"""No rollout to pods that RabbitMQ would refuse: what waits while declared queues differ from the broker's.

Compared is before pod templates change, and not in every pass: queues that exist change for nobody. Whoever would
declare a queue at its start is held, and so is everything that would declare it otherwise than its pods do now, for
Celery also declares a queue when it publishes to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from celery_operator.api.cluster import CeleryCluster, CeleryClusterSpec
from celery_operator.desired import celery_settings, launch_settings, names, queues
from celery_operator.desired.metadata import GROUP_LABEL
from celery_operator.kube.objects import CONFIG_MAP, Manifest, ObjectRef
from celery_operator.observe.broker.queue_comparison import Comparison, identity_of
from celery_operator.observe.snapshot import Snapshot
from celery_operator.reconcile import hooks
from celery_operator.reconcile.hooks import Wait
from celery_operator.reconcile.rollout import template_hash

COMPARING: Final = "ComparingQueues"
DIFFER: Final = "QueuesDiffer"
AGAIN: Final = 10.0
"""Seconds until the broker is asked again whether somebody has mended what differs."""

_SETTING: Final = "task_queue_max_priority"
_COMPARING_MESSAGE: Final = "spec.queues are compared with the broker's before new pod templates are rolled out"
_ADVICE: Final = (
    "RabbitMQ refuses whoever declares them so (406), and the pods that would are not replaced: write the broker's "
    "value into spec.queues, choose another name, or delete what differs yourself when it is empty; the operator "
    "deletes no queue"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """What follows for a pass."""

    wait: Wait | None = None
    """For what templates wait; None where none does."""
    refs: frozenset[ObjectRef] = frozenset()
    """The children that wait."""
    compare: bool = False
    """The broker is to be asked now."""


def declared(spec: CeleryClusterSpec) -> list[dict[str, Any]]:
    """What the broker is asked for."""
    return queues.compared(queues.declared(spec), celery_settings.value(spec, _SETTING))


def identity(spec: CeleryClusterSpec) -> str:
    """What a comparison has to be of, to count for this spec."""
    return identity_of(declared(spec), spec.broker.model_dump(mode="json", exclude_none=True))


def message(found: Comparison) -> str:
    """All differences, and what to do about them."""
    return f"{'; '.join(map(str, found.differences))}: {_ADVICE}"


def decide(snapshot: Snapshot, desired: Iterable[Manifest], waiting: frozenset[ObjectRef]) -> Hold:
    """Which of the desired children have to wait; those that wait for something else are not looked at."""
    spec = snapshot.cluster.spec
    if not queues.comparable(spec):
        return Hold()
    changing = {
        ref: manifest
        for ref, manifest in ((ObjectRef.of(manifest), manifest) for manifest in desired)
        if hooks.concerns(manifest) and ref not in waiting and _changes(manifest, snapshot.live.get(ref))
    }
    if not changing:
        return Hold()
    found = snapshot.queues
    if found is None:
        wait = Wait(reason=COMPARING, message=_COMPARING_MESSAGE)
        return Hold(wait=wait, refs=frozenset(changing) | _client(snapshot), compare=True)
    differing = frozenset(name for difference in found.differences for name in difference.queues)
    held = {ref for ref, each in changing.items() if _concerned(snapshot, each, snapshot.live.get(ref), differing)}
    if not held:
        return Hold(compare=found.stale)
    wait = Wait(reason=DIFFER, message=message(found), failed=True)
    return Hold(wait=wait, refs=frozenset(held) | _client(snapshot), compare=found.stale)


def _changes(manifest: Manifest, live: Manifest | None) -> bool:
    return live is None or template_hash(live) != template_hash(manifest)


def _concerned(snapshot: Snapshot, manifest: Manifest, live: Manifest | None, differing: frozenset[str]) -> bool:
    if not differing:
        return False
    group = (manifest["metadata"].get("labels") or {}).get(GROUP_LABEL)
    if not differing.isdisjoint(_used(snapshot.cluster, group)):
        return True
    if live is None:
        return False
    before, now = _declarations(live), {entry["name"]: entry for entry in declared(snapshot.cluster.spec)}
    return before is None or any(before.get(name) != now.get(name) for name in differing)


def _used(cluster: CeleryCluster, group: str | None) -> set[str]:
    """What the pods of a group consume, and what beat sends to as far as the spec says."""
    if group is None:
        beat = cluster.spec.beat
        return {entry.queue for entry in (beat.schedule if beat is not None else None) or [] if entry.queue is not None}
    return {
        name for each in cluster.spec.workers if each.name == group for name in queues.consumed_by(cluster.spec, each)
    }


def _client(snapshot: Snapshot) -> frozenset[ObjectRef]:
    """The ConfigMap that producers have read: a new one waits for nothing, its change would have them refused."""
    metadata = snapshot.cluster.metadata
    ref = ObjectRef(kind=CONFIG_MAP, namespace=metadata.namespace, name=names.client(metadata.name))
    return frozenset({ref} if ref in snapshot.live else ())


def _declarations(live: Manifest) -> Mapping[str, Any] | None:
    """What the pods of a live child declare, by queue's name; None where somebody wrote what is none of our text."""
    for container in live["spec"]["template"]["spec"].get("containers") or []:
        for variable in container.get("env") or []:
            if variable.get("name") == launch_settings.VARIABLE:
                return _read(variable.get("value"))
    return None


def _read(text: Any) -> Mapping[str, Any] | None:
    try:
        settings = json.loads(str(text).replace("$$", "$"))  # see connections.escape
        config = settings.get("config") or {}
        entries = queues.compared(settings.get("queues") or [], config.get(_SETTING))
        return {entry["name"]: entry for entry in entries}
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
