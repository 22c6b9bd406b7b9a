"""What the Kubernetes cluster around a CeleryCluster is like, as far as its children depend on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from celery_operator.kube.objects import Kind

DEFAULT_NAMESPACE: Final = "celery-operator"
"""The Helm release's namespace, as the documentation has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """Where the operator runs, and which of the kinds that it could make the API server does not serve."""

    operator_namespace: str = DEFAULT_NAMESPACE
    missing: frozenset[Kind] = frozenset()
