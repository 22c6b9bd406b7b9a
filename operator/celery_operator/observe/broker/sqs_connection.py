"""The operator's own requests to Amazon SQS, or to a server that speaks its JSON protocol."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

import aiohttp

from celery_operator.observe.broker.depth import Problem, Unreadable
from celery_operator.observe.broker.reachability import AUTHENTICATION_FAILED
from celery_operator.observe.broker.sqs_layout import Endpoint
from celery_operator.observe.broker.sqs_signature import signed

TIMEOUT: Final = 2.0
"""Seconds for one request, connecting included."""

_MOST_AT_ONCE: Final = 25
"""Requests under way; who waits for its turn has not begun its TIMEOUT."""
_SIZE_LIMIT: Final = 256 * 1024
"""Bytes of one answer; the longest has the URLs of queues, 1000 at most."""
_TYPE: Final = "application/x-amz-json-1.0"

_ABSENT_CODES: Final = {"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"}
_REFUSED_CODES: Final = {"AccessDenied", "AccessDeniedException", "AuthorizationError"}
_NAME_CODES: Final = {"InvalidAddress", "InvalidParameterValue", "InvalidParameterValueException"}
_ACCOUNT_CODES: Final = {
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_LIMIT_CODES: Final = {"OverLimit", "RequestThrottled", "Throttling", "ThrottlingException", "KmsThrottled"}
"""Codes of errors in the spellings of the JSON protocol and of the older one, which servers answer side by side.

Sources: "Common Error Types", and the errors of GetQueueUrl and GetQueueAttributes, in the Amazon SQS API Reference.
"""
_OLDER_CODE: Final = "x-amzn-query-error"
"""The header with the older spelling."""
_CODE_IN_XML: Final = re.compile(rb"<Code>([A-Za-z0-9.]{1,80})</Code>")
"""Where the older protocol has it, which is how servers other than Amazon's refuse accounts."""
_CODE: Final = re.compile(r"[A-Za-z0-9.]{1,80}")

T = TypeVar("T")
Kind = Literal["absent", "refused", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """A response. The document is None where it is none that SQS sends."""

    status: int
    document: dict[str, Any] | None
    codes: tuple[str, ...]
    """Of an error, in both spellings."""


class SqsError(Unreadable):
    """A request failed; ``kind`` tells what belongs to the queue alone (absent, refused) from all else (failed)."""

    def __init__(self, problem: Problem, kind: Kind = "failed") -> None:
        super().__init__(problem)
        self.kind: Kind = kind


class SqsConnection:
    """The connections of one reader; closed with it."""

    def __init__(self, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._session: aiohttp.ClientSession | None = None
        self._turns = asyncio.Semaphore(_MOST_AT_ONCE)

    async def ask(self, endpoint: Endpoint, action: str, **parameters: Any) -> dict[str, Any]:
        """The answer to an action of the Amazon SQS API Reference, within 2 s of its turn. Raises SqsError."""
        async with self._turns:
            return await self._ask(endpoint, action, parameters)

    async def close(self) -> None:
        """End all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _ask(self, endpoint: Endpoint, action: str, parameters: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps(parameters).encode()
        headers = {
            "content-type": _TYPE,
            "host": urlsplit(endpoint.url).netloc,
            "x-amz-target": f"AmazonSQS.{action}",
        }
        key = endpoint.access_key
        headers = signed(headers, body, access_key=key, region=endpoint.region, service="sqs", at=self._now())
        try:
            answer = await self._post(endpoint.url, headers, body)
        except TimeoutError as error:
            message = f"the broker did not answer within {TIMEOUT:g} s; check its address, and that it can be reached"
            raise SqsError(Problem(reason="TimedOut", message=message)) from error
        except aiohttp.ClientSSLError as error:
            message = "the connection to the broker is not secure; check the broker's address and its certificate"
            raise SqsError(Problem(reason="TlsFailed", message=message)) from error
        except (aiohttp.ClientError, OSError) as error:
            message = f"the broker does not answer ({type(error).__name__}); check its address, and that it runs"
            raise SqsError(Problem(reason="ConnectionFailed", message=message)) from error
        if answer.status != 200 or answer.document is None:
            raise _refusal(answer)
        return answer.document

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> _Answer:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT),
                trust_env=False,
            )
        async with self._session.post(f"{url}/", data=body, headers=headers, allow_redirects=False) as response:
            data = bytearray()
            async for chunk in response.content.iter_chunked(65536):
                data += chunk
                if len(data) > _SIZE_LIMIT:
                    raise aiohttp.ClientPayloadError
            return _answer(response.status, response.headers.get(_OLDER_CODE, ""), bytes(data))


async def all_of(questions: Iterable[Awaitable[T]]) -> list[T | SqsError]:
    """All answers; an SqsError in place of one. Raises whatever else went wrong, when all are done."""
    found: list[T | SqsError] = []
    answers = await asyncio.gather(*questions, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, SqsError):
            raise answer
        found.append(answer)
    return found


def _answer(status: int, older_code: str, data: bytes) -> _Answer:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    document = found if isinstance(found, dict) else None
    in_xml = _CODE_IN_XML.search(data)
    codes = (str((document or {}).get("__type", "")), older_code, in_xml[1].decode() if in_xml else "")
    return _Answer(status=status, document=document, codes=tuple(filter(None, map(_code, codes))))


def _code(text: str) -> str:
    """`com.amazonaws.sqs#QueueDoesNotExist`, `AWS.SimpleQueueService.NonExistentQueue;Sender`: the part that counts."""
    found = text.partition(";")[0].rpartition("#")[2]
    return found if _CODE.fullmatch(found) else ""


def _refusal(answer: _Answer) -> SqsError:
    """What an error of the service says, by its code alone: its text names accounts."""
    codes, shown = set(answer.codes), next(iter(answer.codes), f"answer {answer.status}")
    if codes & _ABSENT_CODES:
        return SqsError(Problem(reason="QueueAbsent", message="the queue does not exist"), "absent")
    if codes & _REFUSED_CODES:
        message = "the access key may not read it; allow it sqs:GetQueueUrl and sqs:GetQueueAttributes"
        return SqsError(Problem(reason="PermissionDenied", message=message), "refused")
    if codes & _NAME_CODES:
        message = f"the broker has no queues of such names ({shown}); use letters, digits, hyphens and underscores"
        return SqsError(Problem(reason="QueueNameInvalid", message=message), "refused")
    if codes & _ACCOUNT_CODES:
        message = (
            f"the broker refuses the access key ({shown}); check the Secrets of spec.broker.sqs.credentialsFrom, or "
            "the account in the broker's URL or its transport options"
        )
        return SqsError(Problem(reason=AUTHENTICATION_FAILED, message=message))
    if codes & _LIMIT_CODES:
        message = "the broker is asked too often; its limits count the requests of everybody in that account"
        return SqsError(Problem(reason="Throttled", message=message))
    message = f"the broker refuses to tell the lengths of queues ({shown}); check that it is one that Celery can use"
    return SqsError(Problem(reason="ReadingRefused", message=message))
