"""Where tasks and results go: a URL, its parts, a Secret that tells it, or a Redis that the operator runs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from celery_operator.api.connection import Parts, SecretSettings, ServiceBinding, Url
from celery_operator.api.model import FREE_FORM, ApiModel, Cel, rules
from celery_operator.api.pod import Resources, SecretKeySource, Storage
from celery_operator.api.scalars import Duration, Image
from celery_operator.api.sqs import SQS_SCHEME, Sqs
from celery_operator.api.tls import Tls

TLS_SCHEMES = ("rediss", "amqps", "sentinel")
"""URL schemes of brokers that are asked with TLS where `tls` is set; sentinel:// has no spelling of its own for it."""
BACKEND_TLS_SCHEMES = ("rediss", "sentinel")
"""The same of result backends: Celery has options for certificates of Redis alone."""


def _asks_for_tls(schemes: tuple[str, ...]) -> str:
    """CEL: whether the URL, where it can be seen, asks for TLS; a Secret's is looked at in the pod."""
    url = " || ".join(f"self.url.startsWith('{scheme}://')" for scheme in schemes)
    names = ", ".join(repr(scheme) for scheme in schemes)
    return f"has(self.url) ? ({url}) : has(self.parts) ? self.parts.scheme in [{names}] : true"


TransportOptions = Annotated[dict[str, Any], Field(max_length=64), FREE_FORM]


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
                "[has(self.url), has(self.urlFrom), has(self.parts), has(self.serviceBinding), has(self.redis)]"
                ".exists_one(x, x)",
                "set exactly one of url, urlFrom, parts, serviceBinding or redis",
            ),
            Cel(
                f"!has(self.tls) || ({_asks_for_tls(TLS_SCHEMES)})",
                "tls needs a URL that asks for TLS; write rediss://, amqps:// or sentinel://, or remove tls",
            ),
            Cel(
                "!(has(self.tls) && has(self.redis))",
                "the Redis that the operator runs speaks no TLS; remove tls, or use a Redis of your own",
            ),
            Cel(
                f"!has(self.sqs) || has(self.urlFrom) || (has(self.url) && self.url.startsWith('{SQS_SCHEME}://')) || "
                f"(has(self.parts) && self.parts.scheme == '{SQS_SCHEME}')",
                f"sqs needs a URL that begins with {SQS_SCHEME}://; remove it",
            ),
        )
    )
    url: Url | None = None
    """The broker's URL in plain text, or several for Redis Sentinel: sentinel://a:26379;sentinel://b:26379/0. Use
    urlFrom or parts when there is a password."""
    url_from: SecretKeySource | None = None
    """The Secret's key that holds the whole URL."""
    parts: Parts | None = None
    """The URL in parts, the password from a Secret. It is put together inside the pod."""
    service_binding: ServiceBinding | None = None
    """A Secret that tells all of it, such as the <name>-default-user Secret of RabbitMQ's cluster operator."""
    redis: ManagedRedis | None = None
    """A Redis that the operator runs, with a generated password."""
    tls: Tls | None = None
    """Certificates for rediss://, amqps:// and sentinel:// (there for the servers and the Sentinels). With a
    serviceBinding it asks for TLS."""
    management: Management | None = None
    """RabbitMQ's management API. Without it the operator sees waiting messages, and not those that workers hold."""
    sqs: Sqs | None = None
    """For an sqs:// URL: the account with which the operator reads the queues. Workers run without it, too."""
    transport_options: TransportOptions | None = None
    """Celery's broker_transport_options for workers, beat and the operator's own readings, for example
    {global_keyprefix: "shop:"} or {master_name: mymaster} for Redis Sentinel. Not together with that setting in
    spec.config."""
    transport_options_from: SecretSettings | None = None
    """Transport options whose values are secret. A dot goes one level down: sentinel_kwargs.password is the Sentinels'
    own password. They are added to transportOptions."""


class ResultBackend(ApiModel):
    """Where results go."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "[has(self.url), has(self.urlFrom), has(self.parts), has(self.serviceBinding), has(self.redis), "
                "has(self.sameAsBroker) && self.sameAsBroker, has(self.disabled) && self.disabled].exists_one(x, x)",
                "set exactly one of url, urlFrom, parts, serviceBinding, redis, sameAsBroker: true or disabled: true",
            ),
            Cel(
                f"!has(self.tls) || ({_asks_for_tls(BACKEND_TLS_SCHEMES)})",
                "tls needs a URL that asks for TLS; write rediss:// or sentinel://, or remove tls",
            ),
            Cel(
                "!has(self.tls) || !(has(self.redis) || (has(self.sameAsBroker) && self.sameAsBroker) || "
                "(has(self.disabled) && self.disabled))",
                "tls belongs to a url, urlFrom, parts or serviceBinding; sameAsBroker takes the broker's",
            ),
            Cel(
                "!(has(self.disabled) && self.disabled) || !(has(self.expires) || has(self.transportOptions) || "
                "has(self.transportOptionsFrom))",
                "disabled keeps no results; remove expires and the transport options",
            ),
        )
    )
    url: Url | None = None
    """The result backend's URL in plain text: redis://, rpc://, db+postgresql:// and whatever Celery knows. Use urlFrom
    or parts when there is a password."""
    url_from: SecretKeySource | None = None
    """The Secret's key that holds the whole URL."""
    parts: Parts | None = None
    """The URL in parts, the password from a Secret. It is put together inside the pod."""
    service_binding: ServiceBinding | None = None
    """A Secret in the service-binding shape, of the type redis."""
    redis: ManagedRedis | None = None
    """A Redis that the operator runs: the broker's own when that is managed too (then database 1)."""
    same_as_broker: bool | None = None
    """True: the broker's URL, or database 1 of a Redis that the operator runs."""
    disabled: bool | None = None
    """True: results are thrown away, whatever the application's code says. Reading one raises an error."""
    tls: Tls | None = None
    """Certificates for rediss:// and sentinel:// (there for the servers and the Sentinels)."""
    expires: Duration | None = None
    """How long a result is kept, Celery's result_expires; a day when nobody says so. Not together with that setting in
    spec.config."""
    transport_options: TransportOptions | None = None
    """Celery's result_backend_transport_options, for example {master_name: mymaster} for Redis Sentinel; with
    sameAsBroker the broker's Sentinel options when absent."""
    transport_options_from: SecretSettings | None = None
    """Such options whose values are secret. A dot goes one level down: sentinel_kwargs.password is the Sentinels' own
    password."""
