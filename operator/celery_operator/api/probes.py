"""How the kubelet asks a pod whether it lives: over HTTP from inside the Celery process, adjusted or switched off."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from celery_operator.api.model import ApiModel, Cel, rules

Seconds = Annotated[int, Field(ge=1, le=86400)]


class ProbeTiming(ApiModel):
    """When a probe asks and after how many failures it acts; what is absent keeps the operator's value."""

    period_seconds: Seconds | None = None
    """Seconds from one question to the next."""
    timeout_seconds: Seconds | None = None
    """Seconds that an answer may take; 5 when absent."""
    failure_threshold: Annotated[int, Field(ge=1, le=100000)] | None = None
    """Failures in a row after which the probe counts as failed."""
    initial_delay_seconds: Annotated[int, Field(ge=0, le=86400)] | None = None
    """Seconds from the container's start to the first question; none when absent."""


class Probes(ApiModel):
    """The probes of a component's container."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "!(has(self.disabled) && self.disabled) || "
                "!(has(self.port) || has(self.liveness) || has(self.readiness) || has(self.startup))",
                "disabled leaves no probe to adjust; remove port, liveness, readiness and startup, or disabled",
            )
        )
    )
    port: Annotated[int, Field(ge=1024, le=65535)] | None = None
    """Port that the process answers on, for probes and its status; 9540 when absent. Change it where the application
    listens there itself, or where pods share the network of their node."""
    disabled: bool | None = None
    """True: no probes, and nothing listens. A worker that hangs is then never restarted, and a rollout cannot tell
    whether a new pod works."""
    liveness: ProbeTiming | None = None
    """Restarts the container when its main loop stands still; a broker that is away is no reason. Every 30 s, after 4
    failures, when absent."""
    readiness: ProbeTiming | None = None
    """Tells rollouts that the pod works; independent of the broker. Every 5 s, after 12 failures, when absent."""
    startup: ProbeTiming | None = None
    """How long the application may take to start, before the other probes begin. Every 1 s, at most 600 failures, when
    absent."""
