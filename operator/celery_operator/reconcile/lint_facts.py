"""What the linter is told of workers and broker: taken from what the autoscaler sees anyway. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from celery_operator.kube.objects import Manifest
from celery_operator.lint.inputs import BrokerFacts, Fleet, GroupFacts, Versions
from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.worker_report import WorkerReport
from celery_operator.reconcile.autoscaling.observation import Surroundings

_STEP: Final = 600.0
"""Seconds to which an ETA is rounded down: rules need no more, and each new fact would cost a run of all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """None where nobody looks."""

    fleet: Fleet | None = None
    broker: BrokerFacts | None = None


NO_FACTS: Final = Facts()


def facts_of(address: BrokerAddress | None, around: Surroundings, pods: Mapping[str, Iterable[Manifest]]) -> Facts:
    """What there is to know of a CeleryCluster; ``pods`` are those of its workers, by group."""
    said = {group: [around.report(pod["metadata"]["uid"]) for pod in found] for group, found in pods.items()}
    heard = {group: [each for each in reports if each is not None] for group, reports in said.items()}
    return Facts(
        fleet=Fleet(groups={group: _group(reports) for group, reports in heard.items() if reports}),
        broker=BrokerFacts(scheme=_scheme(address), nearest_eta=_nearest_eta(around)),
    )


def _group(reports: Iterable[WorkerReport]) -> GroupFacts:
    about = [report.about for report in reports if report.about is not None]
    etas = [report.eta for report in reports if report.eta is not None]
    unknown = [report.unknown_tasks for report in reports if report.unknown_tasks is not None]
    return GroupFacts(
        versions=frozenset(Versions(celery=each.celery, kombu=each.kombu, redis=each.redis) for each in about),
        visibility_timeouts=frozenset(each.visibility_timeout for each in about if each.visibility_timeout is not None),
        holds_eta=any(etas) if etas else None,
        meets_unknown_tasks=any(unknown) if unknown else None,
    )


def _scheme(address: BrokerAddress | None) -> str | None:
    return None if address is None else address.url.partition("://")[0] or None


def _nearest_eta(around: Surroundings) -> float | None:
    depths = {} if around.reading is None else around.reading.depths
    etas = [depth.next_eta for depth in depths.values() if depth.next_eta is not None]
    return (min(etas) - around.wall.timestamp()) // _STEP * _STEP if etas else None
