"""CeleryClusters for the tests: the smallest one, the quick start, and one that uses every field there is."""

from __future__ import annotations

from typing import Any

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired.pod import Surroundings
from celery_operator.desired.runtime_configmap import Runtime

Json = dict[str, Any]

RUNTIME = Runtime(files={"launch.py": "# launcher\n", "__init__.py": "PROTOCOL = 1\n"}, content_hash="0123456789")
SURROUNDINGS = Surroundings(runtime=RUNTIME)
WITH_REDIS = Surroundings(runtime=RUNTIME, redis_secret_uid="secret-uid")


def cluster(spec: Json | None = None, *, name: str = "shop", uid: str = "cluster-uid") -> CeleryCluster:
    """A CeleryCluster as the operator reads it; `spec` is merged over the smallest one, key by key."""
    return CeleryCluster.model_validate(manifest(spec, name=name, uid=uid))


def manifest(spec: Json | None = None, *, name: str = "shop", uid: str = "cluster-uid") -> Json:
    """The same as an object of the API."""
    smallest = {
        "image": "example.com/shop:1",
        "app": "shop.celery",
        "broker": {"url": "redis://broker:6379/0"},
        "workers": [{"name": "web"}],
    }
    return {
        "apiVersion": "celery-operator.dev/v1alpha1",
        "kind": "CeleryCluster",
        "metadata": {"name": name, "namespace": "team", "uid": uid, "generation": 3, "resourceVersion": "7"},
        "spec": {**smallest, **(spec or {})},
    }


QUICKSTART: Json = {
    "image": "celery-operator/worker:0.1.0",
    "app": "celery_tasks.app",
    "broker": {"redis": {}},
    "resultBackend": {"sameAsBroker": True},
    "workers": [
        {
            "name": "default",
            "queues": ["default", "high_priority", "low_priority", "scheduled"],
            "replicas": 2,
            "concurrency": 4,
        }
    ],
    "beat": {},
}

