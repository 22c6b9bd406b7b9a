"""Short stable hashes of manifests, for names and for telling whether something changed."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def digest(value: Any, *, length: int = 10) -> str:
    """The first `length` hexadecimal digits of the SHA-256 of the value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:length]
