"""The container's arguments."""

from __future__ import annotations

import ast

import pytest

from celery_operator.runtime import commandline
from celery_operator.runtime.failures import StartError
from tests.integration.runtime.pods import RUNTIME


@pytest.mark.parametrize("app", [["-A", "shop.celery"], ["--app", "shop.celery"], ["--app=shop.celery"]])
def test_the_application_goes_before_the_component(app: list[str]) -> None:
    command = commandline.parse(["worker", "-n", "x@y", *app, "-c", "2"])
    assert command.argv(["--without-mingle"]) == [
        "celery", "-A", "shop.celery", "worker", "--without-mingle", "-n", "x@y", "-c", "2",
    ]  # fmt: skip


@pytest.mark.parametrize("arguments", [[], ["shell", "-A", "x"], ["worker"], ["worker", "-A"]])
def test_anything_else_is_refused(arguments: list[str]) -> None:
    with pytest.raises(StartError):
        commandline.parse(arguments)


@pytest.mark.parametrize(
    "options", [["-n", "a@b"], ["-na@b"], ["--hostname", "a@b"], ["--hostname=a@b"], ["-n", "old@x", "-n", "a@b"]]
)
def test_the_last_option_counts(options: list[str]) -> None:
    assert commandline.option(options, "-n", "--hostname") == "a@b"


@pytest.mark.parametrize("source", sorted(RUNTIME.glob("*.py")), ids=lambda path: path.name)
def test_the_runtime_is_python_3_8(source: object) -> None:
    """Users' images may be that old; the parser knows what 3.8 could not read."""
    ast.parse((RUNTIME / str(getattr(source, "name", ""))).read_text(), feature_version=(3, 8))
