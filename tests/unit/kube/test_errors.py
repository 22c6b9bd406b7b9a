"""Answers of the API server become the error that says what to do. The bodies were recorded on Kubernetes 1.34."""

from __future__ import annotations

import json
from typing import Any

import pytest

from celery_operator.kube.errors import (
    ApiError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Unavailable,
    error_for,
)

TYPED_PATCH = "failed to create typed patch object (default/d; apps/v1, Kind=Deployment): "


def error(status: int, message: str = "", *, headers: dict[str, str] | None = None, **rest: Any) -> ApiError:
    body = json.dumps({"kind": "Status", "status": "Failure", "message": message, "code": status, **rest})
    return error_for(status, "phrase", headers or {}, body.encode())


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, Invalid),
        (401, Unavailable),
        (403, Forbidden),
        (404, NotFound),
        (408, Unavailable),
        (409, Conflict),
        (410, ApiError),
        (413, Invalid),
        (422, Invalid),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
        (504, Unavailable),
    ],
)
def test_the_status_decides_the_type(status: int, expected: type[ApiError]) -> None:
    assert type(error(status, "text")) is expected


@pytest.mark.parametrize(
    ("message", "causes"),
    [
        (TYPED_PATCH + ".spec.replcas: field not declared in schema", (".spec.replcas: field not declared in schema",)),
        (
            TYPED_PATCH + "errors:\n  .spec.a: field not declared in schema\n  .spec.b: expected map, got string",
            (".spec.a: field not declared in schema", ".spec.b: expected map, got string"),
        ),
        (
            "failed to convert new object (default/d; apps/v1, Kind=Deployment) to proper version: unable to convert "
            "unstructured object to apps/v1, Kind=Deployment: json: cannot unmarshal number 4294967301 into Go value "
            "of type int32",
            (),
        ),
        ("etcdserver: request is too large", ()),
        ("rpc error: code = ResourceExhausted desc = trying to send message larger than max (2500735 vs. 2097152)", ()),
    ],
)
def test_refusals_that_the_server_calls_internal_errors_are_invalid(message: str, causes: tuple[str, ...]) -> None:
    refusal = error(500, message)
    assert type(refusal) is Invalid
    assert refusal.causes == causes


def test_every_problem_of_the_object_is_a_cause() -> None:
    causes = [{"field": "spec.replicas", "message": "Invalid value: -1"}, {"reason": "NamespaceTerminating"}]
    assert error(422, "two", details={"causes": causes}).causes == (
        "spec.replicas: Invalid value: -1",
        "NamespaceTerminating",
    )


def test_unknown_fields_of_a_strict_create_are_causes() -> None:
    message = (
        'ConfigMap in version "v1" cannot be handled: strict decoding error: unknown field "dara", unknown field "g"'
    )
    assert error(400, message).causes == ('unknown field "dara"', 'unknown field "g"')


def test_an_answer_that_quotes_the_whole_object_is_cut_in_the_middle() -> None:
    refusal = error(422, "patch: Invalid value: " + "x" * 100_000 + ": unknown field status.zz")
    assert len(refusal.message) < 1100
    assert refusal.message.startswith("patch: Invalid value")
    assert refusal.message.endswith("unknown field status.zz")


@pytest.mark.parametrize(
    ("headers", "details", "expected"),
    [
        ({"Retry-After": "7"}, {}, 7.0),
        ({}, {"retryAfterSeconds": 3}, 3.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, {}, None),
        ({}, {}, None),
    ],
)
def test_the_wait_that_the_server_asks_for_is_told(
    headers: dict[str, str], details: dict[str, Any], expected: float | None
) -> None:
    assert error(429, "busy", headers=headers, details=details).retry_after == expected


def test_a_proxys_page_is_an_error_too() -> None:
    answer = error_for(502, "Bad Gateway", {}, b"<html>no upstream</html>")
    assert type(answer) is Unavailable
    assert str(answer) == "502 Bad Gateway: <html>no upstream</html>"


def test_a_taken_name_is_told_from_a_lost_race() -> None:
    taken, race = error(409, "x", reason="AlreadyExists"), error(409, "x", reason="Conflict")
    assert isinstance(taken, Conflict)
    assert taken.already_exists
    assert isinstance(race, Conflict)
    assert not race.already_exists


def test_a_long_message_is_cut_between_words_so_that_no_half_url_stays() -> None:
    url = "redis://shop:secret@redis:6379/0"
    for before in range(470, 500):
        message = "x" * before + f" {url} " + "y " * 600
        text = str(error_for(422, "", {}, json.dumps({"kind": "Status", "message": message}).encode()))
        assert len(text) < 1100
        assert url in text or "secret" not in text
