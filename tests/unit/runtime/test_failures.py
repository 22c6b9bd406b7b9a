"""What an application's failure may show."""

from __future__ import annotations

import pytest

from celery_operator.runtime.failures import MESSAGE_LIMIT, Redactor, one_line


def test_urls_and_secrets_are_taken_out() -> None:
    redactor = Redactor()
    redactor.add(["hunter2", "hunter2-long"])
    text = redactor.clean("cannot use amqp://u:x@h/v with hunter2-long and hunter2")
    assert text == "cannot use (URL hidden) with *** and ***"


def test_a_very_short_secret_hides_the_whole_text() -> None:
    redactor = Redactor()
    redactor.add(["ab"])
    assert "ab" not in redactor.clean("about")
    assert redactor.clean("nothing") == "nothing"


@pytest.mark.parametrize("text", ["a\nb\tc", "x" * 1000])
def test_messages_are_one_short_line(text: str) -> None:
    message = one_line(text)
    assert "\n" not in message
    assert len(message) <= MESSAGE_LIMIT
