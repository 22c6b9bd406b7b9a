"""All rules in the order in which they are told, and how they are run over one CeleryCluster."""

from __future__ import annotations

from typing import Final

from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import SEVERITIES, Finding, Rule
from celery_operator.lint.rules import (
    autoscaling_without_queues,
    beat_queue_without_consumer,
    broker_retries_limited,
    concurrency_exceeds_cpu,
    consumer_timeout,
    database_results_without_beat,
    default_queue_without_consumer,
    eager_tasks,
    eta_beyond_visibility_timeout,
    eta_task_limit,
    eviction_never_allowed,
    grace_period_too_short,
    management_without_rabbitmq,
    memory_per_child,
    password_in_spec,
    pickle_accepted,
    pod_security_unset,
    prefetch_hides_tasks,
    process_autoscale,
    progress_deadline_too_short,
    queue_never_named,
    queue_without_consumer,
    quorum_drops_messages,
    quorum_eta,
    quorum_global_prefetch,
    rate_limit_per_worker,
    redelivered_while_running,
    redis_without_storage,
    requeue_loses_tasks,
    results_never_expire,
    revokes_not_kept,
    rpc_chords,
    shared_queues,
    stalls_on_redis,
    task_events_everywhere,
    unequal_visibility_timeouts,
    unknown_rule,
    unknown_tasks,
    variable_ignored,
    visibility_timeout_too_short,
)
from celery_operator.lint.silenced import silenced

_MODULES: Final = (
    redis_without_storage,
    password_in_spec,
    pickle_accepted,
    eager_tasks,
    redelivered_while_running,
    visibility_timeout_too_short,
    eta_beyond_visibility_timeout,
    unequal_visibility_timeouts,
    stalls_on_redis,
    broker_retries_limited,
    consumer_timeout,
    quorum_global_prefetch,
    quorum_drops_messages,
    quorum_eta,
    shared_queues,
    queue_without_consumer,
    queue_never_named,
    beat_queue_without_consumer,
    default_queue_without_consumer,
    unknown_tasks,
    requeue_loses_tasks,
    grace_period_too_short,
    prefetch_hides_tasks,
    eta_task_limit,
    rate_limit_per_worker,
    revokes_not_kept,
    memory_per_child,
    process_autoscale,
    autoscaling_without_queues,
    eviction_never_allowed,
    progress_deadline_too_short,
    results_never_expire,
    database_results_without_beat,
    management_without_rabbitmq,
    rpc_chords,
    concurrency_exceeds_cpu,
    task_events_everywhere,
    variable_ignored,
    pod_security_unset,
)
"""What loses tasks or secrets first, matters of taste last."""

_WITH_RULE: Final[tuple[Rule, ...]] = tuple(module.RULE for module in _MODULES)
RULES: Final[tuple[Rule, ...]] = (*_WITH_RULE, unknown_rule.rule(frozenset(rule.id for rule in _WITH_RULE)))


def check(inputs: Inputs) -> tuple[Finding, ...]:
    """What all rules find, warnings first; without those that the CeleryCluster silences."""
    quiet = silenced(inputs.cluster)
    found = [finding for rule in RULES if rule.id not in quiet for finding in rule.check(inputs)]
    return tuple(sorted(found, key=lambda finding: SEVERITIES.index(finding.severity)))
