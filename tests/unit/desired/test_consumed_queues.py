"""Which queues are read for a group, however the spec says it."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.desired import queues
from tests.unit.desired.clusters import cluster


@pytest.mark.parametrize(
    ("spec", "read"),
    [
        ({}, "celery"),
        ({"config": {"task_default_queue": "web"}}, "web"),
        ({"config": {"CELERY_DEFAULT_QUEUE": "web"}}, "web"),
        ({"config": {"CELERY_TASK_DEFAULT_QUEUE": "web"}}, "web"),
        ({"config": {"task.default_queue": "web"}}, "web"),
        ({"config": {"celery_task_default_queue": "web"}}, "web"),
        ({"config": {"task_default_queue": None}}, "celery"),
        ({"config": {"task_default_queue": "web"}, "queues": [{"name": "a"}]}, "a"),
        ({"config": {"task_default_queue": "web"}, "workers": [{"name": "web", "queues": ["b"]}]}, "b"),
    ],
)
def test_the_queue_of_the_application_is_read_in_every_spelling(spec: dict[str, Any], read: str) -> None:
    """One that is not understood would show an empty queue, and take all pods away while tasks wait."""
    shop = cluster(spec)
    assert queues.consumed_by(shop.spec, shop.spec.workers[0]) == (read,)
