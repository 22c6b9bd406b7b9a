"""Log lines: one JSON object each, and no password in any of them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import kopf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_operator.telemetry.logging import LogFormat, configure, mask_secrets


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_time_level_logger_message_and_extra(stream: io.StringIO) -> None:
    configure("json", "INFO", stream=stream)
    logging.getLogger("here").info("worker group %s", "reports", extra={"object": {"namespace": "n", "name": "c"}})
    (line,) = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "here",
        "message": "worker group reports",
        "object": {"namespace": "n", "name": "c"},
    }


def test_a_traceback_stays_on_its_line(stream: io.StringIO) -> None:
    configure("json", stream=stream)
    try:
        raise ValueError("at redis://:secret@host/0")
    except ValueError:
        logging.getLogger("here").exception("failed")
    (line,) = lines(stream)
    assert "ValueError: at redis://***@host/0" in line["exception"]


def test_kopfs_object_is_the_lines_object(stream: io.StringIO) -> None:
    configure("json", stream=stream)
    reference = {"apiVersion": "v1", "kind": "CeleryCluster", "namespace": "n", "name": "c", "uid": "u"}
    settings = kopf.OperatorSettings()
    logging.getLogger("kopf.objects").warning("x", extra={"k8s_ref": reference, "k8s_skip": True, "settings": settings})
    (line,) = lines(stream)
    assert line["object"] == {"kind": "CeleryCluster", "namespace": "n", "name": "c"}
    assert "settings" not in line


@pytest.mark.parametrize("format", ["json", "text"])
def test_secrets_are_masked_in_message_arguments_extra_and_exceptions(format: LogFormat, stream: io.StringIO) -> None:
    configure(format, stream=stream)
    url = "amqp://user:pass-word@rabbit:5672/vhost"
    error = ConnectionError(f"cannot reach {url}")
    logging.getLogger("here").error(
        "broker %s", url, extra={"broker": url, "all": [url, {"one": url}]}, exc_info=(ConnectionError, error, None)
    )
    assert "pass-word" not in stream.getvalue()
    assert stream.getvalue().count("amqp://***@rabbit:5672/vhost") >= 4


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("redis://:pw@host:6379/0", "redis://***@host:6379/0"),
        ("at rediss://u:p%40@h/0, again", "at rediss://***@h/0, again"),
        ("redis://:p@ss@host/0", "redis://***@host/0"),
        ("redis://:p/a:s?s#@host/0", "redis://***@host/0"),
        ("sentinel://:a@h1;sentinel://:b@h2", "sentinel://***@h2"),
        ("db+postgresql://u:p@h/d", "db+postgresql://***@h/d"),
        ("https://host/path", "https://host/path"),
        ("redis://host/0 for ops@example.com", "redis://host/0 for ops@example.com"),
    ],
)
def test_what_is_masked(text: str, masked: str) -> None:
    assert mask_secrets(text) == masked


@given(
    password=st.text(st.characters(exclude_categories=["Z", "C"]), min_size=3).filter(lambda text: not text.isspace())
)
def test_no_password_without_spaces_survives(password: str) -> None:
    assert mask_secrets(f"see redis://user:{password}@host/0 now") == "see redis://***@host/0 now"


def test_a_long_message_is_masked_in_linear_time(stream: io.StringIO) -> None:
    # A quadratic pattern would take minutes here, and block the event loop for as long.
    assert mask_secrets("a" * 1_000_000 + "://") == "a" * 1_000_000 + "://"


def test_the_level_counts_and_a_second_configuration_replaces_the_first(stream: io.StringIO) -> None:
    other = io.StringIO()
    configure("text", "DEBUG", stream=other)
    configure("json", "warning", stream=stream)
    logging.getLogger("here").info("quiet")
    logging.getLogger("here").warning("loud")
    assert [line["message"] for line in lines(stream)] == ["loud"]
    assert other.getvalue() == ""


def test_a_value_that_json_does_not_know_is_written_as_text(stream: io.StringIO) -> None:
    configure("json", stream=stream)
    logging.getLogger("here").info("x", extra={"error": ConnectionError("redis://:pw@host")})
    assert lines(stream)[0]["error"] == "redis://***@host"
