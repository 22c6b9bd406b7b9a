"""CeleryClusters on one broker hear of each other's coming and going: what the linter says of them depends on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from celery_operator.observe.key import ClusterKey

LEAST_DELAY: Final = 2.0
"""Seconds in which further changes on the same broker join: CeleryClusters often come together."""
DELAY_PER_MEMBER: Final = 0.02
"""Seconds more for each CeleryCluster there: five passes' time, so that many of them that come one after the other
cost a fifth of a processor at the most."""


class Neighbourhoods:
    """Asks for a pass of everybody on a broker, some seconds after the first of any number of changes there."""

    def __init__(
        self, *, members: Callable[[str], Sequence[tuple[str, str]]], on_change: Callable[[ClusterKey], None]
    ) -> None:
        """``members``: namespace and name of the CeleryClusters on a broker."""
        self._members = members
        self._on_change = on_change
        self._waiting: set[str] = set()

    def changed(self, broker: str) -> None:
        """Somebody came, went or changed on this broker."""
        if broker in self._waiting:
            return
        self._waiting.add(broker)
        delay = LEAST_DELAY + DELAY_PER_MEMBER * len(self._members(broker))
        asyncio.get_running_loop().call_later(delay, self._tell, broker)

    def _tell(self, broker: str) -> None:
        self._waiting.discard(broker)
        for namespace, name in self._members(broker):
            self._on_change(ClusterKey(namespace=namespace, name=name))
