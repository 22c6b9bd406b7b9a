"""The kinds that the operator watches, and how."""

from __future__ import annotations

from typing import Final

from celery_operator.api import API_VERSION, KIND, PLURAL
from celery_operator.desired.metadata import SELECTOR
from celery_operator.kube.objects import (
    CONFIG_MAP,
    DEPLOYMENT,
    HTTP_ROUTE,
    INGRESS,
    JOB,
    NETWORK_POLICY,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    POD_MONITOR,
    SERVICE,
    SERVICE_ACCOUNT,
    SERVICE_MONITOR,
    STATEFUL_SET,
    Kind,
    register,
)

CELERY_CLUSTER: Final = register(Kind(api_version=API_VERSION, kind=KIND, plural=PLURAL))

CHILDREN: Final = (
    CONFIG_MAP,
    DEPLOYMENT,
    HTTP_ROUTE,
    INGRESS,
    JOB,
    NETWORK_POLICY,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    POD_MONITOR,
    SERVICE,
    SERVICE_ACCOUNT,
    SERVICE_MONITOR,
    STATEFUL_SET,
)
"""Watched with our label selector. Secrets are not among them: the operator may not list other people's."""

OPTIONAL: Final = (HTTP_ROUTE, POD_MONITOR, SERVICE_MONITOR)
"""Those of them that an API server serves only where somebody has installed their CRDs."""


def label_selector(kind: Kind) -> str | None:
    """The server-side filter for a kind."""
    return None if kind == CELERY_CLUSTER else SELECTOR
