"""pickle-accepted: who may write to the broker may run any code in the workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from celery_operator.desired import celery_settings
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule

_PICKLE: Final = ("pickle", "application/x-python-serialize")
"""The name and the content type by which kombu knows it (kombu/serialization.py)."""
_SETTINGS: Final = ("accept_content", "task_serializer")


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    found = [name for name in _SETTINGS if _names_pickle(celery_settings.value(spec, name))]
    if found:
        yield (
            f"spec.config: {', '.join(found)} has workers unpickle what comes, so that whoever may write to the broker "
            "runs any code in them, with their rights and Secrets; send json instead, and accept nothing else"
        )


def _names_pickle(value: Any) -> bool:
    return any(each in _PICKLE for each in (value if isinstance(value, list) else [value]))


RULE = Rule(
    id="pickle-accepted",
    severity="warning",
    title="Workers unpickle messages",
    why="A pickle is a program that the reader runs. A password of the broker that leaks, or a broker without one, is "
    "then as good as a shell in every worker. Celery has taken nothing but JSON by itself since 4.0. Where arguments "
    "are no JSON (dates, decimals and UUIDs are, to Celery), send an id, and let the task read the object.",
    wrong="config: {task_serializer: pickle, accept_content: [json, pickle]}",
    right="config: {task_serializer: json, accept_content: [json]}",
    messages=_messages,
)
