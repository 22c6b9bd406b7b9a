"""What can be told of a message as it lies in Redis, its body unread and the rest mostly not decoded either."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

_ETA: Final = b'"eta": '
_NO_ETA: Final = b'"eta": null'


def eta_of(message: bytes) -> float | None:
    """The ETA in seconds since the epoch; None when there is none, or none that can be read: such a task is due.

    Protocol 1 has it inside the body, which stays unread. A time without a zone is UTC, Celery's default.
    """
    # Quotes inside strings are escaped, so these bytes are a name and never part of a text.
    if message.count(_ETA) == 1 and _NO_ETA in message:
        return None
    try:
        eta = json.loads(message)["headers"]["eta"]
        moment = datetime.fromisoformat(eta)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def origin_of(unacked: bytes) -> tuple[str, str] | None:
    """Exchange and routing key of an entry of the hash of unacknowledged messages; None for what is no such entry.

    An entry is ``[message, exchange, routing key]``; what follows the message is enough, unless there is no exchange.
    """
    # As above: within a string the quote would follow a backslash.
    _, _, tail = unacked.rpartition(b'}, "')
    for text, names in ((b'["' + tail, slice(0, 2)), (unacked, slice(1, 3))):
        try:
            entry = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, list) and len(entry) == names.stop:
            exchange, routing_key = entry[names]
            return _text(exchange), _text(routing_key)
    return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
