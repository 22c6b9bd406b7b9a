"""Who has written a Deployment or its number of pods, by the API server's audit log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.e2e.space import Space

HPA_USER: Final = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
KEDA_USER: Final = "system:serviceaccount:keda:keda-operator"


class AuditLog:
    """The part of an audit log that was written after this object was made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = path.stat().st_size

    def writers(self, space: Space, deployment: str) -> dict[str, int]:
        """How often each user has written the Deployment itself or its scale; refused writes and its status aside."""
        counts: dict[str, int] = {}
        for event in self._events():
            ref = event.get("objectRef") or {}
            about = (ref.get("resource"), ref.get("namespace"), ref.get("name"))
            if about != ("deployments", space.name, deployment) or ref.get("subresource") == "status":
                continue
            if event["responseStatus"]["code"] < 300:
                user = str(event["user"]["username"])
                counts[user] = counts.get(user, 0) + 1
        return counts

    def _events(self) -> Iterator[dict[str, Any]]:
        with self.path.open("rb") as lines:
            # From the first whole line on: one may have been half written when this object was made.
            lines.seek(max(0, self._start - 1))
            if self._start:
                lines.readline()
            for line in lines:
                if not line.endswith(b"\n"):
                    return  # it is being written
                event: dict[str, Any] = json.loads(line)
                if event["stage"] == "ResponseComplete":
                    yield event
