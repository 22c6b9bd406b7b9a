"""Which pods a ReplicaSet takes first is said by an annotation, and others may write it, too: that is no fight.

Karpenter's feature gate PodDeletionCostManagement writes the costs of all pods anew at least every 5 minutes. A pod
whose cost somebody else has changed is left alone for some time, and stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from celery_operator.kube.objects import Manifest
from celery_operator.observe.broker.depth import Problem

COST_ANNOTATION: Final = "controller.kubernetes.io/pod-deletion-cost"
LEAST_COST: Final = "-2147483647"
SETTLE_SECONDS: Final = 2.0
"""Between the deletion cost and the lower number: the ReplicaSet controller has a cache of its own."""
WRITE_SECONDS: Final = 30.0
"""After so long without our value where we wanted it, somebody undoes what we write."""
TRUCE_SECONDS: Final = 600.0
"""For so long a cost that somebody else writes is left alone."""


def is_cheap(pod: Manifest) -> bool:
    """Whether a ReplicaSet takes the pod before all that have a cost of their own."""
    try:
        return int(_cost(pod) or 0) <= int(LEAST_COST)
    except ValueError:
        return False  # to Kubernetes such a pod has no cost at all


def contested(found: str | None, pod: str) -> Problem:
    """What to say of it; ``found`` is the value that somebody else gave it."""
    other = "took it away" if found is None else f'wrote "{found}"'
    return Problem(
        reason="DeletionCostContested",
        message=f"pod {pod} is not removed, because somebody else writes the annotation {COST_ANNOTATION} of its pods "
        f"({other} after the operator had written it): pods that work could be taken instead; turn that off "
        "(Karpenter: feature gate PodDeletionCostManagement). The operator tries again every 10 minutes",
    )


def unmarked(pod: str) -> str:
    """Why a pod whose mark never appears does not go, as a clause."""
    return (
        f"pod {pod} cannot be marked as the first to be deleted: the annotation {COST_ANNOTATION} is not on it "
        f"{WRITE_SECONDS:.0f} s after the operator wrote it; an admission policy may refuse changes of pods, the "
        "operator's log has the answer"
    )


@dataclass(slots=True)
class Mark:
    """One pod's cost from look to look."""

    contested_at: float | None = None
    found: str | None = None
    """What somebody else wrote, where it is contested."""
    _seen_since: float | None = None
    """Since when our mark has been seen on a pod that is to go."""
    _wanted_since: float | None = None
    """Since when it has been wanted and not been there."""
    _cleared_at: float | None = None
    """When we first took away a mark that is wanted no more."""
    _clearing: bool = False
    """Whether we asked to take it away and have not seen it gone: that may still come when it is wanted again."""

    def look(self, pod: Manifest, now: float) -> None:
        """Note what has become of our mark, or that it came back; after a time of truce all is forgotten."""
        if self.contested_at is not None:
            if now - self.contested_at < TRUCE_SECONDS:
                return
            self.contested_at = self._cleared_at = None
        cheap, cost = is_cheap(pod), _cost(pod)
        if self._clearing and cost is None:
            self._clearing, self._seen_since = False, None
        lost = self._seen_since is not None and not cheap
        undone = not cheap and cost is not None and _is_over(self._wanted_since, now)
        if lost or undone or (cheap and _is_over(self._cleared_at, now)):
            self.contested_at, self.found = now, cost
            self._seen_since = self._wanted_since = None

    def settled(self, pod: Manifest, now: float) -> bool:
        """Whether a pod that is to go has had its mark for long enough."""
        if not is_cheap(pod):
            return False
        self._wanted_since = None
        self._seen_since = now if self._seen_since is None else self._seen_since
        return now - self._seen_since >= SETTLE_SECONDS

    def is_missing(self, now: float) -> bool:
        """Whether a pod that is to go has had no mark for so long that somebody must refuse it."""
        return _is_over(self._wanted_since, now)

    def change(self, pod: Manifest, *, victim: bool, now: float) -> dict[str, str | None]:
        """The annotation, if it has to be written."""
        if victim:
            self._cleared_at = None
        else:
            self._seen_since = self._wanted_since = None
        if self.contested_at is not None or victim == is_cheap(pod):
            return {}
        if not victim:
            self._cleared_at = now if self._cleared_at is None else self._cleared_at
            self._clearing = True
            return {COST_ANNOTATION: None}
        self._wanted_since = now if self._wanted_since is None else self._wanted_since
        return {COST_ANNOTATION: LEAST_COST}


def _cost(pod: Manifest) -> str | None:
    return (pod["metadata"].get("annotations") or {}).get(COST_ANNOTATION)


def _is_over(since: float | None, now: float) -> bool:
    return since is not None and now - since >= WRITE_SECONDS
