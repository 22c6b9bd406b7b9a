"""What the claims of every broker share: an attempt's token, its errors, and the end of its connection."""

from __future__ import annotations

import logging
from typing import Any, Optional
from uuid import uuid4

from .ticks import Tick

logger = logging.getLogger("celery.operator")


class BrokerAwayError(Exception):
    """The broker cannot be asked now, the text says why. Asked again, ``take`` knows a claim that it made already."""


class ClaimRefusedError(BrokerAwayError):
    """The broker answers, and lets nobody claim until somebody grants the rights that the text names."""


class Attempts:
    """A token for every attempt at a tick, the same one until the attempt has an answer.

    A broker may have stored a claim whose reply was lost. The token tells whose it is; the pod's UID could not,
    because a container that was started again has the same one.
    """

    def __init__(self) -> None:
        self._tick: Optional[Tick] = None
        self._token = ""

    def token(self, tick: Tick) -> str:
        """The token of the attempt at ``tick`` that is under way, or of a new one."""
        if self._tick != tick:
            self._tick, self._token = tick, uuid4().hex
        return self._token

    def over(self) -> None:
        """The attempt has its answer; the same tick asked for again is another attempt."""
        self._tick = None


def connection_errors(connection: Optional[Any]) -> Any:
    """Exceptions of the transport that mean a lost connection or channel."""
    if connection is None:
        from kombu.exceptions import OperationalError

        return (OperationalError,)
    return (*connection.recoverable_connection_errors, *connection.recoverable_channel_errors)


def connect(connection: Any) -> None:
    """Connect to the first server of the URL that answers: kombu's own ``connect`` asks two of a list at most."""
    connection._ensure_connection(max_retries=max(1, len(connection.alt) - 1), reraise_as_library_errors=False)


def release(connection: Optional[Any]) -> None:
    """Close a connection, which may be broken; waits 1 s at most."""
    if connection is None:
        return
    try:
        connection.collect(socket_timeout=1.0)
    except OSError:
        logger.debug("celery-operator: closing a broken connection failed", exc_info=True)
