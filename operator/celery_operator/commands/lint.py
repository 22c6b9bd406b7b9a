"""`celery-operator lint FILE...`: what the operator would refuse or warn of, before anything is applied."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from celery_operator.api import KIND
from celery_operator.api.cluster import CeleryCluster
from celery_operator.commands import documents
from celery_operator.commands.documents import Document, Place
from celery_operator.desired import children, hook_job
from celery_operator.desired.pod import Surroundings
from celery_operator.desired.runtime_configmap import Runtime
from celery_operator.desired.strategic_merge import MergeError
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.neighbour import Neighbour
from celery_operator.lint.registry import check
from celery_operator.reconcile import problems

CLEAN: Final = 0
FOUND: Final = 1
BAD_INPUT: Final = 2
"""Exit codes."""

SEVERITIES: Final = ("error", "warning", "hint")
"""The worst first. error: the operator would refuse the spec (SpecValid=False)."""
INVALID: Final = "invalid-spec"
"""What stands for a rule where the operator would refuse a spec."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One line of the answer."""

    place: Place
    severity: str
    rule: str
    message: str


def lint(files: Sequence[str], *, output: str, fail_on: str) -> int:
    """Look at all files, and write to standard output what was found there; the exit code.

    ``fail_on``: the mildest severity that makes the exit code FOUND.
    """
    read = [document for file in dict.fromkeys(files) for document in documents.read(file)]
    if not read:
        sys.stderr.write(f"celery-operator lint: there is no {KIND} in {', '.join(files)}\n")
        return BAD_INPUT
    told = list(_findings(read))
    write = _json if output == "json" else _text
    sys.stdout.write(write(read, told))
    if any(document.errors for document in read):
        return BAD_INPUT
    counts = SEVERITIES[: SEVERITIES.index(fail_on) + 1]
    return FOUND if any(each.severity in counts for each in told) else CLEAN


def _findings(read: Sequence[Document]) -> Iterator[Told]:
    neighbours = [None if document.cluster is None else Neighbour.of(document.cluster) for document in read]
    for document, mine in zip(read, neighbours, strict=True):
        cluster = document.cluster
        if cluster is None:
            continue
        for problem in problems.find(cluster) or _unmergeable(cluster):
            yield Told(place=document.place, severity="error", rule=INVALID, message=problem)
        for finding in check(Inputs(cluster=cluster, others=_others(mine, cluster, neighbours))):
            yield Told(place=document.place, severity=finding.severity, rule=finding.rule, message=finding.message)


def _unmergeable(cluster: CeleryCluster) -> tuple[str, ...]:
    """Why a `podTemplate` cannot be merged: the plan finds that when it builds the pods."""
    surroundings = Surroundings(runtime=Runtime(files={}, content_hash="0"))
    hook = hook_job.wanted(cluster.spec)
    try:
        children.build(cluster, surroundings)
        if hook is not None:
            hook_job.build(cluster, hook, surroundings)
    except MergeError as error:
        return (str(error),)
    return ()


def _others(
    mine: Neighbour | None, cluster: CeleryCluster, neighbours: Iterable[Neighbour | None]
) -> tuple[Neighbour, ...]:
    """Those on the same broker. One of the same name is the same CeleryCluster again, for another environment."""
    name = (cluster.metadata.namespace, cluster.metadata.name)
    return tuple(
        each
        for each in neighbours
        if mine is not None and each is not None and each.broker == mine.broker and (each.namespace, each.name) != name
    )


def _text(read: Sequence[Document], told: Sequence[Told]) -> str:
    lines = [f"{document.place}: {error}" for document in read for error in document.errors]
    lines += [f"{each.place}: {each.severity}: {each.message} [{each.rule}]" for each in told]
    counts = {severity: sum(each.severity == severity for each in told) for severity in SEVERITIES}
    found = ", ".join(_counted(count, severity) for severity, count in counts.items() if count)
    clusters = sum(document.cluster is not None for document in read)
    lines.append(f"{found or 'nothing found'} in {_counted(clusters, KIND)}")
    return "\n".join(lines) + "\n"


def _json(read: Sequence[Document], told: Sequence[Told]) -> str:
    answer = {
        "clusters": sum(document.cluster is not None for document in read),
        "badInput": [{**_place(document.place), "message": error} for document in read for error in document.errors],
        "findings": [
            {**_place(each.place), "severity": each.severity, "rule": each.rule, "message": each.message}
            for each in told
        ],
    }
    return json.dumps(answer, indent=2) + "\n"


def _place(place: Place) -> dict[str, str | int]:
    return {"file": place.file, "document": place.document, "cluster": place.cluster}


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
