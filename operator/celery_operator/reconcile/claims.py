"""Claims never shrink: Kubernetes refuses that, and a refused child would hold back everything else. Pure.

But for one that asks for more than its storage can ever give: there Kubernetes allows less, above what there is.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from celery_operator.api.scalars import quantity
from celery_operator.kube.objects import PERSISTENT_VOLUME_CLAIM, Manifest, ObjectRef
from celery_operator.observe.snapshot import Snapshot

_INFEASIBLE: Final = ("ControllerResizeInfeasible", "NodeResizeInfeasible")
"""What Kubernetes calls a resize that can never succeed (from 1.32 on; k8s.io/api/core/v1, ClaimResourceStatus)."""


def settle(snapshot: Snapshot, manifests: Iterable[Manifest]) -> None:
    """Let each desired claim ask for what it has where that is more: by somebody's hand, or by what enlarges disks."""
    for manifest in manifests:
        ref = ObjectRef.of(manifest)
        live = snapshot.live.get(ref) if ref.kind == PERSISTENT_VOLUME_CLAIM else None
        if live is None:
            continue
        asked, has = _requests(manifest), _requests(live).get("storage")
        if _size(has) > _size(asked["storage"]) and not _may_ask_for_less(live, _size(asked["storage"])):
            asked["storage"] = has


def _may_ask_for_less(live: Manifest, size: Decimal) -> bool:
    """Whether the storage has refused what the claim asks for, and `size` is more than what it has.

    Kubernetes takes nothing that is less or equal (k8s.io/kubernetes/pkg/apis/core/validation).
    """
    status = live.get("status") or {}
    resize = (status.get("allocatedResourceStatuses") or {}).get("storage")
    capacity = _size((status.get("capacity") or {}).get("storage"))
    return resize in _INFEASIBLE and 0 < capacity < size


def _requests(claim: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    return found


def _size(text: Any) -> Decimal:
    """Bytes; 0 for a spelling that only Kubernetes knows."""
    try:
        return quantity(text)
    except ValueError:
        return Decimal(0)
