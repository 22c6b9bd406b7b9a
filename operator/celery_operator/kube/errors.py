"""What an API server can answer that is no success, as few types as callers act differently on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

_MESSAGE_LIMIT: Final = 1000
"""Characters of one message or cause: some answers quote the whole object that was sent."""

_TYPED_PATCH: Final = re.compile(
    r"^failed to create typed patch object \([^)]*\): (?:errors:)?\s*(?P<problems>.*)", re.DOTALL
)
_STRICT_DECODING: Final = "strict decoding error: "
_CONVERSION: Final = "unable to convert unstructured object to "
_UNKNOWN_FIELD: Final = re.compile(r'unknown field \\*"([^"\\]+)\\*"')
_TOO_LARGE: Final = ("etcdserver: request is too large", "trying to send message larger than max")


class NotLeader(Exception):  # noqa: N818 - says a state, as the API's own reasons do
    """A write was refused before it was sent: this process does not (or not certainly) hold the Lease."""


class ApiError(Exception):
    """The API server refused a request, or could not be asked.

    `status` is the HTTP code (0 when no answer came), `reason` the machine-readable word (`AlreadyExists`),
    `message` the server's sentence, `causes` one `field: message` line per problem found in the object, and
    `retry_after` the seconds that the server asked to wait, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        reason: str = "",
        causes: tuple[str, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = causes
        self.retry_after = retry_after

    def __str__(self) -> str:
        prefix = " ".join(part for part in (str(self.status or ""), self.reason) if part)
        return f"{prefix}: {self.message}" if prefix else self.message


class NotFound(ApiError):  # noqa: N818
    """404: the object, its namespace or its kind does not exist."""


class Conflict(ApiError):  # noqa: N818
    """409: a precondition (uid, resourceVersion) failed, or the object exists already (`already_exists`)."""

    @property
    def already_exists(self) -> bool:
        """Whether a create met an object of the same name."""
        return self.reason == "AlreadyExists"


class Invalid(ApiError):  # noqa: N818
    """400, 413, 422, or a 500 that says the same: the object is wrong, and sending it again cannot help."""

    @property
    def unknown_fields(self) -> tuple[str, ...]:
        """The fields that were sent and that the API server's schema does not have, as far as it names them."""
        return tuple(dict.fromkeys(_UNKNOWN_FIELD.findall("\n".join((self.message, *self.causes)))))


class Forbidden(ApiError):  # noqa: N818
    """403: the operator's ServiceAccount lacks a right, or an admission policy or quota said no."""


class Unavailable(ApiError):  # noqa: N818
    """No answer, a time-out, 401, 429 or 5xx: the same request may succeed later."""


def error_for(status: int, reason: str, headers: Mapping[str, str], body: bytes) -> ApiError:
    """Turn an HTTP answer outside 2xx into the error that says what to do about it.

    `reason` is the status line's phrase, used where the body is no Kubernetes `Status` (a proxy's page, say).
    """
    answer = _status_object(body)
    details = answer.get("details") or {}
    message = str(answer.get("message") or body[:_MESSAGE_LIMIT].decode("utf-8", "replace") or reason)
    causes = tuple(_cause(cause) for cause in details.get("causes") or ()) or _causes_in(message)
    error_type = Invalid if status == 500 and _is_about_the_object(message) else _type_for(status)
    return error_type(
        _short(message),
        status=status,
        reason=str(answer.get("reason") or reason),
        causes=tuple(_short(cause) for cause in causes),
        retry_after=_retry_after(headers, details),
    )


def _is_about_the_object(message: str) -> bool:
    """Whether a 500 is really a refusal.

    Measured on Kubernetes 1.34: a server-side apply of an unknown field, a wrong type, a number that the field cannot
    hold or a doubled list key, and an object that etcd finds too large, are all answered with 500.
    """
    return bool(_TYPED_PATCH.match(message)) or any(phrase in message for phrase in (_CONVERSION, *_TOO_LARGE))


def _causes_in(message: str) -> tuple[str, ...]:
    """Find the single problems in a message that came without `details.causes`."""
    if match := _TYPED_PATCH.match(message):
        return tuple(line.strip() for line in match["problems"].splitlines() if line.strip())
    _, found, problems = message.partition(_STRICT_DECODING)
    return tuple(problems.split(", ")) if found else ()


def _type_for(status: int) -> type[ApiError]:
    if status in (400, 413, 422):
        return Invalid
    if status == 403:
        return Forbidden
    if status == 404:
        return NotFound
    if status == 409:
        return Conflict
    # 401 is what a token gives that expired a moment ago: the next try reads the renewed one.
    if status in (401, 408, 429) or status >= 500:
        return Unavailable
    return ApiError


def _status_object(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _cause(cause: Mapping[str, Any]) -> str:
    field, message = cause.get("field"), cause.get("message") or cause.get("reason") or ""
    return f"{field}: {message}" if field else str(message)


def _short(text: str) -> str:
    """Cut the middle out of a long text: its start says where the problem is, its end says which.

    Between words, because half a URL is one whose password nobody recognises any more.
    """
    if len(text) <= _MESSAGE_LIMIT:
        return text
    half = _MESSAGE_LIMIT // 2
    return f"{text[:half].rpartition(' ')[0]} … {text[-half:].partition(' ')[2]}"


def _retry_after(headers: Mapping[str, str], details: Mapping[str, Any]) -> float | None:
    seconds = headers.get("Retry-After") or details.get("retryAfterSeconds")
    try:
        return float(seconds) if seconds else None
    except ValueError:  # RFC 9110 also allows a date, which no API server sends
        return None


class NoCluster(Exception):  # noqa: N818
    """Nobody said which API server to talk to, or what was said cannot be read. The message says what to set."""
