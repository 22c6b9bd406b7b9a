"""When this pod will be killed, as far as it knows, and the operator's way to tell it that the time became shorter.

A container cannot see that somebody shortened the grace period it was promised (``kubectl delete
--grace-period``, an eviction, a node that shuts down): only the Pod object says it.
"""

from __future__ import annotations

import json
import time
from typing import Mapping, Optional, Tuple

from .probe_server import is_authorized


class Deadline:
    """The moment of SIGKILL on time.monotonic(); None before SIGTERM. One writer a field, read by other threads.

    ``start`` belongs to the main thread, ``shorten`` to the probes' thread: neither reads what the other writes, so
    that none undoes the other's.
    """

    def __init__(self, grace_seconds: float, token: str) -> None:
        self._grace = grace_seconds
        self._token = token
        self._told: Optional[float] = None
        self._end: Optional[float] = None

    def start(self) -> None:
        """SIGTERM came: the grace period runs from now on, unless the operator told of an earlier end."""
        self._end = time.monotonic() + self._grace

    def shorten(self, seconds: float) -> None:
        """SIGKILL comes in ``seconds`` at the latest; a later moment than the known one changes nothing."""
        end = time.monotonic() + max(0.0, seconds)
        self._told = end if self._told is None else min(end, self._told)

    def left(self) -> Optional[float]:
        """Seconds until SIGKILL, 0 at the least; None before SIGTERM."""
        end, told = self._end, self._told
        if end is None:
            return None
        return max(0.0, (end if told is None else min(end, told)) - time.monotonic())

    def shown(self) -> Optional[float]:
        """``left`` for /status."""
        left = self.left()
        return None if left is None else round(left, 1)

    @property
    def grace(self) -> float:
        """Seconds that the pod was promised."""
        return self._grace

    def command(self, headers: Mapping[str, str], body: bytes) -> Tuple[int, str]:
        """``POST /deadline``: the status code and a line of why. ``headers`` have lower-case names."""
        if not is_authorized(headers, self._token):
            return 403, "the token is the pod's UID"
        try:
            seconds = json.loads(body.decode("utf-8"))["seconds"]
        except (ValueError, KeyError, TypeError):
            return 400, 'the body is {"seconds": number}'
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < float("inf"):
            return 400, "seconds is a number, 0 or more"
        self.shorten(float(seconds))
        return 204, ""
