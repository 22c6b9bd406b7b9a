"""Whether a broker answers: the value that the monitor keeps and the condition tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


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


def connection_failed(error: Exception) -> Reachability:
    """What went wrong, without the error's own text: it may hold a URL with a password."""
    return Reachability(
        reachable=False,
        reason="ConnectionFailed",
        message=f"the broker does not answer ({type(error).__name__}); check its address, and that it runs",
    )
