"""Claims a tick before it is published, so that two live beats dispatch it once. At most once, never twice.

Redis and RabbitMQ each have a way: redis_claims.py and amqp_claims.py. Other transports have none, and say so.
"""

from __future__ import annotations

from typing import Any, Optional

from .ticks import Tick


class NoClaims:
    """Transports without a claim: the StatefulSet's guarantee of one pod is all there is."""

    kind = "none"
    longest_sleep: Optional[float] = None
    producer: Optional[Any] = None

    def prepare(self) -> None:
        """Nothing to prepare."""

    def take(self, tick: Tick) -> bool:
        """Always ours."""
        return True

    def close(self) -> None:
        """Nothing to close."""


def for_app(app: Any, scope: str) -> Any:
    """The claims that the application's transport can have."""
    from .amqp_claims import AmqpClaims
    from .redis_claims import RedisClaims

    transport = app.connection_for_write().transport
    if transport.driver_type == "redis":
        return RedisClaims(app, scope)
    if transport.driver_type == "amqp" and transport.driver_name == "py-amqp":
        return AmqpClaims(app, scope)
    return NoClaims()
