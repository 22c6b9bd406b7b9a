"""Finds a second scaler of a group that scales by its load, such as an HPA: neither ends the other. Pure.

Somebody who sets the number once is no rival: the next decision is ours again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from celery_operator.kube.objects import Manifest
from celery_operator.observe import number_writers
from celery_operator.observe.broker.depth import Problem
from celery_operator.reconcile.steps import FIELD_MANAGER, SCALE_MANAGER

RIVAL_SECONDS: Final = 600.0
"""Who has overruled us twice within so long does it again: an HPA looks every 15 s, with windows of 5 minutes."""
_HPA: Final = "kube-controller-manager"
_OURS: Final = frozenset((FIELD_MANAGER, SCALE_MANAGER))


@dataclass(slots=True)
class Rivals:
    """Who wrote the number of one group from look to look."""

    _ours: bool = False
    """Whether the number was ours at the last look."""
    _answered: int | None = None
    """The Deployment's generation at the last look, if we have asked for another number then."""
    _name: str | None = None
    _overruled: tuple[float, ...] = ()
    """The last two times at which somebody had written another number over ours."""

    def look(self, deployment: Manifest, wanted: int | None, now: float) -> Problem | None:
        """What to tell, as long as somebody overrules us again and again; ``wanted`` is the number we ask for now."""
        writers, generation = number_writers.of(deployment), int(deployment["metadata"]["generation"])
        ours = bool(writers & _OURS)
        # Who answers at once is never seen before the next look: our number and theirs are two generations.
        overruled = self._ours or (self._answered is not None and generation >= self._answered + 2)
        if overruled and writers and not ours:
            self._name, self._overruled = min(writers), (*self._overruled, now)[-2:]
        self._ours = ours
        self._answered = None if wanted in (None, deployment["spec"]["replicas"]) else generation
        if self._name is None or len(self._overruled) < 2 or now - self._overruled[0] > RIVAL_SECONDS:
            return None
        return _told(self._name, deployment["metadata"]["name"])


def _told(manager: str, deployment: str) -> Problem:
    who = "a HorizontalPodAutoscaler" if manager == _HPA else f'"{manager}"'
    return Problem(
        reason="ReplicasContested",
        message=f"{who} changes the number of pods of Deployment {deployment} again and again, and so does the "
        "operator: delete what else scales it (kubectl get hpa,scaledobject), or give the group externalScaling: {} "
        "instead of autoscaling",
    )
