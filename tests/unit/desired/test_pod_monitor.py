"""What scrapes Flower's metrics selects Flower's pods or its Service by labels that only the operator sets."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.desired import children
from tests.unit.desired.clusters import SURROUNDINGS, cluster

SELECTOR = {"celery-operator.dev/cluster": "shop", "app.kubernetes.io/component": "flower"}


@pytest.mark.parametrize(
    ("field", "kind", "endpoints"),
    [("podMonitor", "PodMonitor", "podMetricsEndpoints"), ("serviceMonitor", "ServiceMonitor", "endpoints")],
)
def test_a_monitor(field: str, kind: str, endpoints: str) -> None:
    monitoring = {field: {"interval": "15s", "labels": {"release": "prometheus"}}}
    spec: dict[str, Any] = {"flower": {"urlPrefix": "flower"}, "monitoring": monitoring}
    manifests = children.build(cluster(spec), SURROUNDINGS)

    (found,) = (each for each in manifests if each["apiVersion"] == "monitoring.coreos.com/v1")

    assert (found["kind"], found["metadata"]["name"]) == (kind, "shop-flower")
    assert found["metadata"]["labels"]["release"] == "prometheus"
    assert found["spec"] == {
        "selector": {"matchLabels": SELECTOR},
        endpoints: [{"port": "http", "path": "/flower/metrics", "interval": "15s"}],
    }
    service = next(each for each in manifests if each["kind"] == "Service")
    assert SELECTOR.items() <= service["metadata"]["labels"].items()
    deployment = next(
        each for each in manifests if each["metadata"]["name"] == "shop-flower" and each["kind"] == "Deployment"
    )
    assert SELECTOR.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
