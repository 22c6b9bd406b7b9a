"""Makes docs/metrics.md: every metric from the registry, alerts to copy, and what the rest of the metrics answer.

Queries stand in blocks marked `promql`, as those of docs/monitoring.md, and alerts in one PrometheusRule, so that tests
can take both out of the pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from celery_operator.telemetry.metrics import Metrics, document


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A question and the PromQL that answers it."""

    asks: str
    expression: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert rule. `lasts` is how long the expression has to hold; `summary` says what happened and where to look."""

    name: str
    expression: str
    lasts: str
    summary: str
    severity: str = "warning"


def _of_groups(metric: str, state: str) -> str:
    """One value a group: both pods of the operator may have some, the former leader's being older."""
    return f'max by (namespace, cluster, group) (celery_operator_{metric}{{state="{state}"}})'


_TROUBLE: Final = (
    "SpecValid|WorkersAvailable|WorkersConsuming|BeatRunning|BrokerReachable|ResultBackendReachable|QueuesMatch"
)
"""Conditions that are False when something is wrong, and not while a rollout waits for running tasks, as Ready is."""

_NEVER_ASKED: Final = "TransportNotSupported|CredentialsMissing|RegionMissing"
"""Reasons why the operator cannot read a group's queues, whose workers may have all that they need."""

ALERTS: Final = (
    Alert(
        name="CeleryClusterInTrouble",
        expression=f'max by (namespace, cluster, type) (celery_operator_condition{{type=~"{_TROUBLE}"}}) == 0',
        lasts="10m",
        severity="critical",
        summary="a condition is False, the label type says which: see kubectl describe celerycluster, and its line in "
        "the page When something is wrong",
    ),
    Alert(
        name="CeleryClusterNotReady",
        expression='max by (namespace, cluster) (celery_operator_condition{type="Ready"}) == 0',
        lasts="1h",
        summary="the newest spec does not run yet: a rollout that waits for long tasks, a hook, paused; look at Ready",
    ),
    Alert(
        name="CeleryTasksWaitAndNobodyWorks",
        expression=f"{_of_groups('backlog', 'due')} > 0 and {_of_groups('slots', 'busy')} == 0",
        lasts="10m",
        severity="critical",
        summary="tasks are due and no slot is busy: look at WorkersAvailable and WorkersConsuming, then at /status of "
        "a worker",
    ),
    Alert(
        name="CeleryGroupIsFull",
        expression=f"{_of_groups('backlog', 'due')} > 0 and {_of_groups('slots', 'busy')} "
        f">= {_of_groups('slots', 'total')} > 0",
        lasts="30m",
        summary="all slots are busy and tasks wait: raise replicas or maxReplicas, or look at WorkersAvailable for "
        "pods that find no room",
    ),
    Alert(
        name="CeleryGroupDoesNotGrow",
        expression=f"{_of_groups('replicas', 'desired')} > {_of_groups('replicas', 'current')}",
        lasts="15m",
        summary="the load needs more pods than the Deployment is asked for: dryRun, or passes that fail; look at "
        "AutoscalingActive and Ready",
    ),
    Alert(
        name="CeleryQueuesUnreadable",
        # The age begins with the first reading that succeeds; where none has since the operator's start, errors count,
        # but not those of a broker that is for the workers alone: BrokerReachable is Unknown then, and all may be well.
        expression="min by (namespace, cluster, group) (celery_operator_reading_age_seconds) > 180 "
        "or sum by (namespace, cluster, group) (increase(celery_operator_reading_errors_total"
        f'{{reason!~"{_NEVER_ASKED}"}}[5m])) > 0 '
        "unless min by (namespace, cluster, group) (celery_operator_reading_age_seconds)",
        lasts="3m",
        summary="the group's queues have not been read for minutes, so its number of pods stays: look at "
        "AutoscalingActive and BrokerReachable",
    ),
    Alert(
        name="CeleryClusterWarnings",
        expression='sum by (namespace, cluster, rule) (celery_operator_warnings{severity="warning"}) > 0',
        lasts="1h",
        severity="info",
        summary="the linter found what will hurt later: see status.warnings, and the rule in the linter's page",
    ),
    Alert(
        name="CeleryOperatorWithoutLeader",
        # For each release of the chart: several may share a Prometheus.
        expression="sum by (namespace, job) (celery_operator_leader_election_master_status) != 1 "
        "or absent(celery_operator_leader_election_master_status)",
        lasts="2m",
        severity="critical",
        summary="no operator leads: nothing is kept or scaled, workers go on; look at the operator's pods and Lease",
    ),
    Alert(
        name="CeleryOperatorPassesFail",
        expression="sum(rate(celery_operator_reconcile_errors_total[10m])) > 0",
        lasts="15m",
        summary="passes fail and are tried again: look at the operator's log, level warning",
    ),
    Alert(
        name="CeleryOperatorPassHangs",
        expression="max(celery_operator_workqueue_longest_running_seconds) > 300",
        lasts="1m",
        summary="one pass runs for minutes: look at the API server's latency and at the operator's log",
    ),
)
"""What is worth waking somebody, or a look the next morning."""

