"""What producers get: a ConfigMap with the settings in which they and the workers have to agree."""

from __future__ import annotations

from celery_operator.api.model import ApiModel


class Client(ApiModel):
    """The ConfigMap <cluster>-client for processes that send tasks: queues, routes, serializers, transport options, and
    the names of the Secrets that hold the rest. Its key pod.yaml says what to add to a pod, and
    `runpy.run_path("/celery-client/client.py")["configure"](app)` in the code loads it."""
