"""How a server is named besides its URL: in parts, by a Secret in the service-binding shape, with secret options."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from celery_operator.api.model import ApiModel, Cel, SchemaExtra, list_map, rules
from celery_operator.api.pod import RequiredSecretKey, SecretKeySource
from celery_operator.api.scalars import ObjectName

AMQP_SCHEMES = ("amqp", "amqps", "pyamqp")
"""URL schemes of RabbitMQ."""
_AMQP = ", ".join(repr(scheme) for scheme in AMQP_SCHEMES)

Url = Annotated[
    str,
    Field(min_length=1, max_length=2048, pattern=r"^[a-z][a-z0-9+.-]*://\S*$"),
]

Database = Annotated[
    int | str,
    SchemaExtra(
        (
            ("anyOf", [{"type": "integer"}, {"type": "string"}]),
            ("x-kubernetes-int-or-string", True),
            ("maxLength", 255),
            ("minimum", 0),
        )
    ),
]


class Parts(ApiModel):
    """A URL in parts, which the pod puts together: user and password may hold any character."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel("!(has(self.username) && has(self.usernameFrom))", "set username or usernameFrom, not both"),
            Cel(
                f"!has(self.vhost) || self.scheme in [{_AMQP}]",
                "vhost is RabbitMQ's (amqp, amqps); use database",
            ),
            Cel(
                f"!has(self.database) || !(self.scheme in [{_AMQP}])",
                "RabbitMQ has virtual hosts and no databases; use vhost",
            ),
        )
    )
    scheme: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z][a-z0-9+.-]*$")]
    """What the URL begins with: redis, rediss (with TLS), sentinel, amqp, amqps (with TLS), or another of Celery's."""
    host: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9._:-]+$")]
    """The server's name or address; without a dot, a Service in the CeleryCluster's namespace."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Its port; the scheme's own when absent."""
    vhost: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """RabbitMQ's virtual host as it is called there, for example shop or /shop; / when absent."""
    database: Database | None = None
    """Redis' database number, 0 when absent, or an SQL database's name."""
    username: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """The user's name, where that is no secret."""
    username_from: SecretKeySource | None = None
    """The Secret's key that holds the user's name."""
    password_from: SecretKeySource | None = None
    """The Secret's key that holds the password, as it is: nothing has to be encoded."""


class ServiceBinding(ApiModel):
    """A Secret as the Service Binding specification has it; <name>-default-user of RabbitMQ's cluster operator is one.

    Read are type (rabbitmq or redis) and uri, or host, port, username, password, virtual-host and database.
    """

    name: ObjectName
    """Name of the Secret."""


SettingName = Annotated[
    str,
    Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$"),
]


class SecretSetting(ApiModel):
    """A setting whose value is the text of a Secret's key."""

    name: SettingName
    """The setting's name."""
    secret_key_ref: RequiredSecretKey
    """The Secret's key that holds the value."""


SecretSettings = Annotated[list[SecretSetting], Field(max_length=32), list_map("name")]
