"""What linter and status are told of workers and broker: taken from what the autoscaler sees anyway. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from celery_operator.kube.objects import Manifest
from celery_operator.lint.inputs import BrokerFacts, Fleet, GroupFacts, Versions
from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Depth
from celery_operator.observe.worker_report import WorkerReport
from celery_operator.reconcile.autoscaling import observation
from celery_operator.reconcile.autoscaling.observation import Surroundings
from celery_operator.reconcile.consumption import Consumption, consumption_of

_STEP: Final = 600.0
"""Seconds to which an ETA is rounded down: rules need no more, and each new fact would cost a run of all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """None where nobody looks."""

    fleet: Fleet | None = None
    broker: BrokerFacts | None = None
    consumption: Mapping[str, Consumption] = field(default_factory=dict)
    """By group; for the status alone."""
    awaited: bool = False
    """Not all is known that is about to be, as after a start of the operator: what was known before counts still."""


NO_FACTS: Final = Facts()
AWAITED: Final = Facts(awaited=True)


def facts_of(
    address: BrokerAddress | None,
    around: Surroundings,
    pods: Mapping[str, Iterable[Manifest]],
    former: BrokerFacts | None = None,
    stalled: Collection[str] = (),
    idle: Collection[str] = (),
    *,
    asked_long: bool = False,
) -> Facts:
    """What there is to know of a CeleryCluster; ``pods`` are those of its workers, by group.

    ``former``: what was known of its broker; how its queues are set counts for as long as they cannot be read.
    ``stalled``: groups that take nothing although tasks wait; ``idle``: those of which that may become true.
    ``asked_long``: workers have been asked for GRACE, after which nothing is awaited any more.
    """
    said = {group: [around.report(pod["metadata"]["uid"]) for pod in found] for group, found in pods.items()}
    heard = {group: [each for each in reports if each is not None] for group, reports in said.items()}
    broker = BrokerFacts(
        scheme=_scheme(address),
        nearest_eta=_nearest_eta(around),
        consumer_timeouts=_consumer_timeouts(around, former),
    )
    complete = broker.consumer_timeouts is not None and not _misses_one(pods, around)
    return Facts(
        fleet=Fleet(groups={group: _group(reports, around) for group, reports in heard.items() if reports}),
        broker=broker,
        consumption=consumption_of(pods, around, stalled, idle, asked_long=asked_long),
        awaited=not complete and not asked_long,
    )


def _misses_one(pods: Mapping[str, Iterable[Manifest]], around: Surroundings) -> bool:
    """Whether some worker is Ready that has not said yet what it is."""
    ready = (pod for found in pods.values() for pod in found if observation.is_ready(pod))
    said = (around.report(pod["metadata"]["uid"]) for pod in ready)
    return any(report is None or report.about is None for report in said)


def _group(reports: Iterable[WorkerReport], around: Surroundings) -> GroupFacts:
    about = [report.about for report in reports if report.about is not None]
    etas = [report.eta for report in reports if report.eta is not None]
    latest = [report.latest_eta for report in reports if report.latest_eta is not None]
    unknown = [report.unknown_tasks for report in reports if report.unknown_tasks is not None]
    again = [report.redelivered for report in reports if report.redelivered is not None]
    return GroupFacts(
        versions=frozenset(Versions(celery=each.celery, kombu=each.kombu, redis=each.redis) for each in about),
        visibility_timeouts=frozenset(each.visibility_timeout for each in about if each.visibility_timeout is not None),
        holds_eta=any(etas) if etas else None,
        furthest_eta=_until(max(latest, default=None), around),
        meets_unknown_tasks=any(unknown) if unknown else None,
        runs_tasks_twice=any(again) if again else None,
    )


def _scheme(address: BrokerAddress | None) -> str | None:
    return None if address is None else address.url.partition("://")[0] or None


def _consumer_timeouts(around: Surroundings, former: BrokerFacts | None) -> Mapping[str, float] | None:
    depths = _depths(around)
    unread = around.reading is None or around.reading.problem is not None
    if unread or not all(depth.consumer_timeout_known for depth in depths.values()):
        return None if former is None else former.consumer_timeouts
    return {queue: each.consumer_timeout for queue, each in depths.items() if each.consumer_timeout is not None}


def _depths(around: Surroundings) -> Mapping[str, Depth]:
    return {} if around.reading is None else around.reading.depths


def _nearest_eta(around: Surroundings) -> float | None:
    etas = [depth.next_eta for depth in _depths(around).values() if depth.next_eta is not None]
    return _until(min(etas, default=None), around)


def _until(moment: float | None, around: Surroundings) -> float | None:
    return None if moment is None else (moment - around.wall.timestamp()) // _STEP * _STEP