BIG: Json = {
    "image": "registry.example.com/shop:1.4.2",
    "imagePullPolicy": "IfNotPresent",
    "imagePullSecrets": [{"name": "registry"}],
    "app": "shop.celery:application",
    "command": ["poetry", "run", "python"],
    "workingDir": "/srv/shop",
    "config": {"task_track_started": True, "task_routes": {"shop.reports.*": {"queue": "reports"}}, "note": "$(HOME)"},
    "taskDelivery": "AtLeastOnce",
    "maxTaskDuration": "2h",
    "env": [
        {"name": "DJANGO_SETTINGS_MODULE", "value": "shop.settings"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "shop", "key": "token", "optional": True}}},
        {"name": "REGION", "valueFrom": {"configMapKeyRef": {"name": "shop", "key": "region", "optional": False}}},
        {"name": "HOST_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.hostIP"}}},
        {
            "name": "MEMORY",
            "valueFrom": {
                "resourceFieldRef": {"containerName": "worker", "resource": "limits.memory", "divisor": "1Mi"}
            },
        },
    ],
    "envFrom": [
        {"prefix": "SHOP_", "secretRef": {"name": "shop-env", "optional": True}},
        {"configMapRef": {"name": "shop-flags", "optional": False}},
    ],
    "serviceAccountName": "shop",
    "podSecurity": "Restricted",
    "podLabels": {"team": "shop"},
    "podAnnotations": {"example.com/contact": "shop@example.com"},
    "podTemplate": {
        "metadata": {"labels": {"tier": "backend"}, "annotations": {"example.com/note": "cluster"}},
        "spec": {"priorityClassName": "batch", "tolerations": [{"key": "batch", "operator": "Exists"}]},
    },
    "broker": {"urlFrom": {"secretKeyRef": {"name": "shop-broker", "key": "url"}}},
    "resultBackend": {
        "redis": {
            "image": "example.com/redis:7",
            "storage": {"size": "2Gi", "storageClassName": "fast", "retain": True},
            "resources": {"limits": {"memory": "256Mi"}},
        }
    },
    "workers": [
        {
            "name": "web",
            "queues": ["high_priority", "default"],
            "replicas": 3,
            "concurrency": 4,
            "prefetchMultiplier": 1,
            "optimization": "fair",
            "maxTaskDuration": "5m",
            "shutdown": {"mode": "Requeue", "gracePeriod": "90s"},
            "strategy": {"maxSurge": 0, "maxUnavailable": "34%", "progressDeadline": "20m"},
            "disruptionBudget": {"minAvailable": "50%", "doNotDisrupt": True},
            "probes": {
                "port": 9000,
                "liveness": {"periodSeconds": 60, "timeoutSeconds": 10},
                "readiness": {"failureThreshold": 24},
                "startup": {"initialDelaySeconds": 30, "failureThreshold": 900},
            },
            "mingle": "Disabled",
            "taskEvents": True,
            "logLevel": "WARNING",
            "extraArgs": ["--heartbeat-interval=5"],
            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
        },
        {
            "name": "reports",
            "queues": ["reports"],
            "pool": "prefork",
            "maxTasksPerChild": 50,
            "maxMemoryPerChild": "800Mi",
            "timeLimit": "30m",
            "softTimeLimit": "25m",
        },
        {
            "name": "io",
            "queues": ["mail"],
            "pool": "gevent",
            "concurrency": 500,
            "replicas": 2,
            "shutdown": {"mode": "Drain"},
            "probes": {"disabled": True},
            "podTemplate": {
                "metadata": {"annotations": {"example.com/note": "group"}},
                "spec": {
                    "nodeSelector": {"pool": "io"},
                    "containers": [
                        {"name": "worker", "env": [{"name": "POOL_SIZE", "value": "500"}]},
                        {
                            "name": "proxy",
                            "image": "example.com/proxy:2",
                            "securityContext": {
                                "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]},
                            },
                        },
                    ],
                },
            },
        },
    ],
    "beat": {
        "schedule": [
            {"name": "daily", "task": "shop.daily", "crontab": "0 8 * * *", "queue": "reports", "enabled": False},
            {"name": "stats", "task": "shop.stats", "every": "30s", "args": [1], "kwargs": {"window": 60}},
        ],
        "scheduler": "shop.beat:Scheduler",
        "maxInterval": "10s",
        "timezone": "Europe/Berlin",
        "storage": {"size": "1Gi", "storageClassName": "fast", "retain": True},
        "probes": {"startup": {"failureThreshold": 60}},
        "logLevel": "DEBUG",
        "resources": {"requests": {"cpu": "50m"}},
        "podTemplate": {"spec": {"priorityClassName": "beat"}},
    },
    "queues": [
        {"name": "default", "type": "quorum", "arguments": {"x-delivery-limit": 10}},
        {
            "name": "reports",
            "exchange": "shop",
            "exchangeType": "topic",
            "routingKey": "shop.reports",
            "maxPriority": 10,
            "deadLetter": {"exchange": "dead", "routingKey": "reports"},
        },
    ],
    "flower": {
        "auth": {"basicFrom": {"secretKeyRef": {"name": "shop-flower", "key": "auth"}}},
        "urlPrefix": "flower",
        "ingress": {"host": "flower.example.com", "className": "nginx", "tlsSecretName": "flower-tls"},
        "httpRoute": {"parentRefs": [{"name": "edge", "namespace": "gateways"}], "hostnames": ["flower.example.com"]},
        "persistence": {"size": "1Gi"},
        "extraArgs": ["--max_tasks=10000"],
        "resources": {"limits": {"memory": "256Mi"}},
    },
    "client": {},
    "monitoring": {"podMonitor": {"interval": "15s", "labels": {"release": "prometheus"}}},
    "networkPolicy": {
        "brokerPorts": [5672],
        "extraEgress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"protocol": "TCP", "port": 5432}]}],
    },
}
