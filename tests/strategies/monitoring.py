"""Who scrapes Flower's metrics."""

from __future__ import annotations

from celery_operator.api import monitoring
from tests.strategies.model import of, one_of
from tests.strategies.scalars import durations, labels

_monitor = of(monitoring.Monitor, {}, {"interval": durations(), "labels": labels})
_empty = of(monitoring.Monitoring, {}, {}, elsewhere=("podMonitor", "serviceMonitor"))
monitors = _empty.flatmap(lambda _: one_of(podMonitor=_monitor, serviceMonitor=_monitor))
