"""Every Secret and ConfigMap without which a pod could not start is known before anything is written."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.observe.references import Reference, required
from tests.unit.desired.clusters import cluster

Json = dict[str, Any]
KEY = {"name": "s", "key": "k"}


def found(spec: Json) -> list[tuple[str, str, str | None, str]]:
    return [(one.kind.kind, one.name, one.key, one.field) for one in required(cluster(spec).spec)]


def env(**source: Any) -> Json:
    return {"env": [{"name": "A", "valueFrom": source}]}


@pytest.mark.parametrize(
    ("spec", "references"),
    [
        ({}, []),
        ({"broker": {"urlFrom": {"secretKeyRef": KEY}}}, [("Secret", "s", "k", "spec.broker.urlFrom")]),
        ({"resultBackend": {"urlFrom": {"secretKeyRef": KEY}}}, [("Secret", "s", "k", "spec.resultBackend.urlFrom")]),
        (env(secretKeyRef=KEY), [("Secret", "s", "k", "spec.env[A]")]),
        (env(configMapKeyRef=KEY), [("ConfigMap", "s", "k", "spec.env[A]")]),
        (env(secretKeyRef={**KEY, "optional": True}), []),
        (env(configMapKeyRef={**KEY, "optional": True}), []),
        (env(fieldRef={"fieldPath": "metadata.name"}), []),
        ({"envFrom": [{"secretRef": {"name": "s"}}]}, [("Secret", "s", None, "spec.envFrom[0]")]),
        ({"envFrom": [{"configMapRef": {"name": "s"}}]}, [("ConfigMap", "s", None, "spec.envFrom[0]")]),
        ({"envFrom": [{"configMapRef": {"name": "s", "optional": True}}]}, []),
        ({"broker": {"redis": {}}, "resultBackend": {"redis": {}}}, []),
    ],
)
def test_required(spec: Json, references: list[tuple[str, str, str | None, str]]) -> None:
    assert found(spec) == references


@pytest.fixture
def reference() -> Reference:
    (one,) = required(cluster(env(secretKeyRef=KEY)).spec)
    return one


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        (None, "Secret 's' does not exist (spec.env[A])"),
        ({}, "Secret 's' has no key 'k' (spec.env[A])"),
        ({"data": None}, "Secret 's' has no key 'k' (spec.env[A])"),
        ({"data": {"other": "eA=="}}, "Secret 's' has no key 'k' (spec.env[A])"),
        ({"data": {"k": ""}}, None),
        ({"binaryData": {"k": "eA=="}}, None),
    ],
)
def test_what_is_missing_is_named_with_the_field_that_needs_it(
    reference: Reference, secret: Json | None, problem: str | None
) -> None:
    assert reference.problem(secret) == problem
