"""What the linter told before: it counts until a process that has just begun knows what workers and broker say.

Else warnings would be over with each start of the operator, and be new some seconds later.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from celery_operator.api.cluster import CeleryCluster
from celery_operator.lint.registry import RULES
from celery_operator.lint.rule import SEVERITIES, Finding
from celery_operator.lint.silenced import silenced

_LINE: Final = re.compile(r"(?P<message>.*) \[(?P<rule>[a-z-]+)\]", re.DOTALL)
"""As `Finding` writes itself."""


def kept(cluster: CeleryCluster, status: Mapping[str, Any], found: Sequence[Finding]) -> tuple[Finding, ...]:
    """``found`` with what the status says of rules that rest on facts, as long as it says that of the same spec.

    To be asked only while facts are awaited. Where a rule has both, its former words count: they knew more.
    """
    if status.get("observedGeneration") != cluster.metadata.generation:
        return tuple(found)
    former = list(_former(status.get("warnings") or (), silenced(cluster)))
    again = {finding.rule for finding in former}
    order = {rule.id: (SEVERITIES.index(rule.severity), place) for place, rule in enumerate(RULES)}
    all_ = (*former, *(finding for finding in found if finding.rule not in again))
    return tuple(sorted(all_, key=lambda finding: order[finding.rule]))


def _former(lines: Iterable[str], quiet: frozenset[str]) -> Iterator[Finding]:
    severities = {rule.id: rule.severity for rule in RULES if rule.rests_on_facts and rule.id not in quiet}
    for line in lines:
        said = _LINE.fullmatch(line)
        if said is not None and said["rule"] in severities:
            yield Finding(rule=said["rule"], severity=severities[said["rule"]], message=said["message"])
