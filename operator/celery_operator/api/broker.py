"""Where tasks and results go: a URL, a Secret that holds one, or a Redis that the operator runs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from celery_operator.api.model import FREE_FORM, ApiModel, Cel, rules
from celery_operator.api.pod import Resources, SecretKeySource, Storage
from celery_operator.api.scalars import Image

Url = Annotated[
    str,
    Field(min_length=1, max_length=2048, pattern=r"^[a-z][a-z0-9+.-]*://\S*$"),
]


class ManagedRedis(ApiModel):
    """A single Redis pod that the operator runs: for a quick start, not for production."""

    image: Image | None = None
    """Image with `redis-server` on its PATH; redis:7 when absent."""
    storage: Storage | None = None
    """A volume for its data; without one, a restart of the pod loses all waiting tasks and results."""
    resources: Resources | None = None
    """What the Redis container asks for and may use."""


HttpUrl = Annotated[
    str,
    Field(min_length=1, max_length=2048, pattern=r"^https?://\S+$"),
]


class Management(ApiModel):
    """RabbitMQ's management API: it alone tells how many messages workers hold."""

    model_config = ConfigDict(
        json_schema_extra=rules(Cel("has(self.url) != has(self.urlFrom)", "set exactly one of url or urlFrom"))
    )
    url: HttpUrl | None = None
    """Its URL in plain text, for example http://rabbitmq:15672. Use urlFrom when it holds a password."""
    url_from: SecretKeySource | None = None
    """The Secret's key that holds the whole URL."""


class Broker(ApiModel):
    """Where Celery's messages go."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "[has(self.url), has(self.urlFrom), has(self.redis)].exists_one(x, x)",
                "set exactly one of url, urlFrom or redis",
            )
        )
    )
    url: Url | None = None
    """The broker's URL in plain text. Use urlFrom when it holds a password."""
    url_from: SecretKeySource | None = None
    """The Secret's key that holds the whole URL."""
    redis: ManagedRedis | None = None
    """A Redis that the operator runs, with a generated password."""
    management: Management | None = None
    """RabbitMQ's management API. Without it the operator sees waiting messages, and not those that workers hold."""
    transport_options: Annotated[dict[str, Any], Field(max_length=64), FREE_FORM] | None = None
    """Celery's broker_transport_options for workers, beat and the operator's own readings, for example
    {global_keyprefix: "shop:"} or {master_name: mymaster} for Redis Sentinel. Not together with that setting in
    spec.config."""


class ResultBackend(ApiModel):
    """Where results go."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "[has(self.url), has(self.urlFrom), has(self.redis), "
                "has(self.sameAsBroker) && self.sameAsBroker].exists_one(x, x)",
                "set exactly one of url, urlFrom, redis or sameAsBroker: true",
            )
        )
    )
    url: Url | None = None
    """The result backend's URL in plain text. Use urlFrom when it holds a password."""
    url_from: SecretKeySource | None = None
    """The Secret's key that holds the whole URL."""
    redis: ManagedRedis | None = None
    """A Redis that the operator runs: the broker's own when that is managed too (then database 1)."""
    same_as_broker: bool | None = None
    """True: the broker's URL, or database 1 of a Redis that the operator runs."""
