"""Whether a broker answers: the value that the monitor keeps and the condition tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from celery_operator.observe.broker import certificates
from celery_operator.observe.broker.depth import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Reachability:
    """The outcome of the last ping. `reachable` is None where the operator cannot tell."""

    reachable: bool | None
    reason: str
    message: str


UNKNOWN: Final = Reachability(reachable=None, reason="NotYetChecked", message="the broker has not been asked yet")
AUTHENTICATION_FAILED: Final = "AuthenticationFailed"
"""The reason when the broker refuses the credentials."""
REACHABLE: Final = Reachability(reachable=True, reason="Answered", message="the broker answers")


def unreachable(problem: Problem) -> Reachability:
    """The outcome of a ping that told why it failed."""
    return Reachability(reachable=False, reason=problem.reason, message=problem.message)


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
