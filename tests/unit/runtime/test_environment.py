"""Addresses and settings as they reach a pod."""

from __future__ import annotations

import json
from typing import Any

import pytest

from celery_operator.runtime import environment
from celery_operator.runtime.failures import StartError

REDIS = {"scheme": "redis", "host": "quickstart-redis", "port": 6379, "database": "0"}


def settings(**more: Any) -> str:
    """CELERY_OPERATOR_SETTINGS of a worker."""
    return json.dumps({"protocol": 1, "cluster": "quickstart", "component": "worker", **more})


def test_celery_gets_its_variables_and_ours_with_secrets_go() -> None:
    environ = {
        "CELERY_OPERATOR_SETTINGS": settings(),
        "CELERY_OPERATOR_BROKER_PARTS": json.dumps(REDIS),
        "CELERY_OPERATOR_BROKER_PASSWORD": "s3cret/",
        "CELERY_OPERATOR_RESULT_BACKEND_URL": "rediss://r:6379/1",
    }
    environment.publish(environment.read("worker", environ), environ)
    broker = "redis://:s3cret%2F@quickstart-redis:6379/0"
    assert environ["CELERY_BROKER_URL"] == broker
    assert environ["CELERY_BROKER_READ_URL"] == broker
    assert environ["CELERY_BROKER_WRITE_URL"] == broker
    assert environ["CELERY_RESULT_BACKEND"] == "rediss://r:6379/1?ssl_cert_reqs=CERT_REQUIRED"
    assert not [name for name in environ if name.startswith("CELERY_OPERATOR_") and "PASSWORD" in name]
    assert "CELERY_OPERATOR_RESULT_BACKEND_URL" not in environ


def test_a_disabled_backend_and_an_absent_one_differ() -> None:
    base = {"CELERY_OPERATOR_SETTINGS": settings()}
    assert environment.read("worker", base).result_backend is None
    disabled = {**base, "CELERY_OPERATOR_RESULT_BACKEND_DISABLED": "1"}
    assert environment.read("worker", disabled).result_backend == "disabled://"


@pytest.mark.parametrize(
    "text", [None, "", "{", "[]", settings(protocol=2), settings(component="beat"), settings(beat={"schedule": [{}]})]
)
def test_settings_that_cannot_be_understood_are_refused(text: str | None) -> None:
    with pytest.raises(StartError) as refused:
        environment.read("worker", {"CELERY_OPERATOR_SETTINGS": text} if text is not None else {})
    assert refused.value.reason == "ConfigInvalid"


def test_settings_of_shutdown_and_delivery() -> None:
    text = settings(
        taskDelivery="AtLeastOnce", gracePeriodSeconds=90, shutdownMode="Requeue", visibilityTimeoutSeconds=7200,
        concurrency="auto", cpuRequest=0.5, probePort=None,
    )  # fmt: skip
    environ = {"CELERY_OPERATOR_SETTINGS": text, "CELERY_OPERATOR_MINGLE": "off", "POD_UID": "uid"}
    read = environment.read("worker", environ)
    assert (read.task_delivery, read.grace_period_seconds, read.shutdown_mode) == ("AtLeastOnce", 90.0, "Requeue")
    assert (read.visibility_timeout_seconds, read.concurrency, read.cpu_request) == (7200.0, "auto", 0.5)
    assert (read.probe_port, read.mingle, read.pod_uid) == (None, False, "uid")


def test_an_access_key_has_no_line_break_at_its_end() -> None:
    environ = {
        "CELERY_OPERATOR_SETTINGS": settings(),
        "AWS_ACCESS_KEY_ID": "AKIA\n",
        "AWS_SECRET_ACCESS_KEY": "s3cret/\r\n",
    }
    environment.publish(environment.read("worker", environ), environ)
    assert (environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"]) == ("AKIA", "s3cret/")


def test_an_operator_of_before_gets_safe_values() -> None:
    read = environment.read("worker", {"CELERY_OPERATOR_SETTINGS": settings()})
    assert (read.grace_period_seconds, read.shutdown_mode, read.visibility_timeout_seconds) == (300.0, "Drain", 3600.0)
    assert (read.probe_port, read.mingle, read.pod_uid, read.concurrency) == (9540, True, "", None)


@pytest.mark.parametrize(("mode", "remapped"), [("Drain", None), ("Requeue", "SIGQUIT")])
def test_the_mode_says_what_sigterm_does_not_the_image(mode: str, remapped: str | None) -> None:
    environ = {"CELERY_OPERATOR_SETTINGS": settings(shutdownMode=mode), "REMAP_SIGTERM": "SIGQUIT"}
    environment.publish(environment.read("worker", environ), environ)
    assert environ.get("REMAP_SIGTERM") == remapped
