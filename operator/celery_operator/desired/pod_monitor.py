"""The PodMonitor or ServiceMonitor by which the Prometheus operator scrapes Flower's metrics."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from celery_operator.api.cluster import CeleryCluster
from celery_operator.api.flower import Flower
from celery_operator.api.monitoring import Monitor, Monitoring
from celery_operator.api.scalars import seconds
from celery_operator.desired import flower, names
from celery_operator.desired.metadata import child_metadata, selector

_API_VERSION = "monitoring.coreos.com/v1"


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
    out: dict[str, Any] = {"port": flower.PORT_NAME, "path": flower.path(settings, "metrics")}
    if monitor.interval is not None:
        # Prometheus knows no fractions, no microseconds, and no 90s30m.
        out["interval"] = f"{math.ceil(seconds(monitor.interval))}s"
    return out
