"""broker-retries-limited: workers that end because the broker is away, and come back long after it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from celery_operator.desired import celery_settings
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule

_TRIES: Final = "broker_connection_max_retries"
_LONG_OUTAGE: Final = 3600.0
"""Seconds. Who lets workers try for longer than that has thought about it."""
_STEP: Final = 2
_LONGEST_STEP: Final = 30
"""Seconds: each wait is a step longer than the one before, up to this (kombu/connection.py, _ensure_connection)."""
_GROWING: Final = _LONGEST_STEP // _STEP


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    for setting, when in (
        ("broker_connection_retry", "as soon as the broker is away"),
        ("broker_connection_retry_on_startup", "when the broker is away at its start"),
    ):
        if celery_settings.value(spec, setting) is False:
            yield _message(f"{setting} false", when)
    tries = celery_settings.value(spec, _TRIES)
    patience = _patience(tries)
    if patience is not None and patience < _LONG_OUTAGE:
        when = f"when the broker has been away for {patience} s" if patience else "as soon as the broker is away"
        yield _message(f"{_TRIES} {tries}", when)


def _message(setting: str, when: str) -> str:
    return (
        f"spec.config: with {setting} a worker ends {when}; Kubernetes waits up to five minutes before it starts one "
        "again that has ended repeatedly, so tasks wait although the broker is back; remove the setting: workers then "
        "try until it is"
    )


def _patience(tries: Any) -> int | None:
    """Seconds that so many tries take without the connections themselves; None for any number of tries."""
    if not isinstance(tries, int) or isinstance(tries, bool):
        return None
    growing, even = max(0, min(tries, _GROWING)), max(0, tries - _GROWING)
    return _STEP * growing * (growing + 1) // 2 + _LONGEST_STEP * even


RULE = Rule(
    id="broker-retries-limited",
    severity="warning",
    title="Workers give up when the broker is away for a time",
    why="By default the operator lets workers try for ever to reach their broker, so that they go on within seconds "
    "when it is back. A worker that gives up finishes what it runs and exits with an error, as all others do at the "
    "same time. Kubernetes starts them again after a wait that doubles each time, up to five minutes. With `0`, which "
    "older documentation of Celery calls for ever, a worker gives up at the first failure.",
    wrong="config: {broker_connection_max_retries: 10}",
    right="config: {broker_connection_max_retries: null}",
    messages=_messages,
)
