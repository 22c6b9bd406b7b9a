"""The body of a server-side apply: JSON that is YAML too, because the API server reads it as YAML."""

from __future__ import annotations

import json
import re
from typing import Final

from celery_operator.kube.objects import Manifest

CONTENT_TYPE: Final = "application/apply-patch+yaml; charset=utf-8"
"""With the character set, the Kubernetes client sends bytes as they are; the API server drops it."""
_NOT_AS_THEY_ARE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What JSON may hold as it is and YAML may not, or takes for the end of a line (YAML 1.1, 5.1 and 5.4)."""


def encode(manifest: Manifest) -> bytes:
    """The manifest in UTF-8.

    Characters beyond U+FFFF stand as they are: JSON escapes them as two surrogates, which YAML refuses (measured on
    Kubernetes 1.34: 400, "found invalid Unicode character escape code").
    """
    text = json.dumps(manifest, ensure_ascii=False, separators=(",", ":"))
    return _NOT_AS_THEY_ARE.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()
