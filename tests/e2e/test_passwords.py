"""A password stays in its Secret: it is in no argument, pod template, status, Event, log line or metric."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

from celery_operator.kube.objects import (
    CONFIG_MAP,
    DEPLOYMENT,
    POD,
    SECRET,
    SERVICE,
    STATEFUL_SET,
)
from celery_operator.observe.kinds import CELERY_CLUSTER
from tests.e2e import manifests
from tests.e2e.conftest import QuickStart
from tests.e2e.release import Release
from tests.e2e.space import Space

SPECIAL = "p@ss/w:rd#%?&=+ $(POD_NAME)'\"é"
SHOWN_KINDS = (CELERY_CLUSTER, CONFIG_MAP, DEPLOYMENT, POD, SERVICE, STATEFUL_SET)


def _shown(space: Space, cluster: str, release: Release) -> str:
    """Everything about a cluster that people and programs without a right on Secrets may read."""
    parts = [json.dumps(space.objects(kind), ensure_ascii=False) for kind in SHOWN_KINDS]
    parts.append(space.kubectl("get", "events", "-o", "yaml"))
    for component in ("worker", "beat"):
        for pod in space.pods(cluster, component):
            name = pod["metadata"]["name"]
            parts.append(json.dumps(space.status_of(pod), ensure_ascii=False))
            parts.append(space.kubectl("exec", name, "--", "cat", "/proc/1/cmdline"))
            parts.append(space.kubectl("logs", name, "--tail=-1"))
    parts.append(release.logs())
    parts += [release.metrics(pod["metadata"]["name"]) for pod in release.pods()]
    return "\n".join(parts)


def _forms(password: str) -> set[str]:
    """The password as it could turn up: as it is, percent-encoded, in JSON, in base64."""
    return {
        password,
        quote(password, safe=""),
        quote(password),
        json.dumps(password)[1:-1],
        json.dumps(password, ensure_ascii=False)[1:-1],
        base64.b64encode(password.encode()).decode(),
    }


def test_the_generated_password_is_shown_nowhere(quick_start: QuickStart, release: Release) -> None:
    space = quick_start.space
    secret = space.get(SECRET, "quickstart-redis")
    password = base64.b64decode(secret["data"]["password"]).decode()
    assert len(password) >= 32
    shown = _shown(space, quick_start.name, release)
    assert "quickstart-redis" in shown  # the reference is shown, and only that
    assert [form for form in _forms(password) if form in shown] == []


def test_a_password_of_special_characters_works_and_is_shown_nowhere(space: Space, release: Release) -> None:
    url = f"redis://:{quote(SPECIAL, safe='')}@broker:6379"
    space.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "broker"},
            "stringData": {
                "broker": f"{url}/0",
                "results": f"{url}/1",
                "redis.conf": f'requirepass {json.dumps(SPECIAL, ensure_ascii=False)}\nsave ""\n',
            },
        }
    )
    deployment, service = manifests.plain_redis("broker")
    pod = deployment["spec"]["template"]["spec"]
    pod["containers"][0]["args"] = ["redis-server", "/etc/broker/redis.conf"]
    pod["containers"][0]["volumeMounts"].append({"name": "secret", "mountPath": "/etc/broker"})
    pod["volumes"].append({"name": "secret", "secret": {"secretName": "broker"}})
    space.apply(deployment, service)
    references = {key: {"secretKeyRef": {"name": "broker", "key": key}} for key in ("broker", "results")}
    space.apply(
        manifests.cluster(
            broker={"urlFrom": references["broker"]}, resultBackend={"urlFrom": references["results"]}, beat={}
        )
    )
    space.wait_ready("shop")
    space.wait_condition("shop", "BrokerReachable", "True")
    producer = space.start_producer(
        "shop",
        env=[
            {"name": "CELERY_BROKER_URL", "valueFrom": references["broker"]},
            {"name": "CELERY_RESULT_BACKEND", "valueFrom": references["results"]},
        ],
    )
    assert producer.result(producer.submit("add", x=2, y=3)).value == 5
    producer.close()
    shown = _shown(space, "shop", release)
    assert [form for form in _forms(SPECIAL) if form in shown] == []
