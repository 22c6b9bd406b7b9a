"""What the API servers of our clusters log: tests count the operator's writes by it, with every provider alike."""

from __future__ import annotations

from typing import Final

AUDIT_POLICY: Final[dict[str, object]] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Metadata", "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
        {"level": "None"},
    ],
}
"""Every write once it is answered, without its body; no reads."""
