"""The operator's settings come from the environment, and a wrong one is named at the start."""

from __future__ import annotations

import os

import pytest
from pydantic import ValidationError

from celery_operator.settings import Settings


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CELERY_OPERATOR_")]:
        monkeypatch.delenv(name)


def test_defaults() -> None:
    settings = Settings()
    assert (settings.port, settings.log_format, settings.log_level) == (8080, "json", "INFO")
    assert (settings.lease_namespace, settings.lease_name) == ("celery-operator", "celery-operator")
    assert settings.namespace_list == ()
    assert settings.identity


@pytest.mark.parametrize(
    ("text", "namespaces"),
    [("", ()), ("a", ("a",)), ("a,b", ("a", "b")), (" a , b ,", ("a", "b")), (",", ())],
)
def test_namespaces(monkeypatch: pytest.MonkeyPatch, text: str, namespaces: tuple[str, ...]) -> None:
    monkeypatch.setenv("CELERY_OPERATOR_NAMESPACES", text)
    assert Settings().namespace_list == namespaces


@pytest.mark.parametrize("level", ["debug", "Debug", "DEBUG"])
def test_the_log_level_may_be_written_in_any_case(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    monkeypatch.setenv("CELERY_OPERATOR_LOG_LEVEL", level)
    assert Settings().log_level == "DEBUG"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "http"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("LEASE_NAME", ""),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"CELERY_OPERATOR_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        Settings()


@pytest.mark.parametrize(
    ("pod_ip", "address"), [("", ""), ("10.0.0.7", "http://10.0.0.7:8080"), ("fd00::7", "http://[fd00::7]:8080")]
)
def test_where_the_others_find_this_process(monkeypatch: pytest.MonkeyPatch, pod_ip: str, address: str) -> None:
    monkeypatch.setenv("CELERY_OPERATOR_POD_IP", pod_ip)
    assert Settings().address == address
