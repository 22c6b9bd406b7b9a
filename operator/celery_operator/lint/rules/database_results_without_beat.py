"""database-results-without-beat: nobody sends the task that deletes expired results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from celery_operator.lint import results
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule

_CLEANED: Final = ("db", "file", "mongodb", "arangodb")
"""Backends that celery.backend_cleanup cleans (celery/backends, `cleanup`): the others forget by themselves."""


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    scheme = results.scheme(spec)
    if spec.beat is not None or scheme is None or not results.are_kept(spec):
        return
    if scheme.partition("+")[0] in _CLEANED:
        yield (
            "spec.resultBackend keeps results in a database, where only the task celery.backend_cleanup deletes "
            "expired ones, and without spec.beat nobody sends it: the database grows for ever; set beat: {}"
        )


RULE = Rule(
    id="database-results-without-beat",
    severity="warning",
    title="Results in a database, and no beat that cleans up",
    why="Redis forgets a result by itself when it has expired. A database does not: beat sends "
    "`celery.backend_cleanup` at four in the morning, and a worker deletes what has expired. Whoever runs a beat "
    "outside of this CeleryCluster may silence the rule.",
    wrong="resultBackend: {url: 'db+postgresql://postgres/results'}",
    right="resultBackend: {url: 'db+postgresql://postgres/results'}\nbeat: {}",
    messages=_messages,
)
