"""The ConfigMap for producers."""

from __future__ import annotations

from celery_operator.api import client
from tests.strategies.model import of

clients = of(client.Client, {}, {})
