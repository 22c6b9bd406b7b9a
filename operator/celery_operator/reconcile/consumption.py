"""Whether the workers of a group take messages, as they say themselves: for the condition WorkersConsuming. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from celery_operator.kube.objects import Manifest
from celery_operator.observe.worker_report import WorkerReport
from celery_operator.reconcile.autoscaling import observation
from celery_operator.reconcile.autoscaling.observation import Surroundings

GRACE: Final = 20.0
"""Seconds for which a worker may say that it takes nothing before anybody is told: a lost connection is back sooner,
kombu's first tries are 2, 4 and 6 s apart."""
_SHOWN: Final = 3
"""Pods that are named; the rest of them are one number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumption:
    """What the workers of one group say that have begun to consume."""

    answered: bool = False
    """Some worker has said whether it consumes, or that it is drained or ends, where it need not."""
    silent: bool = False
    """None has, although some are Ready and were asked for GRACE."""
    unheard: bool = False
    """Some that is Ready has not, and was not asked for GRACE: its word is still to come."""
    not_consuming: int = 0
    """How many have taken nothing for GRACE although they should."""
    names: tuple[str, ...] = ()
    """Of the first of those pods."""
    disconnected: bool = False
    """One of them has no connection to the broker; else they have one, and consume no queue."""
    pausing: bool = False
    """Some take nothing although they should, and this process has not known it for GRACE."""
    stalled: bool = False
    """Tasks have been due for STALLED_SECONDS, and no worker of the group has taken any."""
    idle: bool = False
    """The same for less than that, as far as this process knows."""


def consumption_of(
    pods: Mapping[str, Iterable[Manifest]],
    around: Surroundings,
    stalled: Collection[str] = (),
    idle: Collection[str] = (),
    *,
    asked_long: bool = False,
) -> dict[str, Consumption]:
    """By group. Who starts, is drained or ends does not count: that is told elsewhere.

    ``stalled``: groups that take nothing although tasks wait; ``idle``: those of which that may become true.
    ``asked_long``: workers have been asked for GRACE.
    """
    out = {}
    for group, found in pods.items():
        said = _of_group(group, found, around, stalled=group in stalled)
        missing = any(observation.is_ready(pod) and _heard(group, pod, around) is None for pod in found)
        out[group] = replace(
            said,
            silent=asked_long and missing and not said.answered,
            unheard=missing and not asked_long,
            idle=group in idle and group not in stalled,
        )
    return out


def _of_group(group: str, pods: Iterable[Manifest], around: Surroundings, *, stalled: bool) -> Consumption:
    heard = [(pod, report) for pod in pods if (report := _heard(group, pod, around)) is not None]
    said = [(pod["metadata"]["name"], report) for pod, report in heard if _should_consume(pod, report, around)]
    without = sorted((each for each in said if _is_without(each[1])), key=lambda each: each[0])
    return Consumption(
        answered=bool(heard),
        not_consuming=len(without),
        names=tuple(name for name, _ in without[:_SHOWN]),
        disconnected=any(report.connected is False for _, report in without),
        pausing=any(report.not_consuming_since is not None and not _is_without(report) for _, report in said),
        stalled=stalled,
    )


def _heard(group: str, pod: Manifest, around: Surroundings) -> WorkerReport | None:
    """The last word of a worker that has begun to consume; None where there is none, or none of now."""
    report = around.report(pod["metadata"]["uid"])
    if report is None or around.now - report.at > observation.ONLY_REPORT_AGE or not report.started:
        return None
    if report.consuming is None and _should_consume(pod, report, around):
        return None
    return report if observation.has_started(pod, group, around) else None


def _should_consume(pod: Manifest, report: WorkerReport, around: Surroundings) -> bool:
    """Not who ends, or was told to take nothing: a group's last worker is drained before it goes to zero."""
    return not (report.shutting_down or observation.is_drained(report, pod["metadata"]["uid"] in around.held))


def _is_without(report: WorkerReport) -> bool:
    """By its own words alone: of one that has fallen silent since nobody knows how long it lasted."""
    return report.not_consuming_since is not None and report.at - report.not_consuming_since >= GRACE
