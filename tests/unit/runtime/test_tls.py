"""Certificates become the options that each transport understands, or the pod says why they cannot."""

from __future__ import annotations

import json
import ssl
from typing import Any

import kombu
import pytest

from celery_operator.runtime import environment, tls
from celery_operator.runtime.environment import Settings
from celery_operator.runtime.failures import StartError
from celery_operator.runtime.table import choose
from celery_operator.runtime.tls import Files, broker_options, redis_options, sentinel_options
from celery_operator.runtime.versions import Installed

OF_RABBIT = Settings(cluster="c", component="worker", broker_url="amqps://r")
FILES = Files(ca="/ca", certificate="/certificate", key="/key")
REDIS = {
    "ssl_cert_reqs": ssl.CERT_REQUIRED,
    "ssl_check_hostname": True,
    "ssl_ca_certs": "/ca",
    "ssl_certfile": "/certificate",
    "ssl_keyfile": "/key",
}
AMQP = {
    "cert_reqs": ssl.CERT_REQUIRED,
    "server_hostname": None,
    "ca_certs": "/ca",
    "certfile": "/certificate",
    "keyfile": "/key",
}


def test_every_transport_has_names_of_its_own() -> None:
    assert broker_options(FILES, "rediss://r") == redis_options(FILES) == REDIS
    assert broker_options(FILES, "sentinel://r") == REDIS
    assert broker_options(FILES, "amqps://r") == AMQP
    assert sentinel_options(FILES) == {"ssl": True, **REDIS}


def test_what_is_not_there_is_not_named() -> None:
    assert set(redis_options(Files(ca="/ca"))) == {"ssl_cert_reqs", "ssl_check_hostname", "ssl_ca_certs"}


def environ(**more: str) -> dict[str, str]:
    """A worker's variables, with certificates for both."""
    settings = {"protocol": 1, "cluster": "c", "component": "worker"}
    files = json.dumps({"ca": "/ca"})
    return {
        "CELERY_OPERATOR_SETTINGS": json.dumps(settings),
        **{f"CELERY_OPERATOR_{name}": value.replace("FILES", files) for name, value in more.items()},
    }


@pytest.mark.parametrize("scheme", ["rediss", "amqps", "sentinel"])
def test_a_scheme_that_asks_for_tls_gets_it(scheme: str) -> None:
    read = environment.read("worker", environ(BROKER_URL=f"{scheme}://r", BROKER_TLS="FILES"))
    assert read.broker_tls == Files(ca="/ca")


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        (
            {"BROKER_URL": "redis://r", "BROKER_TLS": "FILES"},
            "spec.broker.tls is set, but the address begins with redis",
        ),
        ({"BROKER_URL": "pyamqp://r", "BROKER_TLS": "FILES"}, "asks for no TLS"),
        ({"BROKER_URL": "rediss://r/0?ssl_ca_certs=/x", "BROKER_TLS": "FILES"}, "options of its own for TLS"),
        ({"RESULT_BACKEND_URL": "redis://r", "RESULT_BACKEND_TLS": "FILES"}, "spec.resultBackend.tls is set"),
        ({"RESULT_BACKEND_URL": "db+postgresql://r", "RESULT_BACKEND_TLS": "FILES"}, "asks for no TLS"),
        ({"RESULT_BACKEND_URL": "amqps://r"}, "RabbitMQ keeps no results for Celery"),
    ],
)
def test_certificates_that_nobody_would_look_at_are_refused(variables: dict[str, str], says: str) -> None:
    with pytest.raises(StartError) as refused:
        environment.read("worker", environ(**variables))
    assert refused.value.reason == "ConfigInvalid"
    assert says in refused.value.message


@pytest.mark.parametrize(
    "options",
    [broker_options(Files(), "amqps://r"), choose(Installed(celery="5.6.3"), OF_RABBIT).defaults["broker_use_ssl"]],
    ids=["spec.broker.tls", "default"],
)
def test_every_server_of_a_broker_is_expected_to_have_its_own_name(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    """kombu would go on with the name of the first, to which nobody could connect."""
    monkeypatch.setattr(kombu.Connection, "_init_params", kombu.Connection._init_params)
    tls.keep_server_names()
    connection: Any = kombu.Connection("amqps://127.0.0.1:1;amqps://127.0.0.2:1", ssl=options)
    expected = []
    for _ in range(2):
        with pytest.raises(OSError, match="refused"):
            connection.transport.establish_connection()
        expected.append(connection.ssl["server_hostname"])
        connection.maybe_switch_next()
    assert expected == ["127.0.0.1", "127.0.0.2"]
    assert options["server_hostname"] is None
