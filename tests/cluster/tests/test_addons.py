"""An add-on's manifests: what is changed in them, and that a change of theirs is noticed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.addons import KEDA, METRICS_SERVER, Addon
from tests.cluster.addons.manifests import LABEL, adjusted


def _deployment(*containers: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "server", "namespace": "kube-system", "labels": {"mine": "stays"}}
    return {"kind": "Deployment", "metadata": metadata, "spec": {"template": {"spec": {"containers": [*containers]}}}}


def _container(addon: Addon, number: int = 0, **fields: Any) -> dict[str, Any]:
    return {"image": f"{addon.programs[number].replaces}:main", "imagePullPolicy": "Always", **fields}


def test_containers_run_our_images_with_their_own_and_our_arguments() -> None:
    source = [_deployment(_container(METRICS_SERVER, args=["--secure-port=10250"], ports=[1]))]
    (found,) = adjusted(source, METRICS_SERVER)
    (container,) = found["spec"]["template"]["spec"]["containers"]
    assert container == {
        "image": "localhost/celery-operator-metrics-server:v0.9.0",
        "imagePullPolicy": "IfNotPresent",
        "args": ["--secure-port=10250", "--kubelet-insecure-tls"],
        "ports": [1],
    }
    assert found["metadata"]["labels"] == {"mine": "stays", LABEL: "metrics-server"}
    assert source[0]["metadata"]["labels"] == {"mine": "stays"}, "what is given stays as it was"


def test_the_path_of_the_program_is_the_images_own() -> None:
    containers = [_container(KEDA, number, command=["/keda"]) for number in (0, 1)]
    (found,) = adjusted([_deployment(*containers)], KEDA)
    assert not [each for each in found["spec"]["template"]["spec"]["containers"] if "command" in each]


def test_other_objects_get_the_label_alone() -> None:
    account = {"kind": "ServiceAccount", "metadata": {"name": "keda-operator", "namespace": "keda"}}
    _, found = adjusted([_deployment(_container(KEDA), _container(KEDA, 1)), account], KEDA)
    assert found == {**account, "metadata": {**account["metadata"], "labels": {LABEL: "keda"}}}  # type: ignore[dict-item]


def test_an_image_that_is_not_built_here_is_named() -> None:
    with pytest.raises(LookupError, match=r"keda v2\.18\.0 runs example/other:1, which is not built here"):
        adjusted([_deployment({"image": "example/other:1"})], KEDA)


def test_a_program_that_no_container_runs_is_named() -> None:
    with pytest.raises(LookupError, match=r"no container of keda v2\.18\.0 runs keda-metrics-apiserver"):
        adjusted([_deployment(_container(KEDA))], KEDA)
