"""Every sample is what the models accept, and its pods are as restricted as the samples promise."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import names
from celery_operator.reconcile.autoscaling.document import load_document
from celery_operator.reconcile.autoscaling.view import GroupView
from celery_operator.telemetry.web import LOAD_PATH
from tests.unit.install.files import SAMPLES, objects, of_kind

CLUSTERS = [(path, one) for path in SAMPLES for one in of_kind(objects(path), "CeleryCluster")]


def test_there_are_the_samples_that_the_documentation_names() -> None:
    assert {path.name for path in SAMPLES} == {
        *("autoscaling.yaml", "keda-scaledobject.yaml", "quickstart.yaml", "producer.yaml", "production.yaml"),
        "rabbitmq.yaml",
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
