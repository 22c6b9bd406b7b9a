"""The ServiceAccount of workers and beat: an identity without any right, its token never mounted."""

from __future__ import annotations

from typing import Any

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import names
from celery_operator.desired.metadata import child_metadata


def build(cluster: CeleryCluster) -> dict[str, Any]:
    """The ServiceAccount."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": child_metadata(cluster, names.service_account(cluster.metadata.name)),
        "automountServiceAccountToken": False,
    }