QUERIES: Final = (
    Query(
        asks="Why could a group's queues not be read?",
        expression="sum by (namespace, cluster, group, reason) "
        "(increase(celery_operator_reading_errors_total[1h])) > 0",
    ),
    Query(
        asks="Was another pod removed than the drained one?",
        expression="sum by (namespace, cluster, group) (increase(celery_operator_wrong_picks_total[1d])) > 0",
    ),
    Query(
        asks="How many rollouts were begun by changed Secrets and ConfigMaps?",
        expression="sum(increase(celery_operator_references_changed_total[1d]))",
    ),
    Query(
        asks="How often did a change of beat wait for the workers?",
        expression="sum(increase(celery_operator_rollouts_held_total[1d]))",
    ),
    Query(
        asks="Which pods could not be told that their grace period was shortened?",
        expression='sum by (result) (increase(celery_operator_deadlines_told_total{result!="told"}[1h])) > 0',
    ),
    Query(
        asks="How do passes end, each second?",
        expression="sum by (controller, result) (rate(celery_operator_reconcile_total[5m]))",
    ),
    Query(
        asks="Do keys wait for a free worker of the operator?",
        expression="histogram_quantile(0.95, sum by (le) "
        "(rate(celery_operator_workqueue_queue_duration_seconds_bucket[5m]))) > 1 "
        "or celery_operator_workqueue_depth > 0",
    ),
    Query(
        asks="How much happens, and how much of it is a repetition after an error?",
        expression="sum by (name) (rate(celery_operator_workqueue_retries_total[5m])) "
        "/ sum by (name) (rate(celery_operator_workqueue_adds_total[5m]))",
    ),
    Query(
        asks="How long does the API server take? (95 % within)",
        expression="histogram_quantile(0.95, sum by (verb, kind, le) "
        "(rate(celery_operator_api_request_seconds_bucket[5m])))",
    ),
    Query(
        asks="Is the operator's event loop blocked? (99 % of the delays are below)",
        expression="histogram_quantile(0.99, sum by (le) (rate(celery_operator_event_loop_lag_seconds_bucket[5m])))",
    ),
    Query(
        asks="Which kinds have been silent for long? (No alarm by itself: where nothing changes, nothing is told.)",
        expression="min by (kind) (celery_operator_watch_last_event_age_seconds) > 3600",
    ),
)
"""What is asked of the metrics that neither the alerts nor docs/monitoring.md ask for."""

_MORE: Final = """\
Who scrapes them, what to ask of queues and workers, and the figures of tasks, which Flower has, are in
[monitoring.md](monitoring.md).
"""


def page() -> str:
    """The page in Markdown. Deterministic: `docs/metrics.md` is checked against it."""
    return "\n".join([document(Metrics()), _MORE, *_alerts(), *_queries(), "```"]) + "\n"


def rule() -> dict[str, Any]:
    """The alerts as a PrometheusRule."""
    rules = [
        {
            "alert": alert.name,
            "expr": alert.expression,
            "for": alert.lasts,
            "labels": {"severity": alert.severity},
            "annotations": {"summary": alert.summary},
        }
        for alert in ALERTS
    ]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "celery-operator"},
        "spec": {"groups": [{"name": "celery-operator", "rules": rules}]},
    }


def _alerts() -> Iterator[str]:
    yield "## Alerts"
    yield ""
    yield "A manifest to copy and to adapt; `spec` is what Prometheus itself takes as a rule file."
    yield ""
    yield "```yaml"
    yield from yaml.safe_dump(rule(), sort_keys=False, width=110, allow_unicode=True).splitlines()
    yield "```"
    yield ""


def _queries() -> Iterator[str]:
    yield "## Further questions"
    yield ""
    yield "```promql"
    for number, query in enumerate(QUERIES):
        yield from [""] * (number > 0)
        yield f"# {query.asks}"
        yield query.expression
