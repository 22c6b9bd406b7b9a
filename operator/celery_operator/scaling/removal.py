"""Whether drained pods can be removed now: only when the ReplicaSet is sure to take exactly them.

A ReplicaSet takes pods that are not Ready before those with a low deletion cost, and each ReplicaSet of a rollout
takes its own.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pods:
    """A Deployment and its pods as the API server tells of them."""

    wanted: int
    """spec.replicas."""
    fresh: bool
    """The Deployment's controller has seen its newest spec."""
    existing: int
    """Pods that its ReplicaSets have, by its status."""
    updated: int
    """Those of them that have the newest template."""
    ready: frozenset[str]
    not_ready: frozenset[str]
    """Names of its pods that are not being deleted."""
    revisions: frozenset[str]
    """Hashes of the templates of these pods."""
    strays: frozenset[str] = frozenset()
    """Those of them that no ReplicaSet controls, such as one that was isolated for a look at it."""


def rolling(pods: Pods) -> bool:
    """Whether pods of two templates exist: then nobody knows whom a lower number would take."""
    return (pods.fresh and pods.updated != pods.existing) or len(pods.revisions) > 1


def obstacle(pods: Pods, victims: Collection[str], unstarted: frozenset[str] = frozenset()) -> str | None:
    """Why ``victims`` cannot be removed now, in words; None when they can.

    Where all of them have never started, it does not matter which of those that have not are taken (``unstarted``).
    """
    if rolling(pods):
        return "a rollout is in progress"
    if not pods.fresh:
        return "the Deployment's controller has not seen its last change yet"
    found = pods.ready | pods.not_ready
    if pods.strays and len(found) > pods.wanted:
        return (
            f"pod {min(pods.strays)} has the group's labels and belongs to no ReplicaSet, so that nobody knows who is "
            "taken; delete it, or take the label celery-operator.dev/worker-group from it"
        )
    if pods.existing != pods.wanted or len(found) != pods.wanted:
        return f"{pods.existing} pods exist and {pods.wanted} are wanted"
    if not found.issuperset(victims):
        return "a pod that was chosen is gone already"
    unready = sorted(pods.not_ready.difference(victims))
    if unready and not unstarted.issuperset((*victims, *unready)):
        return f"pod {unready[0]} is not Ready, and would be taken instead"
    return None
