"""Who wrote the number of a Deployment's pods last: the API server notes it, whoever it was. Pure.

That shows a second scaler without any right to read HorizontalPodAutoscalers or ScaledObjects.
"""

from __future__ import annotations

from typing import Any, Final

from celery_operator.kube.objects import Manifest

_NUMBER: Final[dict[str, Any]] = {"f:spec": {"f:replicas": {}}}


def entries(manifest: Manifest) -> list[dict[str, Any]]:
    """The object's `managedFields` as far as they are about `spec.replicas`: what the cache keeps of them."""
    found = manifest["metadata"].get("managedFields") or []
    return [_shortened(entry) for entry in found if "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})]


def of(manifest: Manifest) -> frozenset[str]:
    """The field managers that have the number; several where they wrote the same one, none where nobody says so."""
    return frozenset(entry["manager"] for entry in entries(manifest) if "manager" in entry)


def _shortened(entry: dict[str, Any]) -> dict[str, Any]:
    return {**{key: entry[key] for key in ("manager", "operation") if key in entry}, "fieldsV1": _NUMBER}
