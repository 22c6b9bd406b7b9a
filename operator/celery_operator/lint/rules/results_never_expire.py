"""results-never-expire: the result backend grows until it is full."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.desired import celery_settings
from celery_operator.lint import results
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    if not results.are_kept(spec) or not celery_settings.given(spec, "result_expires"):
        return
    if celery_settings.value(spec, "result_expires") in (None, 0):
        yield (
            "spec.config: result_expires says that results are kept for ever, so the result backend grows until it is "
            "full, and a full Redis takes no more tasks either; remove it for Celery's default of a day, or set "
            "resultBackend.expires"
        )


RULE = Rule(
    id="results-never-expire",
    severity="warning",
    title="Results are kept for ever",
    why="Celery keeps a result for a day. `result_expires: null` (or 0) keeps each for ever. A Redis that has no "
    "memory left refuses writes, and if it is the broker as well, that is the end of all tasks.",
    wrong="resultBackend: {url: 'redis://redis:6379/1'}\nconfig: {result_expires: null}",
    right="resultBackend: {url: 'redis://redis:6379/1', expires: 1h}",
    messages=_messages,
)
