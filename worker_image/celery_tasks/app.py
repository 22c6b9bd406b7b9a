"""Composition: the Celery application and what listens to its signals. ``celery -A celery_tasks.app worker``."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Final

from celery import Celery

from celery_tasks import metrics, structured_logging
from celery_tasks.ledger import recorder
from celery_tasks.settings import settings

CLIENT: Final = Path("/celery-client/client.py")
"""Where a producer mounts the ConfigMap `<cluster>-client`; workers and beat have none."""

app = Celery(
    "celery_tasks",
    include=[
        "celery_tasks.tasks.arithmetic",
        "celery_tasks.tasks.mail",
        "celery_tasks.tasks.payments",
        "celery_tasks.tasks.load",
        "celery_tasks.tasks.reliability",
        "celery_tasks.tasks.orders",
        "celery_tasks.tasks.reports",
        "celery_tasks.tasks.pipeline",
        "celery_tasks.tasks.scheduled",
        *(["celery_tasks.tasks.confirmations"] if settings().release >= 2 else []),
    ],
)
app.config_from_object("celery_tasks.config")
if CLIENT.exists():
    # What the CeleryCluster says is in force here as it is in the workers.
    runpy.run_path(str(CLIENT))["configure"](app)

structured_logging.connect(settings())
metrics.connect(settings())
recorder.connect(settings())
