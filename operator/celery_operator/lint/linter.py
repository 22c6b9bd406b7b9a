"""The linter of a running operator: knows which CeleryClusters share a broker, and looks again only when it must."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from celery_operator.api.cluster import CeleryCluster
from celery_operator.lint.inputs import BrokerFacts, Fleet, Inputs
from celery_operator.lint.neighbour import Neighbour
from celery_operator.lint.registry import check
from celery_operator.lint.rule import Finding
from celery_operator.lint.silenced import silenced

_Key = tuple[str, str]
_Version = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What was found, and for what."""

    version: _Version
    quiet: frozenset[str]
    fleet: Fleet | None
    broker: BrokerFacts | None
    others: tuple[Neighbour, ...]
    findings: tuple[Finding, ...]


class Linter:
    """One for all CeleryClusters of a process. A pass in which nothing has changed costs some microseconds.

    It learns of a CeleryCluster by `learn`, else by its first pass. What others have to say of that they say at their
    next one.
    """

    def __init__(self, on_neighbours: Callable[[str], None] = lambda _: None) -> None:
        """``on_neighbours``: told of a broker where a CeleryCluster that is not alone came, went or changed."""
        self._on_neighbours = on_neighbours
        self._versions: dict[_Key, _Version] = {}
        self._neighbours: dict[_Key, Neighbour] = {}
        self._by_broker: defaultdict[str, dict[_Key, Neighbour]] = defaultdict(dict)
        self._known: dict[_Key, _Known] = {}

    def findings(self, cluster: CeleryCluster, fleet: Fleet | None, broker: BrokerFacts | None) -> tuple[Finding, ...]:
        """Everything that may hurt this CeleryCluster later."""
        key, version = self.learn(cluster)
        others, quiet = self._others(key), silenced(cluster)
        known = self._known.get(key)
        if (
            known is None
            or (known.version, known.quiet, known.others) != (version, quiet, others)
            or (known.fleet, known.broker) != (fleet, broker)
        ):
            found = check(Inputs(cluster=cluster, others=others, fleet=fleet, broker=broker))
            known = self._known[key] = _Known(
                version=version,
                quiet=quiet,
                fleet=fleet,
                broker=broker,
                others=others,
                findings=found,
            )
        return known.findings

    def learn(self, cluster: CeleryCluster) -> tuple[_Key, _Version]:
        """Know it as a neighbour of others from now on."""
        metadata = cluster.metadata
        key, version = (metadata.namespace, metadata.name), (metadata.uid, metadata.generation)
        self._place(key, version, cluster)
        return key, version

    def on(self, broker: str) -> tuple[tuple[str, str], ...]:
        """Namespace and name of the CeleryClusters on a broker."""
        return tuple(self._by_broker.get(broker, ()))

    def forget(self, namespace: str, name: str) -> None:
        """Drop a CeleryCluster that is gone."""
        key = (namespace, name)
        self._become(key, None)
        self._versions.pop(key, None)
        self._known.pop(key, None)

    def _place(self, key: _Key, version: _Version, cluster: CeleryCluster) -> None:
        if self._versions.get(key) == version:
            return
        self._versions[key] = version
        self._become(key, Neighbour.of(cluster))

    def _become(self, key: _Key, neighbour: Neighbour | None) -> None:
        former = self._neighbours.get(key)
        if neighbour == former:
            return
        if former is not None:
            del self._neighbours[key]
            there = self._by_broker[former.broker]
            del there[key]
            if not there:
                del self._by_broker[former.broker]
            elif neighbour is None or neighbour.broker != former.broker:
                self._on_neighbours(former.broker)
        if neighbour is not None:
            self._neighbours[key] = neighbour
            there = self._by_broker[neighbour.broker]
            there[key] = neighbour
            if len(there) > 1:
                self._on_neighbours(neighbour.broker)

    def _others(self, key: _Key) -> tuple[Neighbour, ...]:
        mine = self._neighbours.get(key)
        if mine is None or len(self._by_broker[mine.broker]) == 1:
            return ()
        return tuple(each for other, each in sorted(self._by_broker[mine.broker].items()) if other != key)
