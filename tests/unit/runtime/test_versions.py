"""Which packages are in the image, and whether they go together."""

from __future__ import annotations

import contextlib

import pytest
from kombu.exceptions import VersionMismatch
from kombu.transport.redis import Channel

from celery_operator.runtime.failures import StartError
from celery_operator.runtime.versions import Installed, check_broker, check_celery, parse


@pytest.mark.parametrize(
    ("text", "numbers"), [("5.7.0", (5, 7, 0)), ("5.6.0rc1", (5, 6, 0)), ("5.7b2", (5, 7)), ("dev", ())]
)
def test_versions_are_compared_as_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert parse(text) == numbers


def test_an_old_celery_is_refused() -> None:
    with pytest.raises(StartError) as refused:
        check_celery(Installed(celery="4.4.7"))
    assert refused.value.reason == "UnsupportedVersion"
    check_celery(Installed(celery="5.3.0"))


@pytest.mark.parametrize(("error", "refused"), [(VersionMismatch("too old"), True), (AttributeError("gone"), False)])
def test_only_a_mismatch_of_kombu_and_redis_is_refused(
    error: Exception, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def private(_: object) -> object:
        raise error

    monkeypatch.setattr(Channel, "_get_client", private)
    found = Installed(celery="5.7.0", kombu="5.7.0", redis="5.3.1")
    with pytest.raises(StartError, match="too old") if refused else contextlib.nullcontext():
        check_broker(found, "redis://r/0")
