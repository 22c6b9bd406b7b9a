"""What a plan is made of: the writes of a pass, each bound to the object that it is meant for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from celery_operator.kube.objects import Manifest, ObjectRef
from celery_operator.observe.snapshot import PodMark

FIELD_MANAGER: Final = "celery-operator"
SCALE_MANAGER: Final = "celery-operator-scale"
"""Applies `spec.replicas` alone, so that handing a group to an HPA is just ceasing to apply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """One write of a child. `uid` is the live object's; None creates it, and fails when there is one already."""

    manifest: Manifest
    uid: str | None
    ref: ObjectRef
    manager: str
    desired: str
    resource_version: str | None = None
    """The live object's, where the write is right for that one and no later one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Annotations of a pod to set and (None) to remove. One that is gone by then needs none."""

    group: str
    """The worker group of the pod: only its number depends on the mark."""
    ref: ObjectRef
    mark: PodMark


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """A group that scales by its load and gets another number of pods; ``ref`` is its Deployment."""

    group: str
    ref: ObjectRef
    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """One deletion, of exactly this object and not of a later one with its name."""

    ref: ObjectRef
    uid: str
