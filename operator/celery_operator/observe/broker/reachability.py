"""Whether a broker answers: the value that the monitor keeps and the condition tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from celery_operator.observe.broker import certificates
from celery_operator.observe.broker.depth import Problem, Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Reachability:
    """The outcome of the last ping. `reachable` is None where the operator cannot tell."""

    reachable: bool | None
    reason: str
    message: str


UNKNOWN: Final = Reachability(reachable=None, reason="NotYetChecked", message="the broker has not been asked yet")
AUTHENTICATION_FAILED: Final = "AuthenticationFailed"
"""The reason when the broker refuses the credentials."""
_ANSWERS: Final = ("PermissionDenied", "ReadingRefused", "QueueAbsent", "QueueNameInvalid", "Throttled")
"""Problems of readings with which a broker has answered."""
REACHABLE: Final = Reachability(reachable=True, reason="Answered", message="the broker answers")


def unreachable(problem: Problem) -> Reachability:
    """The outcome of a ping that told why it failed; whoever refuses a command has answered."""
    if problem.reason in _ANSWERS:
        return REACHABLE
    reachable = None if problem.reason in _NEVER_ASKED else False
    return Reachability(reachable=reachable, reason=problem.reason, message=problem.message)


TRANSPORT_NOT_SUPPORTED: Final = "TransportNotSupported"
"""The reason where the operator does not speak with brokers of this type."""
_NEVER_ASKED: Final = (TRANSPORT_NOT_SUPPORTED, "CredentialsMissing", "RegionMissing")
"""Problems that are the operator's alone: workers may have what it lacks."""


def told_by(reading: Reading) -> Reachability:
    """What a reading of its queues says of the broker."""
    return REACHABLE if reading.problem is None else unreachable(reading.problem)


def connection_failed(error: Exception) -> Reachability:
    """What went wrong, without the error's own text: it may hold a URL with a password."""
    insecure = certificates.failure(error)
    if insecure is not None:
        return unreachable(insecure)
    return Reachability(
        reachable=False,
        reason="ConnectionFailed",
        message=f"the broker does not answer ({type(error).__name__}); check its address, and that it runs",
    )
