"""URLs in parts, service bindings and settings from Secrets."""

from __future__ import annotations

from hypothesis import strategies as st

from celery_operator.api import connection
from tests.strategies.model import Json, Objects, named, of, without
from tests.strategies.pod import required_keys, secret_sources
from tests.strategies.scalars import names_of_objects, ports

hosts = st.sampled_from(["redis", "broker.shop.svc", "10.0.0.7", "h_1"])
users = st.sampled_from(["shop", "a@b:c/d", "ü$(A)"])
AMQP = st.sampled_from(["amqp", "amqps", "pyamqp"])
REDIS = st.sampled_from(["redis", "rediss"])


def parts(schemes: st.SearchStrategy[str]) -> Objects:
    """A URL in parts, with a virtual host or a database as its scheme has them."""
    whole = of(
        connection.Parts,
        {"scheme": schemes, "host": hosts},
        {
            "port": ports,
            "vhost": st.sampled_from(["/", "shop", "/a/b"]),
            "database": st.sampled_from([0, 3, "15"]),
            "username": users,
            "usernameFrom": secret_sources,
            "passwordFrom": secret_sources,
        },
    )

    def agree(value: Json) -> Json:
        wrong = "database" if value["scheme"] in connection.AMQP_SCHEMES else "vhost"
        return without(value, wrong, *(["username"] if "usernameFrom" in value else []))

    return whole.map(agree)


service_bindings = of(connection.ServiceBinding, {"name": names_of_objects}, {})


def secret_settings(*names: str) -> st.SearchStrategy[list[Json]]:
    """Settings with these names whose values are in Secrets."""
    setting = of(connection.SecretSetting, {"name": st.sampled_from(names), "secretKeyRef": required_keys}, {})
    return named(setting)
