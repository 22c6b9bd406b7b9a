"""NetworkPolicies: what may reach the pods, and what the pods may reach."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from celery_operator.api.model import FREE_FORM, LIST_ATOMIC, LIST_SET, ApiModel

Port = Annotated[int, Field(ge=1, le=65535)]
Rules = Annotated[list[Annotated[dict[str, Any], FREE_FORM]], Field(max_length=32), LIST_ATOMIC]


class NetworkPolicies(ApiModel):
    """One NetworkPolicy for each component. Let in: the operator, and to Flower whoever may open it. Let out: DNS, the
    broker and the result backend. Everything else is denied, where the cluster's network enforces policies."""

    broker_ports: Annotated[list[Port], Field(max_length=16), LIST_SET] | None = None
    """Ports of the broker and the result backend. When absent: those that their URLs name; for a URL in a Secret, which
    the operator copies nowhere, the usual ports of RabbitMQ, Redis and Sentinel."""
    extra_ingress: Rules | None = None
    """Further rules of who may reach workers, beat and Flower, as in spec.ingress of a NetworkPolicy."""
    extra_egress: Rules | None = None
    """Further rules of what workers, beat and Flower may reach, as in spec.egress of a NetworkPolicy: for example the
    databases that tasks need."""
