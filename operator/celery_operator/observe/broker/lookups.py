"""Looks names of brokers up so that a name server which is silent for some of them delays no other's.

A look-up takes a thread for as long as the system's resolver waits for an answer, ten seconds and more, whoever has
given up on it meanwhile. asyncio has four threads more than CPUs, for all that is looked up.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

THREADS: Final = 64
"""Names that may be looked up at the same time. A thread is only made when there is no idle one."""


class EventLoop(asyncio.SelectorEventLoop):
    """Looks the same name up once at a time, however many ask, and many different ones at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self._lookups: dict[tuple[Any, ...], asyncio.Task[Any]] = {}
        self.set_default_executor(ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="lookup"))

    async def getaddrinfo(
        self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Any:
        """As asyncio's. Who asks while the same is being looked up gets that answer, and may give up on it."""
        asked = (host, port, family, type, proto, flags)
        lookup = self._lookups.get(asked)
        if lookup is None:
            work = super().getaddrinfo(host, port, family=family, type=type, proto=proto, flags=flags)
            lookup = self._lookups[asked] = self.create_task(work, name="lookup")
            lookup.add_done_callback(lambda done: self._end(asked, done))
        return await asyncio.shield(lookup)

    def _end(self, asked: tuple[Any, ...], lookup: asyncio.Task[Any]) -> None:
        del self._lookups[asked]
        if not lookup.cancelled():
            lookup.exception()  # who asked may be gone, and then nobody else takes it
