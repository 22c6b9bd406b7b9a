"""The snapshot: everything that one pass decides upon, taken once and never changed afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired.following import Kept
from celery_operator.desired.platform import Platform
from celery_operator.desired.runtime_configmap import Runtime
from celery_operator.kube.objects import Manifest, ObjectRef
from celery_operator.observe.broker.queue_comparison import Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What was true after our last apply of an object: the hash of what we sent, and of what came back."""

    desired: str
    live: str
    follows: Kept | None = None
    """What came back of what follows (see `desired.following`): from then on a change of it is somebody else's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodMark:
    """Annotations that a pod should have; None removes one. ``uid`` guards against another pod of the name."""

    uid: str
    annotations: Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the autoscaler wants the pass to write for a group."""

    replicas: int | None
    """None: the number is not ours, and only marks are to be written."""
    resource_version: str | None = None
    """The Deployment's, without which replicas are never lowered: the conditions were looked at in that one."""
    marks: Mapping[str, PodMark] = field(default_factory=dict)
    """By pod's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A CeleryCluster and what surrounds it at one moment."""

    cluster: CeleryCluster
    live: Mapping[ObjectRef, Manifest]
    """Children, and whatever else stands under a child's name."""
    pods: tuple[Manifest, ...] = ()
    runtime: Runtime
    platform: Platform = field(default_factory=Platform)
    missing_references: tuple[str, ...] = ()
    references_hashes: Mapping[str, str] = field(default_factory=dict)
    """By child: of the data that its pods read from Secrets and ConfigMaps; without those that read none."""
    redis_secret: Manifest | None = None
    """The managed Redis' Secret without its data."""
    applied: Mapping[tuple[ObjectRef, str], Applied] = field(default_factory=dict)
    """By object and field manager; empty after a start of the operator."""
    targets: Mapping[str, Target] = field(default_factory=dict)
    """By worker group, of those that are autoscaled and were looked at."""
    queues: Comparison | None = None
    """What comparing the declared queues with the broker's said; None where it has to be asked for."""
