"""A mistake for each rule that it alone finds, and what is nearest to it and no mistake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from celery_operator.lint.inputs import BrokerFacts, Inputs
from celery_operator.lint.silenced import ANNOTATION
from tests.unit.lint.found import running, seen, web

Json = dict[str, Any]
LATE: Json = {"taskDelivery": "AtLeastOnce"}
RABBIT: Json = {"broker": {"url": "amqp://rabbit"}}
SQS: Json = {"broker": {"url": "sqs://"}}
SECRET: Json = {"broker": {"urlFrom": {"secretKeyRef": {"name": "s", "key": "url"}}}}
QUORUM: Json = {**RABBIT, "config": {"task_default_queue_type": "quorum", "task_default_exchange_type": "topic"}}
MISSING: Json = {
    **RABBIT,
    "config": {"task_create_missing_queue_type": "quorum", "task_create_missing_queue_exchange_type": "topic"},
}
QUORUM_QUEUE: Json = {
    "name": "a",
    "type": "quorum",
    "deadLetter": {"exchange": "dead"},
    "arguments": {"x-delivery-limit": 50},
}
HOOK: Json = {"hooks": {"beforeRollout": {"command": ["migrate"]}}}
LIMITED: Json = {"shop.mail": {"rate_limit": "10/m"}}
LENGTH: Json = {"minReplicas": 1, "maxReplicas": 3, "targetQueueLength": 10}
REDIS = BrokerFacts(scheme="rediss")
TWO_HOURS: Json = {**RABBIT, **LATE, "maxTaskDuration": "2h", "workers": [{"name": "web", "queues": ["a", "b"]}]}
MANAGED: Json = {
    **TWO_HOURS,
    "broker": {"url": "amqp://rabbitmq", "management": {"url": "http://rabbitmq:15672"}},
}
"""Policies may set what the spec does not say, and the operator can read them."""


def group(**fields: Any) -> Json:
    return {"workers": [{"name": "web", **fields}]}


def config(**settings: Any) -> Json:
    return {"config": settings}


def redis(database: int = 0, **options: Any) -> Json:
    return {"broker": {"url": f"redis://redis/{database}", "transportOptions": options}}


def sentinel(master: str) -> Json:
    """One of the masters that the same Sentinels know."""
    return {"broker": {"parts": {"scheme": "sentinel", "host": "s"}, "transportOptions": {"master_name": master}}}


def queue(consumed: str = "a", **fields: Any) -> Json:
    return {**RABBIT, **LATE, "queues": [{"name": "a", **fields}], **group(queues=[consumed])}


def mail(replicas: int, web: int = 5, queue: str = "mail") -> Json:
    """A group of its own for some tasks."""
    return {
        "workers": [
            {"name": "web", "replicas": web, "queues": ["web"]},
            {"name": "mail", "replicas": replicas, "queues": [queue]},
        ]
    }


def declaring(name: str, **fields: Any) -> Json:
    """A declared queue, and a group that names none."""
    return {**RABBIT, "queues": [{"name": name, **fields}], **group()}


def with_dead(name: str, letters: Json, *others: Json) -> Json:
    """A consumed queue with dead letters, and other declared ones."""
    return {**RABBIT, "queues": [{"name": name, "deadLetter": letters}, *others], **group(queues=[name])}


def policy(**seconds: float) -> BrokerFacts:
    """consumer_timeout by queue, as RabbitMQ tells it."""
    return BrokerFacts(scheme="amqp", consumer_timeouts=seconds)


def beat(queue: str, **fields: Any) -> Json:
    return {
        **group(queues=["a"]),
        "beat": {"schedule": [{"name": "e", "task": "t", "every": "30s", "queue": queue, **fields}]},
    }


def silencing(names: str) -> Inputs:
    inputs = seen({})
    metadata = inputs.cluster.metadata.model_copy(update={"annotations": {ANNOTATION: names}})
    return Inputs(cluster=inputs.cluster.model_copy(update={"metadata": metadata}))


@dataclass(frozen=True, slots=True)
class Row:
    """``says`` stands in the one message that ``wrong`` gets; ``right`` gets none."""

    rule: str
    wrong: Inputs
    right: Inputs
    says: str


ROWS = (
    Row(
        "pod-security-unset",
        seen({"podSecurity": None}),
        seen({"podSecurity": "Compatible"}),
        "set it to Restricted, or to Compatible",
    ),
    Row(
        "pod-security-unset",
        seen({"podSecurity": None, **group(podSecurity="Restricted"), "beat": {}}),
        seen({"podSecurity": None, **group(podSecurity="Restricted"), "beat": {"podSecurity": "Compatible"}}),
        "spec.podSecurity is not set",
    ),
    Row(
        "pod-security-unset",
        seen({"podSecurity": None, "workers": [{"name": "web", "podSecurity": "Restricted"}, {"name": "mail"}]}),
        seen({"podSecurity": None, **group(podSecurity="Restricted")}),
        "spec.podSecurity is not set",
    ),
    Row(
        "pod-security-unset",
        seen({"podSecurity": None, **group(podSecurity="Restricted"), "beat": {"podSecurity": "Compatible"}, **HOOK}),
        seen({"podSecurity": None, **group(podSecurity="Restricted"), "beat": {"podSecurity": "Restricted"}, **HOOK}),
        "spec.podSecurity is not set",
    ),
    Row(
        "password-in-spec",
        seen({"env": [{"name": "DATABASE_URL", "value": "postgres://u:hunt/er2@db/shop"}]}),
        seen({"env": [{"name": "DATABASE_URL", "value": "postgres://db:5432/shop@eu"}]}),
        "spec.env[DATABASE_URL] holds a password in plain text",
    ),
    Row(
        "password-in-spec",
        seen({"broker": {"url": "redis://:hunter2@r/0"}}),
        seen({"broker": {"url": "redis://user:@r/0"}}),
        "spec.broker.url holds a password in plain text",
    ),
    Row(
        "password-in-spec",
        seen({"broker": {"url": "sentinel://a:1;sentinel://:hunter2@b:1/0"}}),
        seen({"broker": {"url": "sentinel://a:1;sentinel://user@b:1/0"}}),
        "spec.broker.url holds a password in plain text",
    ),
    Row(
        "password-in-spec",
        seen({"env": [{"name": "DATABASE_URL", "value": "postgres://u:hunter;2@db/shop"}]}),
        seen({"env": [{"name": "DATABASE_URL", "value": "postgres://u;v@db/shop"}]}),
        "spec.env[DATABASE_URL] holds a password in plain text",
    ),
    Row(
        "password-in-spec",
        seen({"resultBackend": {"url": "redis://u:hunter2@r/1"}}),
        seen({"resultBackend": {"url": "redis://u@r/1"}}),
        "spec.resultBackend.url holds a password",
    ),
    Row(
        "password-in-spec",
        seen({**RABBIT, "broker": {"url": "amqp://r", "management": {"url": "http://u:hunter2@r:15672"}}}),
        seen({**RABBIT, "broker": {"url": "amqp://r", "management": {"url": "http://r:15672"}}}),
        "spec.broker.management.url holds a password",
    ),
    Row(
        "password-in-spec",
        seen(redis(sentinel_kwargs={"password": "hunter2"})),
        seen(redis(sentinel_kwargs={"username": "u"})),
        "move it to broker.transportOptionsFrom",
    ),
    Row(
        "password-in-spec",
        seen(config(redbeat_redis_url="redis://:hunter2@r/2")),
        seen(config(redbeat_redis_url="redis://r/2")),
        "spec.config[redbeat_redis_url] holds a password in plain text; put the value into a Secret and use configFrom",
    ),
    Row(
        "password-in-spec",
        seen({"env": [{"name": "DATABASE_URL", "value": "postgres://u:hunter2@db/shop"}]}),
        seen({"env": [{"name": "DATABASE_URL", "value": "postgres://u:$(DATABASE_PASSWORD)@db/shop"}]}),
        "spec.env[DATABASE_URL] holds a password in plain text; use valueFrom.secretKeyRef",
    ),
    Row(
        "password-in-spec",
        seen(group(env=[{"name": "DATABASE_URL", "value": "postgres://u:hunter2@db/shop"}])),
        seen(group(env=[{"name": "DATABASE_URL", "value": "postgres://db/shop?x=a:b@c"}])),
        "spec.workers[web].env[DATABASE_URL] holds",
    ),
    Row(
        "management-without-rabbitmq",
        seen({"broker": {"url": "redis://r", "management": {"url": "http://r:15672"}}}),
        seen({"broker": {"url": "pyamqp://r", "management": {"url": "http://r:15672"}}}),
        "the broker's URL begins with redis; remove it",
    ),
    Row(
        "redis-without-storage",
        seen({"broker": {"redis": {}}}),
        seen({"broker": {"redis": {"storage": {}}}}),
        "waiting tasks are lost when its pod restarts",
    ),
    Row(
        "memory-per-child",
        seen(group(maxMemoryPerChild="257Mi", concurrency=4, resources={"limits": {"memory": "1Gi"}})),
        seen(group(maxMemoryPerChild="256Mi", concurrency=4, resources={"limits": {"memory": "1Gi"}})),
        "worker group 'web': maxMemoryPerChild 257Mi x concurrency 4 exceeds the 1Gi limit; raise",
    ),
    Row(
        "concurrency-exceeds-cpu",
        seen(group(concurrency=9, resources={"limits": {"cpu": "2"}})),
        seen(group(concurrency=8, resources={"limits": {"cpu": "2"}})),
        "concurrency 9 with a CPU limit of 2 leaves each process 0.22 CPUs",
    ),
    Row(
        "concurrency-exceeds-cpu",
        seen(group(concurrency=100, resources={"limits": {"cpu": "500m"}})),
        seen(group(concurrency=100, pool="gevent", resources={"limits": {"cpu": "500m"}})),
        "concurrency 100 with a CPU limit of 500m leaves each process 0.005 CPUs",
    ),
    Row(
        "eviction-never-allowed",
        seen(group(replicas=1, disruptionBudget={"minAvailable": "1%"})),
        seen(group(replicas=2, disruptionBudget={"minAvailable": "1%"})),
        "a node drain waits for ever; lower minAvailable",
    ),
    Row(
        "concurrency-exceeds-cpu",
        seen(group(processAutoscale={"min": 1, "max": 100}, resources={"limits": {"cpu": "500m"}})),
        seen(group(processAutoscale={"min": 1, "max": 2}, resources={"limits": {"cpu": "500m"}})),
        "processAutoscale.max 100 with a CPU limit of 500m leaves each process 0.005 CPUs",
    ),
    Row(
        "memory-per-child",
        seen(
            group(
                processAutoscale={"min": 1, "max": 4}, maxMemoryPerChild="1Gi", resources={"limits": {"memory": "2Gi"}}
            )
        ),
        seen(
            group(
                processAutoscale={"min": 1, "max": 2}, maxMemoryPerChild="1Gi", resources={"limits": {"memory": "2Gi"}}
            )
        ),
        "maxMemoryPerChild 1Gi x processAutoscale.max 4 exceeds the 2Gi limit",
    ),
    Row(
        "process-autoscale",
        seen(group(queues=["a"], autoscaling=LENGTH, processAutoscale={"min": 2, "max": 8})),
        seen(group(queues=["a"], replicas=3, processAutoscale={"min": 2, "max": 8})),
        "remove processAutoscale and set concurrency: 8",
    ),
    Row(
        "process-autoscale",
        seen(group(externalScaling={}, processAutoscale={"min": 2, "max": 8})),
        seen(group(externalScaling={})),
        "processAutoscale changes the slots inside each pod",
    ),
    Row(
        "autoscaling-without-queues",
        seen(group(autoscaling=LENGTH)),
        seen(group(autoscaling=LENGTH, queues=["celery"])),
        "the group is never scaled by them: set queues",
    ),
    Row(
        "requeue-loses-tasks",
        seen(group(shutdown={"mode": "Requeue"})),
        seen({**LATE, **group(shutdown={"mode": "Requeue"})}),
        "all others that run are lost",
    ),
    Row(
        "grace-period-too-short",
        seen({**LATE, "maxTaskDuration": "10m", **group(shutdown={"gracePeriod": "614s"})}),
        seen({**LATE, "maxTaskDuration": "10m", **group(shutdown={"gracePeriod": "615s"})}),
        "614 s is too short for the longest task (600 s and 15 s to give tasks back); tasks that are cut",
    ),
    Row(
        "grace-period-too-short",
        seen({**LATE, "maxTaskDuration": "10m", **group(pool="threads", shutdown={"gracePeriod": "601s"})}),
        seen({**LATE, "maxTaskDuration": "10m", **group(pool="threads", shutdown={"gracePeriod": "602s"})}),
        "at the end its process ends with all its tasks",
    ),
    Row(
        "progress-deadline-too-short",
        seen(group(strategy={"progressDeadline": "599s"})),
        seen(group(strategy={"progressDeadline": "600s"})),
        "strategy.progressDeadline (599 s) ends before the startup probe gives up (600 s)",
    ),
    Row(
        "revokes-not-kept",
        seen(group(replicas=51)),
        seen(group(replicas=50)),
        "51 worker pods are more than 50",
    ),
    Row(
        "variable-ignored",
        seen({"env": [{"name": "BROKER_URL", "value": "x"}]}),
        seen({"env": [{"name": "THE_BROKER_URL", "value": "x"}]}),
        "spec.env[BROKER_URL] does not reach Celery, which would read it: spec.broker counts",
    ),
    Row(
        "variable-ignored",
        seen(group(env=[{"name": "APP", "value": "x"}])),
        seen(group(env=[{"name": "MY_APP", "value": "x"}])),
        "spec.workers[web].env[APP] does not reach Celery",
    ),
    Row(
        "prefetch-hides-tasks",
        seen({**LATE, **group(prefetchMultiplier=2)}),
        seen({**LATE, **group(prefetchMultiplier=1)}),
        "takes 2 messages for each slot in advance",
    ),
    Row(
        "prefetch-hides-tasks",
        seen({**LATE, "maxTaskDuration": "60s", **group(prefetchMultiplier=16)}),
        seen({**LATE, "maxTaskDuration": "2s", **group(prefetchMultiplier=16)}),
        "no other worker can run them; remove prefetchMultiplier",
    ),
    Row(
        "prefetch-hides-tasks",
        seen({**RABBIT, "maxTaskDuration": "20m", **group(prefetchMultiplier=2)}),
        seen({**RABBIT, "maxTaskDuration": "20m", **group(prefetchMultiplier=1)}),
        "no other worker can run them; set prefetchMultiplier to 1",
    ),
    Row(
        "prefetch-hides-tasks",
        seen({**LATE, **group(prefetchMultiplier=3)}),
        seen({**LATE, **group(prefetchMultiplier=3), **config(worker_disable_prefetch=True)}),
        "takes 3 messages for each slot in advance",
    ),
    Row(
        "prefetch-hides-tasks",
        seen({"maxTaskDuration": "60s", **group(prefetchMultiplier=0)}),
        seen({"maxTaskDuration": "59s", **group(prefetchMultiplier=0)}),
        "takes any number of messages in advance",
    ),
    Row(
        "prefetch-hides-tasks",
        seen({**RABBIT, "maxTaskDuration": "20m"}),
        seen({**RABBIT, "maxTaskDuration": "20m", **group(prefetchMultiplier=1)}),
        "which wait behind tasks of up to 1200 s while other workers are idle; set prefetchMultiplier to 1",
    ),
    Row(
        "prefetch-hides-tasks",
        seen({"maxTaskDuration": "60s"}, fleet=web(versions=running("5.5.3", "5.7.0"))),
        seen({"maxTaskDuration": "60s"}, fleet=web(versions=running("5.6.0", "5.7.0"))),
        "wait behind tasks of up to 60 s while other workers are idle; set prefetchMultiplier to 1",
    ),
    Row(
        "visibility-timeout-too-short",
        seen({**redis(visibility_timeout=1289), "maxTaskDuration": "10m"}),
        seen({**redis(visibility_timeout=1290), "maxTaskDuration": "10m"}),
        "spec.broker.transportOptions: the visibility timeout of 1289 s is shorter than the longest task and grace "
        "period (1290 s)",
    ),
    Row(
        "visibility-timeout-too-short",
        seen({**redis(visibility_timeout=-(10**400)), "maxTaskDuration": "10m"}),
        seen({**redis(visibility_timeout=10**400), "maxTaskDuration": "10m"}),
        "the visibility timeout of -1e+12 s is shorter",
    ),
    Row(
        "visibility-timeout-too-short",
        seen(config(CELERY_BROKER_TRANSPORT_OPTIONS={"visibility_timeout": 359})),
        seen(config(CELERY_BROKER_TRANSPORT_OPTIONS={"visibility_timeout": 360})),
        "spec.config: the visibility timeout of 359 s",
    ),
    Row(
        "visibility-timeout-too-short",
        seen(SECRET, fleet=web(visibility_timeouts=frozenset({3600.0, 60.0})), broker=REDIS),
        seen(SECRET, fleet=web(visibility_timeouts=frozenset({3600.0, 360.0})), broker=REDIS),
        "worker group 'web': its workers have a visibility timeout of 60 s, shorter than",
    ),
    Row(
        "visibility-timeout-too-short",
        # Pods that ran before maxTaskDuration was raised, and no word of theirs in the application's code.
        seen({"maxTaskDuration": "1h"}, fleet=web(visibility_timeouts=frozenset({7290.0, 3600.0}))),
        seen({"maxTaskDuration": "1h"}, fleet=web(visibility_timeouts=frozenset({7290.0}))),
        "if that is so after the rollout, the application sets it",
    ),
    Row(
        "visibility-timeout-too-short",
        seen({**SQS, **LATE, "maxTaskDuration": "15m"}),
        seen({**SQS, **LATE, "maxTaskDuration": "14m"}),
        "Amazon SQS delivers a task that still runs again after the visibility timeout of its queue (1800 s, unless",
    ),
    Row(
        "visibility-timeout-too-short",
        seen(
            {
                "broker": {**SQS["broker"], "transportOptions": {"visibility_timeout": 7289}},
                **LATE,
                "maxTaskDuration": "1h",
            }
        ),
        seen(
            {
                "broker": {**SQS["broker"], "transportOptions": {"visibility_timeout": 7290}},
                **LATE,
                "maxTaskDuration": "1h",
            }
        ),
        "of its queue (7289 s), which is shorter than the longest task and grace period (7290 s)",
    ),
    Row(
        "eta-beyond-visibility-timeout",
        seen(SECRET, broker=BrokerFacts(scheme="redis", nearest_eta=3601.0)),
        seen(SECRET, broker=BrokerFacts(scheme="redis", nearest_eta=3600.0), fleet=web(furthest_eta=3600.0)),
        "further away than the visibility timeout of 3600 s",
    ),
    Row(
        "unequal-visibility-timeouts",
        seen({**redis(visibility_timeout=7200), **group(queues=["a"])}, {**redis(), **group(queues=["b"])}),
        seen({**redis(visibility_timeout=3600), **group(queues=["a"])}, {**redis(), **group(queues=["b"])}),
        "CeleryCluster team/other-0 uses the same Redis database with a visibility timeout of 3600 s, and this one has "
        "7200 s: the shorter one, at team/other-0, makes workers deliver tasks of this CeleryCluster again",
    ),
    Row(
        "unequal-visibility-timeouts",
        seen({**redis(), **group(queues=["a"])}, {**redis(), "maxTaskDuration": "2h", **group(queues=["b"])}),
        seen({**redis(), **group(queues=["a"])}, {**redis(1), "maxTaskDuration": "2h", **group(queues=["b"])}),
        "the shorter one, here, makes workers deliver tasks of team/other-0 again while they still run",
    ),
    Row(
        "shared-queues",
        # A group that names no queues consumes all that are declared, and then not Celery's default one.
        seen(declaring("a"), declaring("a")),
        seen(declaring("a"), declaring("b")),
        "consumes queue 'a' on the same broker, too",
    ),
    Row(
        "consumer-timeout",
        seen({**declaring("a"), **LATE, "maxTaskDuration": "2h"}),
        seen({**declaring("a", arguments={"x-consumer-timeout": 7_300_000}), **LATE, "maxTaskDuration": "2h"}),
        "unacknowledged for 1800 s",
    ),
    Row(
        "queue-without-consumer",
        seen({**RABBIT, **group(queues=["a"]), **config(task_routes={"t": "b"})}, declaring("c")),
        seen({**RABBIT, **group(queues=["a"]), **config(task_routes={"t": "b"})}, declaring("b")),
        "task_routes sends t to queue 'b'",
    ),
    Row(
        "shared-queues",
        seen(sentinel("shop"), sentinel("shop")),
        seen(sentinel("shop"), sentinel("crm")),
        "consumes queue 'celery' on the same broker, too",
    ),
    Row(
        "shared-queues",
        seen({**redis(), **group(queues=["a", "b"])}, {**redis(), **group(queues=["b", "c"])}),
        seen({**redis(), **group(queues=["a", "b"])}, {**redis(), **group(queues=["c"])}),
        "CeleryCluster team/other-0 consumes queue 'b' on the same broker, too",
    ),
    Row(
        "shared-queues",
        seen(redis(), redis()),
        seen(redis(), redis(global_keyprefix="staging:")),
        "queue 'celery'",
    ),
    Row(
        "consumer-timeout",
        seen({**RABBIT, **LATE, "maxTaskDuration": "30m"}),
        seen({**RABBIT, **LATE, "maxTaskDuration": "1799s"}),
        "tasks may run for 1800 s, and RabbitMQ takes a message back that is unacknowledged for 1800 s",
    ),
    Row(
        "consumer-timeout",
        seen({**queue(arguments={"x-consumer-timeout": 7200000}), "maxTaskDuration": "2h"}),
        seen({**queue(arguments={"x-consumer-timeout": 7200001}), "maxTaskDuration": "2h"}),
        "unacknowledged for 7200 s",
    ),
    Row(
        "consumer-timeout",
        seen(TWO_HOURS, broker=policy(a=7200.0, b=7201.0)),
        seen(TWO_HOURS, broker=policy(a=7201.0, b=7201.0)),
        "unacknowledged for 7200 s",
    ),
    Row(
        "consumer-timeout",
        seen(TWO_HOURS, broker=policy(a=7201.0)),
        seen({**TWO_HOURS, **group(queues=["a"])}, broker=policy(a=7201.0, b=60.0)),
        "unacknowledged for 1800 s",
    ),
    Row(
        "consumer-timeout",
        seen({**queue(arguments={"x-consumer-timeout": 9000000}), "maxTaskDuration": "2h"}, broker=policy(a=60.0)),
        seen({**queue(arguments={"x-consumer-timeout": 9000000}), "maxTaskDuration": "2h"}, broker=policy()),
        "unacknowledged for 60 s",
    ),
    Row(
        "consumer-timeout",
        seen(MANAGED, broker=policy()),
        seen(MANAGED, broker=BrokerFacts(scheme="amqp")),
        "unacknowledged for 1800 s",
    ),
    Row(
        "consumer-timeout",
        seen({**MANAGED, "workers": [{"name": "web"}]}),
        seen(MANAGED),
        "unacknowledged for 1800 s",
    ),
    Row(
        "consumer-timeout",
        seen(RABBIT, fleet=web(furthest_eta=1800.0)),
        seen(RABBIT, fleet=web(furthest_eta=1200.0)),
        "its workers hold tasks whose ETA is further away than the 1800 s",
    ),
    Row(
        "consumer-timeout",
        seen({**RABBIT, **group(queues=["a"])}, fleet=web(furthest_eta=7200.0), broker=policy(a=7200.0)),
        seen({**RABBIT, **group(queues=["a"])}, fleet=web(furthest_eta=6600.0), broker=policy(a=7200.0)),
        "delivered once more; raise it above the longest ETA",
    ),
    Row(
        "eta-beyond-visibility-timeout",
        seen(redis(), fleet=web(furthest_eta=4200.0)),
        seen(RABBIT, fleet=web(furthest_eta=600.0)),
        "further away than the visibility timeout of 3600 s",
    ),
    Row(
        "eta-task-limit",
        seen(config(worker_eta_task_limit=5), fleet=web(holds_eta=True)),
        seen(config(worker_eta_task_limit=5), fleet=web(holds_eta=False)),
        "with worker_eta_task_limit 5 a worker that holds so many takes no other task",
    ),
    Row(
        "quorum-eta",
        seen({**RABBIT, **config(task_default_queue_type="quorum")}),
        seen(QUORUM),
        "set task_default_exchange_type to topic",
    ),
    Row(
        "quorum-eta",
        seen({**RABBIT, **config(task_create_missing_queue_type="quorum")}),
        seen(
            {
                **RABBIT,
                **config(task_create_missing_queue_type="quorum", task_create_missing_queue_exchange_type="topic"),
            }
        ),
        "set task_create_missing_queue_exchange_type to topic",
    ),
    Row(
        "quorum-eta",
        seen({**queue(type="quorum", exchangeType="direct"), "taskDelivery": None}),
        seen({**queue(type="quorum"), "taskDelivery": None}),
        "spec.queues[a]: RabbitMQ cannot delay tasks of a quorum queue with a direct exchange",
    ),
    Row(
        "quorum-eta",
        seen({**queue(type="quorum", exchange="amq.direct"), "taskDelivery": None}),
        seen({**queue(type="quorum", exchange="amq.topic"), "taskDelivery": None}),
        "in place of other tasks; set exchange to one that is not direct, such as amq.topic",
    ),
    Row(
        "eager-tasks",
        seen(config(task_always_eager=True)),
        seen(config(task_always_eager=False)),
        "spec.config: task_always_eager runs a task in the process that sends it",
    ),
    Row(
        "eager-tasks",
        seen({**config(CELERY_ALWAYS_EAGER=True), "beat": {}}),
        seen({**config(CELERY_ALWAYS_EAGER=None), "beat": {}}),
        "beat's in beat itself",
    ),
    Row(
        "pickle-accepted",
        seen(config(accept_content=["json", "pickle"])),
        seen(config(accept_content=["json", "msgpack"])),
        "spec.config: accept_content has workers unpickle",
    ),
    Row(
        "pickle-accepted",
        seen(config(CELERY_ACCEPT_CONTENT=["application/x-python-serialize"], task_serializer="pickle")),
        seen(config(CELERY_ACCEPT_CONTENT=["application/json"], task_serializer="json")),
        "accept_content, task_serializer",
    ),
    Row(
        "broker-retries-limited",
        seen(config(broker_connection_max_retries=10)),
        seen(config(broker_connection_max_retries=None)),
        "with broker_connection_max_retries 10 a worker ends when the broker has been away for 110 s",
    ),
    Row(
        "broker-retries-limited",
        seen(config(broker_connection_max_retries=0)),
        seen(config(broker_connection_max_retries=1000)),
        "a worker ends as soon as the broker is away",
    ),
    Row(
        "broker-retries-limited",
        seen(config(broker_connection_retry=False)),
        seen(config(broker_connection_retry=True)),
        "with broker_connection_retry false a worker ends as soon as the broker is away",
    ),
    Row(
        "broker-retries-limited",
        seen(config(broker_connection_retry_on_startup=False)),
        seen(config(broker_connection_retry_on_startup=None)),
        "with broker_connection_retry_on_startup false a worker ends when the broker is away at its start",
    ),
    Row(
        "quorum-global-prefetch",
        seen({**QUORUM, "config": {**QUORUM["config"], "worker_detect_quorum_queues": False}}),
        seen({**QUORUM, "config": {**QUORUM["config"], "worker_detect_quorum_queues": True}}),
        "consume nothing; remove the setting",
    ),
    Row(
        "quorum-global-prefetch",
        seen(QUORUM, fleet=web(versions=running("5.4.0", "5.4.2"))),
        seen(QUORUM, fleet=web(versions=running("5.5.0", "5.5.0"))),
        "Celery 5.4.0 asks quorum queues for a global prefetch count",
    ),
    Row(
        "quorum-drops-messages",
        seen(queue(type="quorum")),
        seen(queue(type="classic")),
        "the delivery limit of RabbitMQ 4 (20 returns) is dropped, although taskDelivery is AtLeastOnce; set "
        "deadLetter, so that it is kept, and x-delivery-limit in arguments",
    ),
    Row(
        "quorum-drops-messages",
        seen(queue(type="quorum", arguments={"x-delivery-limit": 5})),
        seen(queue(type="quorum", arguments={"x-delivery-limit": 5}, deadLetter={"exchange": "dead"})),
        "the delivery limit of 5 returns is dropped",
    ),
    Row(
        "quorum-drops-messages",
        seen(queue(type="quorum", arguments={"x-delivery-limit": 0})),
        seen(queue(type="quorum", arguments={"x-delivery-limit": -1})),
        "the delivery limit of 0 returns is dropped",
    ),
    Row(
        "quorum-drops-messages",
        seen(queue(type="quorum", deadLetter={"exchange": "dead"})),
        seen({**queue(type="quorum", deadLetter={"exchange": "dead"}), "taskDelivery": "AtMostOnce"}),
        "set x-delivery-limit in arguments",
    ),
    Row(
        "quorum-drops-messages",
        seen({**QUORUM, **LATE}),
        seen({**QUORUM, **LATE, **group(queues=["a"])}),
        "spec.config: task_default_queue_type makes 'celery' a quorum queue",
    ),
    Row(
        "quorum-drops-messages",
        seen({**MISSING, **LATE, "workers": [{"name": "web", "queues": ["a", "celery"]}]}),
        seen({**MISSING, **LATE, **group(queues=["a"]), "queues": [QUORUM_QUEUE]}),
        "spec.config: task_create_missing_queue_type makes 'a' a quorum queue",
    ),
    Row(
        "results-never-expire",
        seen({"resultBackend": {"url": "redis://r/1"}, **config(result_expires=None)}),
        seen({"resultBackend": {"url": "redis://r/1"}, **config(result_expires=1)}),
        "results are kept for ever",
    ),
    Row(
        "results-never-expire",
        seen(config(CELERY_TASK_RESULT_EXPIRES=0)),
        seen(config(CELERY_TASK_RESULT_EXPIRES=0, task_ignore_result=True)),
        "remove it for Celery's default of a day",
    ),
    Row(
        "task-events-everywhere",
        seen({"workers": [{"name": "web", "taskEvents": True}, {"name": "io", "taskEvents": True}]}),
        seen({"workers": [{"name": "web", "taskEvents": True}, {"name": "io"}]}),
        "the broker carries about four messages more for each task",
    ),
    Row(
        "task-events-everywhere",
        seen({"workers": [{"name": "web", "taskEvents": True}, {"name": "io", "taskEvents": True}]}),
        seen({"workers": [{"name": "web", "taskEvents": True}, {"name": "io", "taskEvents": True}], "flower": {}}),
        "remove it from those whose tasks are many and short",
    ),
    Row(
        "queue-without-consumer",
        seen({**group(queues=["a"]), **config(task_routes={"shop.*": {"queue": "b"}})}),
        seen({**group(queues=["a"]), **config(task_routes={"shop.*": {"queue": "a"}})}),
        "task_routes sends shop.* to queue 'b', which no worker group consumes",
    ),
    Row(
        "queue-without-consumer",
        seen({**group(queues=["a"]), **config(CELERY_ROUTES=[["shop.*", "b"]])}),
        seen({**group(), **config(CELERY_ROUTES=[["shop.*", "b"]])}),
        "to queue 'b'",
    ),
    Row(
        "queue-without-consumer",
        seen({**redis(), **group(queues=["a"]), **config(task_routes={"t": "b"})}, {**redis(), **group(queues=["c"])}),
        seen({**redis(), **group(queues=["a"]), **config(task_routes={"t": "b"})}, {**redis(), **group(queues=["b"])}),
        "task_routes sends t to queue 'b'",
    ),
    Row(
        "queue-never-named",
        seen(queue("b")),
        seen(queue("a")),
        "spec.queues[a] is declared, and neither a worker group nor a route names it",
    ),
    Row(
        "queue-never-named",
        seen(with_dead("b", {"exchange": "", "routingKey": "dead"}, {"name": "dead"})),
        seen(with_dead("b", {"exchange": "", "routingKey": "dead"})),
        "spec.queues[dead] is declared for the dead letters of 'b', and no worker group consumes it",
    ),
    Row(
        "queue-never-named",
        seen(
            with_dead("b", {"exchange": "letters"}, {"name": "dead", "exchange": "letters", "exchangeType": "fanout"})
        ),
        seen(with_dead("b", {"exchange": "letters"})),
        "make it by a hook or by hand, and remove it here",
    ),
    Row(
        "beat-queue-without-consumer",
        seen(beat("b")),
        seen(beat("b", enabled=False)),
        "spec.beat.schedule[e].queue: no worker group consumes 'b', so the queue grows by a task each 30s",
    ),
    Row(
        "beat-queue-without-consumer",
        seen(beat("b", every=None, crontab="0 8 * * *")),
        seen(beat("a", every=None, crontab="0 8 * * *")),
        "so the queue grows by a task each time",
    ),
    Row(
        "default-queue-without-consumer",
        seen({**group(queues=["a"]), **config(task_default_queue="b")}),
        seen({**group(queues=["a"]), **config(task_default_queue="a")}),
        "task_default_queue is 'b', which no worker group consumes",
    ),
    Row(
        "database-results-without-beat",
        seen({"resultBackend": {"url": "db+postgresql://db/results"}}),
        seen({"resultBackend": {"url": "db+postgresql://db/results"}, "beat": {}}),
        "without spec.beat nobody sends it",
    ),
    Row(
        "database-results-without-beat",
        seen({"resultBackend": {"url": "mongodb+srv://db/results"}}),
        seen({"resultBackend": {"url": "couchbase://db/results"}}),
        "set beat: {}",
    ),
    Row(
        "rpc-chords",
        seen({**RABBIT, "resultBackend": {"url": "rpc://"}}),
        seen({**RABBIT, "resultBackend": {"url": "redis://r"}}),
        "raise NotImplementedError",
    ),
    Row(
        "rate-limit-per-worker",
        seen({**group(replicas=2), **config(task_default_rate_limit="10/m")}),
        seen({**group(replicas=1), **config(task_default_rate_limit="10/m")}),
        "the rate limit '10/m' of task_default_rate_limit is for each worker, so with 2 pods it is 2 times that",
    ),
    Row(
        "rate-limit-per-worker",
        seen({**group(replicas=2), **config(task_annotations={"shop.mail": {"rate_limit": 5}})}),
        seen({**group(replicas=2), **config(task_annotations={"shop.mail": {"priority": 5}})}),
        "the rate limit 5 of shop.mail",
    ),
    Row(
        "rate-limit-per-worker",
        seen({**mail(2), **config(task_annotations=LIMITED, task_routes={"shop.*": "mail"})}),
        seen({**mail(1), **config(task_annotations=LIMITED, task_routes={"shop.*": "mail"})}),
        "with 2 pods it is 2 times that",
    ),
    Row(
        "rate-limit-per-worker",
        seen({**mail(4), **config(task_annotations=LIMITED)}),
        seen({**mail(1), **config(task_annotations=LIMITED)}),
        "with 4 pods it is 4 times that",
    ),
    Row(
        "rate-limit-per-worker",
        seen({**mail(1, web=1, queue="web"), **config(task_default_rate_limit="10/m")}),
        seen({**mail(1, web=1), **config(task_default_rate_limit="10/m")}),
        "with 2 pods it is 2 times that",
    ),
    Row(
        "stalls-on-redis",
        seen({}, fleet=web(versions=running("5.6.2", "5.6.2", "8.0.0"))),
        seen({}, fleet=web(versions=running("5.7.0", "5.7.0", "8.0.0"))),
        "Celery 5.6.2 with kombu 5.6.2 and redis-py 8.0.0 may stay alive and consume nothing",
    ),
    Row(
        "stalls-on-redis",
        seen(SECRET, fleet=web(versions=running("5.5.3", "5.5.4")), broker=REDIS),
        seen(SECRET, fleet=web(versions=running("5.5.3", "5.5.4")), broker=BrokerFacts(scheme="amqps")),
        "Celery 5.5.3 with kombu 5.5.4 may stay alive",
    ),
    Row(
        "redelivered-while-running",
        seen({}, fleet=web(runs_tasks_twice=True)),
        seen({}, fleet=web(runs_tasks_twice=False)),
        "worker group 'web': tasks were delivered again while they were still running; unless the connection "
        "to Redis was lost at that time, some client of it has a visibility timeout",
    ),
    Row(
        "redelivered-while-running",
        seen(RABBIT, fleet=web(runs_tasks_twice=True)),
        seen(RABBIT, fleet=web()),
        "or after its consumer_timeout",
    ),
    Row(
        "redelivered-while-running",
        seen(SQS, fleet=web(runs_tasks_twice=True)),
        seen(SQS, fleet=web(runs_tasks_twice=False)),
        "(Amazon SQS: the visibility timeout); raise that above the longest task",
    ),
    Row(
        "redelivered-while-running",
        seen(SECRET, fleet=web(runs_tasks_twice=True)),
        seen(SECRET, fleet=web(runs_tasks_twice=False)),
        "when its own time for a task is over",
    ),
    Row(
        "unknown-tasks",
        seen({}, fleet=web(meets_unknown_tasks=True)),
        seen({}, fleet=web(meets_unknown_tasks=False)),
        "their names are in the workers' logs: correct them in whatever sends them, import the module",
    ),
    Row(
        "unknown-tasks",
        seen(beat("a"), fleet=web(meets_unknown_tasks=True)),
        seen(beat("a"), fleet=web()),
        "correct them in spec.beat.schedule or in whatever sends them",
    ),
    Row(
        "unknown-rule",
        silencing("consumer-timout"),
        silencing("consumer-timeout, unknown-rule"),
        "silences 'consumer-timout', which is no rule",
    ),
)
