"""The PodMonitor or ServiceMonitor by which the Prometheus operator scrapes Flower's metrics."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, Final

from celery_operator.api.cluster import CeleryCluster
from celery_operator.api.flower import Flower
from celery_operator.api.monitoring import Monitor, Monitoring
from celery_operator.api.scalars import seconds
from celery_operator.desired import flower, names
from celery_operator.desired.metadata import CLUSTER_LABEL, child_metadata, selector

_API_VERSION: Final = "monitoring.coreos.com/v1"
_CLUSTER: Final = {
    "action": "replace",
    "sourceLabels": [f"__meta_kubernetes_pod_label_{re.sub('[^a-zA-Z0-9_]', '_', CLUSTER_LABEL)}"],
    "targetLabel": "cluster",
}
"""Flower's samples get the label that the operator's have: a PodMonitor and a ServiceMonitor alike, so that queries fit
both. `action` is written out, because the CRD has a default for it."""


def build(cluster: CeleryCluster, monitoring: Monitoring, settings: Flower) -> Iterator[dict[str, Any]]:
    """What was asked for; both select what they scrape by labels that only the operator sets."""
    for kind, endpoints, monitor in (
        ("PodMonitor", "podMetricsEndpoints", monitoring.pod_monitor),
        ("ServiceMonitor", "endpoints", monitoring.service_monitor),
    ):
        if monitor is None:
            continue
        yield {
            "apiVersion": _API_VERSION,
            "kind": kind,
            "metadata": _metadata(cluster, monitor),
            "spec": {
                "selector": {"matchLabels": selector(cluster, flower.COMPONENT)},
                endpoints: [_endpoint(settings, monitor)],
            },
        }


def _metadata(cluster: CeleryCluster, monitor: Monitor) -> dict[str, Any]:
    own = cluster.metadata.name
    out = child_metadata(cluster, names.flower(own), component=flower.COMPONENT, full_name=f"{own}-flower")
    return {**out, "labels": {**(monitor.labels or {}), **out["labels"]}}


def _endpoint(settings: Flower, monitor: Monitor) -> dict[str, Any]:
    path = flower.path(settings, "metrics")
    out: dict[str, Any] = {"port": flower.PORT_NAME, "path": path, "relabelings": [{**_CLUSTER}]}
    if monitor.interval is not None:
        # Prometheus knows no fractions, no microseconds, and no 90s30m.
        out["interval"] = f"{math.ceil(seconds(monitor.interval))}s"
    return out
