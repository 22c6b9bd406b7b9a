"""How Sentinels are asked: at once the next one, and as the application and the CeleryCluster say."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from kombu import Connection
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from celery_operator.runtime.configuration import Layers, merge
from celery_operator.runtime.environment import Settings
from celery_operator.runtime.layering import SENTINEL_DEFAULTS, layers
from celery_operator.runtime.secret_settings import BACKEND_OPTIONS, BROKER_OPTIONS, SecretSettings
from celery_operator.runtime.table import choose
from celery_operator.runtime.tls import Files
from celery_operator.runtime.versions import Installed
from tests.integration.servers import free_port

SENTINELS = Settings(
    cluster="c", component="worker", broker_url="sentinel://a;sentinel://b/0", result_backend="sentinel://a/1"
)
ONCE = Retry(NoBackoff(), 1)
REDIS = replace(SENTINELS, broker_url="redis://r/0", result_backend="redis://r/1")


def of(settings: Settings) -> Layers:
    return layers(settings, choose(Installed(celery="5.7.0", kombu="5.7.0"), settings))


@pytest.mark.parametrize("setting", [BROKER_OPTIONS, BACKEND_OPTIONS])
@pytest.mark.parametrize(
    ("own", "asked"),
    [
        (None, SENTINEL_DEFAULTS),
        ({"master_name": "m"}, SENTINEL_DEFAULTS),
        ({"sentinel_kwargs": {"password": "p"}}, {**SENTINEL_DEFAULTS, "password": "p"}),
        (
            {"sentinel_kwargs": {"retry": ONCE, "socket_timeout": 0.1}},
            {**SENTINEL_DEFAULTS, "retry": ONCE, "socket_timeout": 0.1},
        ),
        ({"sentinel_kwargs": None}, None),
    ],
)
def test_what_the_application_says_of_its_sentinels_counts(setting: str, own: Any, asked: Any) -> None:
    said = copy.deepcopy(own)
    assert merge(setting, own, of(SENTINELS))["sentinel_kwargs"] == asked
    assert own == said, "an application's own dict is not written into"


def test_what_the_celerycluster_says_of_its_sentinels_counts() -> None:
    secrets = SecretSettings(broker_options={"sentinel_kwargs.password": "p"})
    found = of(replace(SENTINELS, secrets=secrets)).forced[BROKER_OPTIONS]
    assert found["sentinel_kwargs"] == {**SENTINEL_DEFAULTS, "password": "p"}


def test_certificates_are_for_the_sentinels_too() -> None:
    options = merge(BROKER_OPTIONS, {}, of(replace(SENTINELS, broker_tls=Files(ca="/ca"))))
    assert options["sentinel_kwargs"].items() >= {**SENTINEL_DEFAULTS, "ssl": True, "ssl_ca_certs": "/ca"}.items()
    without = merge(BROKER_OPTIONS, {"sentinel_kwargs": {"ssl": False}}, of(replace(SENTINELS, broker_tls=Files())))
    assert without["sentinel_kwargs"]["ssl"] is False


def test_without_sentinels_nothing_is_said_of_them() -> None:
    assert "sentinel_kwargs" not in merge(BROKER_OPTIONS, {}, of(REDIS))
    assert BACKEND_OPTIONS not in of(REDIS).merged


def test_a_sentinel_that_is_gone_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """By kombu's own transport, which pauses between the tries otherwise."""
    pauses: list[float] = []
    monkeypatch.setattr("redis.retry.sleep", pauses.append)
    options = merge(BROKER_OPTIONS, {"master_name": "m"}, of(SENTINELS))
    broker = Connection(f"sentinel://127.0.0.1:{free_port()}/0", transport_options=options)
    with broker, pytest.raises(MasterNotFoundError):
        broker.connect()
    assert pauses == []


def test_redis_py_would_try_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it does no more, the default is needed no longer."""
    pauses: list[float] = []
    monkeypatch.setattr("redis.retry.sleep", pauses.append)
    with pytest.raises(MasterNotFoundError):
        Sentinel([("127.0.0.1", free_port())]).discover_master("m")  # type: ignore[no-untyped-call]
    assert pauses
