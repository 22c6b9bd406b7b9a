"""HTTP to the runtime in pods, for all who ask it something: one kind of session, and answers of a bounded length."""

from __future__ import annotations

from typing import Final

import aiohttp

TIMEOUT: Final = 2.0
"""Seconds for one request, connecting included."""


class TooLongError(ValueError):
    """More bytes than any runtime answers with."""


def new_session() -> aiohttp.ClientSession:
    """Without a limit of connections: no pod waits for another that hangs. The runtime closes each after its answer."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT),
        trust_env=False,
    )


async def body_of(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """All bytes of an answer. Raises TooLongError for more than ``limit``, without having read the rest."""
    data = bytearray()
    async for chunk in response.content.iter_any():
        data += chunk
        if len(data) > limit:
            raise TooLongError(f"the answer has more than {limit} bytes")
    return bytes(data)
