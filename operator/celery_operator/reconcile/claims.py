"""Claims never shrink: Kubernetes refuses that, and a refused child would hold back everything else. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from celery_operator.api.scalars import quantity
from celery_operator.kube.objects import PERSISTENT_VOLUME_CLAIM, Manifest, ObjectRef
from celery_operator.observe.snapshot import Snapshot


def settle(snapshot: Snapshot, manifests: Iterable[Manifest]) -> None:
    """Let each desired claim ask for what it has where that is more: by somebody's hand, or by what enlarges disks."""
    for manifest in manifests:
        ref = ObjectRef.of(manifest)
        live = snapshot.live.get(ref) if ref.kind == PERSISTENT_VOLUME_CLAIM else None
        if live is None:
            continue
        asked, has = _requests(manifest), _requests(live).get("storage")
        if _size(has) > _size(asked["storage"]):
            asked["storage"] = has


def _requests(claim: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    return found


def _size(text: Any) -> Decimal:
    """Bytes; 0 for a spelling that only Kubernetes knows."""
    try:
        return quantity(text)
    except ValueError:
        return Decimal(0)
