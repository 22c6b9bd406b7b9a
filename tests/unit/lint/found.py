"""What the linter finds in made-up CeleryClusters."""

from __future__ import annotations

from typing import Any

from celery_operator.api.cluster import CeleryCluster
from celery_operator.lint.inputs import BrokerFacts, Fleet, GroupFacts, Inputs, Versions
from celery_operator.lint.neighbour import Neighbour
from celery_operator.lint.registry import check
from tests.unit.desired.clusters import cluster

Json = dict[str, Any]


def messages(seen: CeleryCluster) -> tuple[str, ...]:
    """What is found in a spec alone, warnings and hints."""
    return tuple(finding.message for finding in check(Inputs(cluster=seen)))


def ids(inputs: Inputs) -> list[str]:
    """The rules that find something, each once."""
    return list(dict.fromkeys(finding.rule for finding in check(inputs)))


def seen(spec: Json, *others: Json, fleet: Fleet | None = None, broker: BrokerFacts | None = None) -> Inputs:
    """A quiet CeleryCluster with this spec, and others that it may share its broker with."""
    mine = cluster({"podSecurity": "Restricted", **spec})
    neighbours = [Neighbour.of(cluster(each, name=f"other-{number}")) for number, each in enumerate(others)]
    identity = Neighbour.of(mine)
    met = [each for each in neighbours if each is not None and identity is not None and each.broker == identity.broker]
    return Inputs(cluster=mine, others=tuple(met), fleet=fleet, broker=broker)


def web(**facts: Any) -> Fleet:
    """A fleet whose group `web` says this."""
    return Fleet(groups={"web": GroupFacts(**facts)})


def running(celery: str, kombu: str, redis: str | None = None) -> frozenset[Versions]:
    """One image's packages."""
    return frozenset({Versions(celery=celery, kombu=kombu, redis=redis)})
