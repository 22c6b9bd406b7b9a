"""Signs requests to AWS: its Signature Version 4, of which a request with a body and no query needs a page.

No library: botocore, on which all of them for this Python build, and the Kubernetes client ask for different
python-dateutil, so that no environment can hold current versions of both.

Source: "Create a signed AWS API request" in the AWS Identity and Access Management User Guide.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from celery_operator.observe.broker.address import AccessKey

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_END: Final = "aws4_request"


def signed(
    headers: Mapping[str, str], body: bytes, *, access_key: AccessKey, region: str, service: str, at: datetime
) -> dict[str, str]:
    """The headers of a POST to ``/`` with those that sign it, which is good for 5 minutes.

    ``headers``: by lower-case names, ``host`` among them; the signature covers all. ``at``: now, with its zone.
    """
    moment = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    covered = {**headers, "x-amz-date": moment}
    names = ";".join(sorted(covered))
    lines = "".join(f"{name}:{covered[name].strip()}\n" for name in sorted(covered))
    request = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = (moment[:8], region, service, _END)
    text = "\n".join((_ALGORITHM, moment, "/".join(scope), hashlib.sha256(request.encode()).hexdigest()))
    key = f"AWS4{access_key.secret}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    credential = "/".join((access_key.id, *scope))
    stated = f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return {**covered, "authorization": stated}
