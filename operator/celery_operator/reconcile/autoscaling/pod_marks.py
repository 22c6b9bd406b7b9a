"""What the autoscaler writes on pods, and takes away again, also where it no longer looks. Pure."""

from __future__ import annotations

from typing import Final

from celery_operator.api import GROUP as API_GROUP
from celery_operator.kube.objects import Manifest
from celery_operator.reconcile.autoscaling.deletion_cost import COST_ANNOTATION, LEAST_COST

DRAIN_ANNOTATION: Final = f"{API_GROUP}/draining"
"""On a pod that is drained, for people: the bootId of the worker that was told so."""


def draining(pod: Manifest, boot_id: str | None) -> dict[str, str | None]:
    """The annotation with which who is drained says so, if it has to change; ``boot_id`` is None for who is not."""
    return {} if _annotations(pod).get(DRAIN_ANNOTATION) == boot_id else {DRAIN_ANNOTATION: boot_id}


def left_over(pod: Manifest) -> dict[str, str | None]:
    """What to take away of a pod that nobody here scales by its load any more.

    A least deletion cost would have it taken first, whatever it does, when somebody else lowers the number. Other
    costs are not ours.
    """
    found = _annotations(pod)
    ours = {DRAIN_ANNOTATION: found.get(DRAIN_ANNOTATION), COST_ANNOTATION: LEAST_COST}
    return {name: None for name, value in ours.items() if value is not None and found.get(name) == value}


def _annotations(pod: Manifest) -> dict[str, str]:
    return pod["metadata"].get("annotations") or {}
