"""Queues with their exchanges and arguments: what RabbitMQ wants every process of an application to declare alike."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from celery_operator.api.model import FREE_FORM, ApiModel, Cel, rules
from celery_operator.api.workers import QueueName

ExchangeName = Annotated[str, Field(min_length=1, max_length=255)]
RoutingKey = Annotated[str, Field(min_length=1, max_length=255)]


class DeadLetter(ApiModel):
    """Where RabbitMQ sends messages that were rejected, expired or delivered too often."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "self.exchange != '' || has(self.routingKey)",
                "RabbitMQ's default exchange ('') needs routingKey, the name of a queue; otherwise messages would come "
                "back to the queue that they left",
            )
        )
    )
    exchange: Annotated[str, Field(max_length=255)]
    """The exchange; '' is RabbitMQ's default exchange, for which routingKey is the name of a queue. Nobody makes it:
    it must exist, or belong to a queue of this list that a worker group consumes."""
    routing_key: RoutingKey | None = None
    """The routing key; the message's own when absent."""


class Queue(ApiModel):
    """One queue. Groups may also name queues that are not declared here: Celery makes those with its defaults."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "!has(self.maxPriority) || !has(self.type) || self.type != 'quorum'",
                "RabbitMQ refuses maxPriority for a quorum queue, which has two priorities without it; remove "
                "maxPriority, or choose type classic",
            )
        )
    )
    name: QueueName
    """Name of the queue, unique within the CeleryCluster."""
    exchange: ExchangeName | None = None
    """The exchange that the queue is bound to; one of the queue's name when absent."""
    exchange_type: Literal["direct", "topic", "fanout", "headers"] | None = None
    """Type of the exchange. When absent: that of RabbitMQ's own exchanges such as amq.topic; direct for others, and
    topic for a quorum queue, because Celery delays tasks of quorum queues in the broker, which direct exchanges
    cannot."""
    routing_key: RoutingKey | None = None
    """The key by which the queue is bound to the exchange and tasks are sent; the queue's name when absent."""
    type: Literal["classic", "quorum"] | None = None
    """RabbitMQ's type of the queue; the broker's default when absent. A quorum queue needs Celery 5.5 or newer."""
    max_priority: Annotated[int, Field(ge=1, le=255)] | None = None
    """RabbitMQ: the highest priority of a task; 10 is plenty, and 9 is served before 0. Redis has priorities without
    it, and serves 0 first."""
    dead_letter: DeadLetter | None = None
    """RabbitMQ: where rejected and expired messages go; they are dropped when absent."""
    arguments: Annotated[dict[str, Any], Field(max_length=32), FREE_FORM] | None = None
    """Further arguments of the queue for RabbitMQ, for example {x-delivery-limit: 5, x-message-ttl: 60000}."""
