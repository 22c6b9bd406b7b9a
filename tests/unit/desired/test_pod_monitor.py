"""What scrapes Flower's metrics selects Flower's pods or its Service by labels that only the operator sets."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.desired import children
from tests.unit.desired.clusters import SURROUNDINGS, cluster

SELECTOR = {"celery-operator.dev/cluster": "shop", "app.kubernetes.io/component": "flower"}
CLUSTER = {
    "action": "replace",
    "sourceLabels": ["__meta_kubernetes_pod_label_celery_operator_dev_cluster"],
    "targetLabel": "cluster",
}


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
        endpoints: [{"port": "http", "path": "/flower/metrics", "interval": "15s", "relabelings": [CLUSTER]}],
    }
    service = next(each for each in manifests if each["kind"] == "Service")
    assert SELECTOR.items() <= service["metadata"]["labels"].items()
    deployment = next(
        each for each in manifests if each["metadata"]["name"] == "shop-flower" and each["kind"] == "Deployment"
    )
    assert SELECTOR.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("asked", "written"),
    [("15s", "15s"), ("1.5m", "90s"), ("1h30m", "5400s"), ("90s30m", "1890s"), ("1500ms", "2s"), ("5us", "1s")],
)
def test_an_interval_is_whole_seconds_because_prometheus_reads_nothing_finer(asked: str, written: str) -> None:
    spec = {"flower": {}, "monitoring": {"podMonitor": {"interval": asked}}}
    (found,) = (each for each in children.build(cluster(spec), SURROUNDINGS) if each["kind"] == "PodMonitor")
    assert found["spec"]["podMetricsEndpoints"][0]["interval"] == written
