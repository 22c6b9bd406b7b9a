"""The demo takes over its own release and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.demo.install import foreign_operator
from tests.demo.kubernetes import NAMESPACE

_MARKED = {"podAnnotations": {"image-mark": "1-2"}}


def test_nothing_is_in_the_way_of_a_first_run() -> None:
    assert foreign_operator(None, deployed=False) is None


def test_a_second_run_takes_the_release_of_the_first() -> None:
    assert foreign_operator({**_MARKED, "watchNamespaces": [NAMESPACE]}, deployed=True) is None


def test_a_first_run_that_failed_before_its_deployment_is_taken_up() -> None:
    assert foreign_operator({**_MARKED, "watchNamespaces": [NAMESPACE]}, deployed=False) is None


def test_what_the_end_to_end_tests_left_is_taken_over() -> None:
    assert foreign_operator({"podAnnotations": {"tests/run": "3"}}, deployed=True) is None


@pytest.mark.parametrize(
    ("values", "scope"),
    [
        ({}, "all namespaces"),
        ({"watchNamespaces": []}, "all namespaces"),
        ({"watchNamespaces": ["shop", "billing"]}, "the namespaces shop, billing"),
        # Made by the demo, widened by its user since.
        ({**_MARKED, "watchNamespaces": [NAMESPACE, "shop"]}, "the namespaces demo, shop"),
        (_MARKED, "all namespaces"),
        # A user's own, whose other values the demo would reset.
        ({"replicas": 3, "watchNamespaces": [NAMESPACE]}, "the namespaces demo"),
    ],
)
def test_a_release_that_serves_somebody_else_is_refused(values: dict[str, Any], scope: str) -> None:
    why_not = foreign_operator(values, deployed=True)
    assert why_not is not None
    assert f"serves {scope}." in why_not
    assert "helm -n celery-operator uninstall celery-operator" in why_not


def test_an_operator_of_the_plain_manifest_is_refused() -> None:
    why_not = foreign_operator(None, deployed=True)
    assert why_not is not None
    assert "Helm did not install" in why_not
