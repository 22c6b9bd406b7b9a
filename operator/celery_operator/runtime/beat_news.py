"""What happened to beat that people should hear of, kept until the operator has taken it and made Events of it.

A log line is read by nobody on a Monday. Kept here and not in the operator, so that one that is away or restarted
tells each thing once.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Tuple, Union

from .failures import one_line
from .probe_server import is_authorized

PATH = "/news"

SCHEDULE_FILE_CORRUPT = "ScheduleFileCorrupt"
TICK_MISSED = "TickMissed"
ENTRY_NOT_WRITTEN = "ScheduleEntryNotWritten"


@dataclass(frozen=True)
class Item:
    """``number`` grows with every addition; ``count``: how often it happened, ``message`` being of the last time."""

    number: int
    count: int
    message: str


class News:
    """One item a reason. Added by the main thread, shown and taken by the probes' thread."""

    def __init__(self, boot_id: str, token: str) -> None:
        self._boot_id = boot_id
        self._token = token
        self._lock = threading.Lock()
        self._last = 0
        self._items: Dict[str, Item] = {}

    def add(self, reason: str, message: str) -> None:
        """``reason``: a CamelCase word. ``message``: a sentence for people, without secrets."""
        with self._lock:
            self._last += 1
            former = self._items.get(reason)
            count = 1 if former is None else former.count + 1
            self._items[reason] = Item(self._last, count, one_line(message))

    def shown(self) -> List[Dict[str, Any]]:
        """For /status: what nobody has taken yet, oldest first."""
        with self._lock:
            items = sorted(self._items.items(), key=lambda pair: pair[1].number)
        return [
            {"number": item.number, "reason": reason, "count": item.count, "message": item.message}
            for reason, item in items
        ]

    def command(self, headers: Mapping[str, str], body: bytes) -> Tuple[int, Union[str, Mapping[str, Any]]]:
        """``POST /news``: forget what the operator has taken. ``headers`` have lower-case names."""
        if not is_authorized(headers, self._token):
            return 403, "the token is the pod's UID"
        try:
            document = json.loads(body.decode("utf-8"))
            boot_id, taken = document["bootId"], document["taken"]
        except (ValueError, KeyError, TypeError):
            boot_id, taken = None, None
        if not isinstance(boot_id, str) or not isinstance(taken, int):
            return 400, 'the body is {"bootId": text, "taken": number}'
        if boot_id != self._boot_id:
            return 409, "this is another start of the container"
        with self._lock:
            self._items = {reason: item for reason, item in self._items.items() if item.number > taken}
        return 204, ""
