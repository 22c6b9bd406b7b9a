"""Composition: the Celery application of the Django project. ``celery -A django_shop.celery worker``."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Final

from celery import Celery

CLIENT: Final = Path("/celery-client/client.py")
"""Where a producer mounts the ConfigMap `<cluster>-client`; workers and beat have none."""

app = Celery("django_shop")
app.config_from_object("django.conf:settings", namespace="CELERY")
if CLIENT.exists():
    # Broker, results, queues and routes as the CeleryCluster says, so that they stand in one place.
    runpy.run_path(str(CLIENT))["configure"](app)
app.autodiscover_tasks()
