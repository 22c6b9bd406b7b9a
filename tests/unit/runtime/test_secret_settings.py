"""Settings from Secrets reach their place in the configuration, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from celery_operator.runtime import environment, secret_settings
from celery_operator.runtime.failures import StartError, redactor
from celery_operator.runtime.secret_settings import BROKER_OPTIONS, SecretSettings

SETTINGS = json.dumps({"protocol": 1, "cluster": "c", "component": "worker"})
ENVIRON = {
    "CELERY_OPERATOR_SETTINGS": SETTINGS,
    "CELERY_OPERATOR_CONFIG_FROM": '["redbeat_redis_url", "token"]',
    "CELERY_OPERATOR_CONFIG_SECRET_0": "redis://:hunter22@r",
    "CELERY_OPERATOR_CONFIG_SECRET_1": "correct horse\n",
    "CELERY_OPERATOR_BROKER_OPTIONS": '["sentinel_kwargs.password"]',
    "CELERY_OPERATOR_BROKER_SECRET_0": "battery staple",
    "CELERY_OPERATOR_RESULT_BACKEND_OPTIONS": '["password"]',
    "CELERY_OPERATOR_RESULT_BACKEND_SECRET_0": "Tr0ub4dor",
}


def test_they_are_read_by_their_names_and_never_printed() -> None:
    found = secret_settings.read(ENVIRON)
    assert found.config == {"redbeat_redis_url": "redis://:hunter22@r", "token": "correct horse"}
    assert found.broker_options == {"sentinel_kwargs.password": "battery staple"}
    assert found.backend_options == {"password": "Tr0ub4dor"}
    text = redactor.clean("correct horse, battery staple, Tr0ub4dor, hunter22@r " + repr(found))
    assert not [word for word in ("horse", "staple", "Tr0ub4dor") if word in text]
    assert "hunter22" not in repr(found)


def test_none_of_them_stays_in_the_environment() -> None:
    environ = dict(ENVIRON)
    environment.publish(environment.read("worker", environ), environ)
    assert not [name for name in environ if "_SECRET_" in name]


@pytest.mark.parametrize(
    ("config", "options", "merged"),
    [
        ({}, {"password": "x"}, {"password": "x"}),
        (
            {"master_name": "m"},
            {"sentinel_kwargs.password": "x"},
            {"master_name": "m", "sentinel_kwargs": {"password": "x"}},
        ),
        (
            {"sentinel_kwargs": {"ssl": True}},
            {"sentinel_kwargs.username": "u", "sentinel_kwargs.password": "x"},
            {"sentinel_kwargs": {"ssl": True, "username": "u", "password": "x"}},
        ),
    ],
)
def test_a_dot_goes_one_level_down(config: dict[str, Any], options: dict[str, str], merged: dict[str, Any]) -> None:
    before = json.dumps(config)
    found = secret_settings.added({BROKER_OPTIONS: config}, SecretSettings(broker_options=options))
    assert found == {BROKER_OPTIONS: merged}
    assert json.dumps(config) == before


def test_nothing_can_go_below_a_value() -> None:
    secrets = SecretSettings(broker_options={"sentinel_kwargs.password": "x"})
    with pytest.raises(StartError) as refused:
        secret_settings.added({BROKER_OPTIONS: {"sentinel_kwargs": "y"}}, secrets)
    assert "broker_transport_options.sentinel_kwargs is no map of names to values" in refused.value.message


def test_settings_of_before_have_none() -> None:
    read = environment.read("worker", {"CELERY_OPERATOR_SETTINGS": SETTINGS})
    assert read.secrets == SecretSettings()
