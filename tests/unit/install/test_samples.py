"""Every sample is what the models accept, and its pods are as restricted as the samples promise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from celery_operator.api.cluster import CeleryCluster
from tests.unit.install.files import SAMPLES, objects, of_kind

CLUSTERS = [(path, one) for path in SAMPLES for one in of_kind(objects(path), "CeleryCluster")]


def test_there_are_the_samples_that_the_documentation_names() -> None:
    assert {path.name for path in SAMPLES} == {"quickstart.yaml", "producer.yaml", "production.yaml", "rabbitmq.yaml"}


@pytest.mark.parametrize(("path", "manifest"), CLUSTERS, ids=[path.stem for path, _ in CLUSTERS])
def test_a_sample_is_a_valid_restricted_cluster(path: Path, manifest: dict[str, Any]) -> None:
    cluster = CeleryCluster.model_validate(manifest)
    assert cluster.spec.pod_security == "Restricted"


def test_no_sample_has_a_password_in_a_cluster() -> None:
    urls = [str(one["spec"]["broker"].get("url", "")) + str(one["spec"].get("resultBackend")) for _, one in CLUSTERS]
    assert not [url for url in urls if "@" in url]
