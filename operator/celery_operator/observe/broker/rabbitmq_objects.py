"""What RabbitMQ's management API says of one queue or exchange: all its arguments, where a refusal names but one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import aiohttp

from celery_operator.observe.broker import certificates
from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.rabbitmq_connection import TIMEOUT
from celery_operator.observe.broker.rabbitmq_management import document_of, request_of

Kind = Literal["queue", "exchange"]

_PROPERTIES: Final[Mapping[Kind, tuple[str, ...]]] = {
    "queue": ("durable", "auto_delete", "exclusive"),
    "exchange": ("type", "durable", "auto_delete", "internal"),
}
_MOST: Final = 16
"""Objects that are asked for: more than that nobody reads of in one message."""


async def described(
    address: BrokerAddress, names: Sequence[tuple[Kind, str]]
) -> dict[tuple[Kind, str], Mapping[str, Any]]:
    """Arguments and properties of each as a declaration has them, in one map; without what is not told within TIMEOUT.

    It is but an addition to what the broker itself has said, so that trouble with the API is none here.
    """
    found: dict[tuple[Kind, str], Mapping[str, Any]] = {}
    try:
        async with asyncio.timeout(TIMEOUT), aiohttp.ClientSession(trust_env=False) as session:
            for each in names[:_MOST] if address.management_url is not None else ():
                found[each] = await _one(session, address, *each)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError, TypeError):
        return found
    return found


async def _one(session: aiohttp.ClientSession, address: BrokerAddress, kind: Kind, name: str) -> Mapping[str, Any]:
    """Raises what a failed request does, and KeyError, TypeError and ValueError for an answer that is none."""
    properties = _PROPERTIES[kind]
    columns = ",".join(("arguments", *properties))
    path: Literal["queues", "exchanges"] = "queues" if kind == "queue" else "exchanges"
    url, headers = request_of(address.management_url or "", address.url, path, columns, name)
    tls = certificates.context_for_https(address.certificates)
    async with session.get(url, headers=headers, allow_redirects=False, ssl=True if tls is None else tls) as answer:
        answer.raise_for_status()
        document = await document_of(answer)
    return {**document["arguments"], **{each: document[each] for each in properties}}
