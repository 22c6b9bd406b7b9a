"""What the launcher prepares for Flower."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from celery_operator.runtime import flower
from celery_operator.runtime.environment import Settings
from celery_operator.runtime.failures import StartError
from celery_operator.runtime.versions import Installed


@pytest.mark.parametrize(
    ("given", "broker", "told"),
    [
        ("http://r:15672", "amqp://r", "http://r:15672/api/"),
        ("http://r:15672/", "amqp://u:p@r", "http://r:15672/api/"),
        ("https://r/api", "amqp://r", "https://r/api/"),
        ("http://u:p%40@r:15672", "amqp://u:p%40@r:5672/%2F", "http://r:15672/api/"),
        ("http://admin:x@r:15672", "amqp://u:p@r", "http://admin:x@r:15672/api/"),
    ],
)
def test_the_management_api_is_given_as_flower_wants_it(
    monkeypatch: pytest.MonkeyPatch, given: str, broker: str, told: str
) -> None:
    monkeypatch.setenv("CELERY_OPERATOR_MANAGEMENT_URL", given)
    monkeypatch.setenv("FLOWER_BROKER_API", "put back when the test ends")
    flower._management_api(broker)
    assert os.environ["FLOWER_BROKER_API"] == told
    assert "CELERY_OPERATOR_MANAGEMENT_URL" not in os.environ


SECRETS = ("FLOWER_BASIC_AUTH", "FLOWER_COOKIE_SECRET", "FLOWER_OAUTH2_KEY", "FLOWER_OAUTH2_SECRET")


@pytest.mark.parametrize("name", SECRETS)
def test_a_line_break_at_the_end_of_a_secret_is_none_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """Flower compares the whole text, so that nobody could log in."""
    (tmp_path / "flower.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    for other in SECRETS:
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, " anna:s3cret \r\n")
    flower.prepare(Settings(cluster="shop", component="flower", broker_url="redis://r"), Installed(celery="5.6.3"))
    assert {key: value for key, value in os.environ.items() if key in SECRETS} == {name: " anna:s3cret "}


@pytest.mark.parametrize("accounts", ["", "\n", "anna:s3cret,", ",anna:s3cret\n", "anna:s3,cret", "anna", ":s3cret"])
def test_no_flower_starts_that_an_empty_account_would_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, accounts: str
) -> None:
    (tmp_path / "flower.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("FLOWER_BASIC_AUTH", accounts)
    with pytest.raises(StartError, match=r"user:password, or several with commas") as told:
        flower.prepare(Settings(cluster="shop", component="flower", broker_url="redis://r"), Installed(celery="5.6.3"))
    assert "s3cret" not in told.value.message
    monkeypatch.setenv("FLOWER_BASIC_AUTH", "anna:s3cret,bob:a:b")
    flower.prepare(Settings(cluster="shop", component="flower", broker_url="redis://r"), Installed(celery="5.6.3"))
