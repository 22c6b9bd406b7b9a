"""Scraping of the application's metrics by the Prometheus operator."""

from __future__ import annotations

from pydantic import ConfigDict

from celery_operator.api.model import ApiModel, Cel, rules
from celery_operator.api.pod import Labels
from celery_operator.api.scalars import Duration


class Monitor(ApiModel):
    """A PodMonitor or ServiceMonitor."""

    interval: Duration | None = None
    """Time between two scrapes; Prometheus' own when absent."""
    labels: Labels | None = None
    """Labels by which a Prometheus finds it, for example {release: prometheus}."""


class Monitoring(ApiModel):
    """Who scrapes Flower's metrics: events, run times and queueing times of tasks, and workers that are online."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "[has(self.podMonitor), has(self.serviceMonitor)].exists_one(x, x)",
                "set exactly one of podMonitor or serviceMonitor: with both, everything is counted twice",
            )
        )
    )
    pod_monitor: Monitor | None = None
    """A PodMonitor for Flower's pods, where the Prometheus operator is installed."""
    service_monitor: Monitor | None = None
    """A ServiceMonitor for Flower's Service, where the Prometheus operator is installed."""
