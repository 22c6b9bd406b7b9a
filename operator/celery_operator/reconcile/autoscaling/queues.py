"""With how many slots a group consumes, and what it shares with other groups. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from celery_operator.api.cluster import CeleryCluster
from celery_operator.api.workers import WorkerGroup
from celery_operator.desired.queues import consumed_by
from celery_operator.kube.objects import Manifest
from celery_operator.reconcile.autoscaling import policy
from celery_operator.reconcile.autoscaling.observation import Sharing, Surroundings
from celery_operator.reconcile.autoscaling.view import GroupView


def slots(group: WorkerGroup, around: Surroundings, pods: Iterable[Manifest]) -> int | None:
    """Tasks that a pod of the group runs at a time: as its workers say, else as the spec does; None: nobody says."""
    for pod in pods:
        report = around.report(pod["metadata"]["uid"])
        if report is not None and report.slots:
            return report.slots
    return policy.slots(group)


def sharing(cluster: CeleryCluster, group: WorkerGroup, views: Mapping[str, GroupView]) -> Sharing:
    """The group's part of each of its queues, by the most slots that each group can have.

    Another one that only shows its decisions (`dryRun`) has no more than it has now.
    """
    spec = cluster.spec
    mine = set(consumed_by(spec, group))
    shares: dict[str, float] = {}
    others = [each for each in spec.workers if each.name != group.name and mine.intersection(consumed_by(spec, each))]
    own = _most_slots(group)
    theirs = {each.name: _most_slots(each, views.get(each.name)) for each in others}
    for name in mine:
        all_slots = own + sum(theirs[each.name] for each in others if name in consumed_by(spec, each))
        shares[name] = own / all_slots if all_slots else 1.0
    unheard = [each for each in others if theirs[each.name] and not policy.watched(each)]
    return Sharing(
        shares=shares,
        held_by_others=sum(_held(views.get(each.name)) for each in others),
        unheard=frozenset(name for each in unheard for name in consumed_by(spec, each)),
    )


def _most_slots(group: WorkerGroup, found: GroupView | None = None) -> int:
    most = found.replicas if found is not None and policy.dry_run(group) else policy.most_replicas(group)
    return most * policy.expected_slots(group)


def _held(view: GroupView | None) -> int:
    """Messages that the workers of a group hold, as far as they say."""
    if view is None or view.load is None:
        return 0
    return sum(each.busy_slots + each.reserved + each.held + each.eta for each in view.load.workers)
