"""Every sample is what the models accept, and its pods are as restricted as the samples promise."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import client_configmap, names, runtime_configmap
from celery_operator.reconcile.autoscaling.document import load_document
from celery_operator.reconcile.autoscaling.view import GroupView
from celery_operator.telemetry.web import LOAD_PATH
from tests.unit.install.files import ROOT, SAMPLES, objects, of_kind

TASK_NAME = re.compile(r'name="([a-z_.]+)"')
CLUSTERS = [(path, one) for path in SAMPLES for one in of_kind(objects(path), "CeleryCluster")]


def test_there_are_the_samples_that_the_documentation_names() -> None:
    assert {path.name for path in SAMPLES} == {
        *("quickstart.yaml", "producer.yaml", "production.yaml", "rabbitmq.yaml", "redis-tls.yaml"),
        *("autoscaling.yaml", "keda-scaledobject.yaml", "long-tasks.yaml", "gevent.yaml", "gpu.yaml"),
        *("django.yaml", "redbeat.yaml", "maintenance.yaml", "flower.yaml"),
    }


@pytest.mark.parametrize(("path", "manifest"), CLUSTERS, ids=[path.stem for path, _ in CLUSTERS])
def test_a_sample_is_a_valid_restricted_cluster(path: Path, manifest: dict[str, Any]) -> None:
    cluster = CeleryCluster.model_validate(manifest)
    assert cluster.spec.pod_security == "Restricted"


def test_keda_asks_for_a_figure_that_is_there_and_scales_a_group_that_is_its_own() -> None:
    files = {path.name: objects(path) for path in SAMPLES}
    (keda,) = files["keda-scaledobject.yaml"]
    (cluster,) = [CeleryCluster.model_validate(one) for one in of_kind(files["autoscaling.yaml"], "CeleryCluster")]
    (trigger,) = keda["spec"]["triggers"]
    asked = re.fullmatch(r"http://[^/]+/api/v1/load/default/([^/]+)/([^/]+)", trigger["metadata"]["url"])
    assert asked is not None
    (group,) = [group for group in cluster.spec.workers if group.name == asked[2]]
    assert (asked[1], group.external_scaling is not None) == (cluster.metadata.name, True)
    assert keda["spec"]["scaleTargetRef"] == {"name": names.worker(cluster.metadata.name, group.name)}
    view = GroupView(group=group.name, policy=None, load=None, decision=None, replicas=0)
    assert trigger["metadata"]["valueLocation"] in load_document(view, 0.0)
    assert LOAD_PATH.partition("{")[0] == "/api/v1/load/"


def test_no_sample_has_a_password_in_a_cluster() -> None:
    urls = [str(one["spec"]["broker"].get("url", "")) + str(one["spec"].get("resultBackend")) for _, one in CLUSTERS]
    assert not [url for url in urls if "@" in url]


@pytest.mark.parametrize(
    ("sample", "producer", "container"),
    [
        ("quickstart", "producer", "producer"),
        ("django", "django", "wait-for-migrations"),
        ("django", "django", "sign-up"),
    ],
)
def test_a_producer_has_what_the_configmap_of_its_cluster_asks_for(sample: str, producer: str, container: str) -> None:
    files = {path.stem: objects(path) for path in SAMPLES}
    (cluster,) = of_kind(files[sample], "CeleryCluster")
    data = client_configmap.build(CeleryCluster.model_validate(cluster), runtime_configmap.load())["data"]
    asked = yaml.safe_load(data["pod.yaml"])
    pod = next(one["spec"]["template"]["spec"] for one in files[producer] if one["kind"] in {"Deployment", "Job"})
    (found,) = [one for one in [*pod.get("initContainers", []), *pod["containers"]] if one["name"] == container]
    assert cluster["spec"]["client"] == {}
    assert [one for one in asked["volumes"] if one not in pod["volumes"]] == []
    assert [one for one in asked["containers"][0]["env"] if one not in found["env"]] == []
    assert [one for one in asked["containers"][0]["volumeMounts"] if one not in found["volumeMounts"]] == []
    assert not [one for one in found["env"] if one["name"] in {"CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"}]


@pytest.mark.parametrize(("path", "manifest"), CLUSTERS, ids=[path.stem for path, _ in CLUSTERS])
def test_a_sample_sends_and_consumes_what_its_application_knows(path: Path, manifest: dict[str, Any]) -> None:
    """Queues that tasks are routed to have consumers, and tasks that are named exist."""
    spec = CeleryCluster.model_validate(manifest).spec
    known = set(TASK_NAME.findall("".join(one.read_text() for one in (ROOT / "worker_image").rglob("tasks/*.py"))))
    known |= set(TASK_NAME.findall((ROOT / "worker_image/django_shop/customers/tasks.py").read_text()))
    routes = (spec.config or {}).get("task_routes", {})
    schedule = (spec.beat.schedule if spec.beat else None) or []
    consumed = {queue for group in spec.workers for queue in group.queues or []}
    assert {*routes, *(entry.task for entry in schedule)} <= known
    assert {route["queue"] for route in routes.values()} | {
        entry.queue for entry in schedule if entry.queue
    } <= consumed
