"""The linter of a running operator knows who shares a broker with whom, and looks again only when something changed."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.api.cluster import CeleryCluster
from celery_operator.lint import broker
from celery_operator.lint.inputs import Fleet, GroupFacts, Versions
from celery_operator.lint.linter import Linter
from celery_operator.lint.silenced import ANNOTATION
from tests.unit.desired.clusters import manifest

Json = dict[str, Any]


def stored(spec: Json | None = None, *, name: str = "shop", generation: int = 1, **metadata: Any) -> CeleryCluster:
    out = manifest({"podSecurity": "Restricted", **(spec or {})}, name=name, uid=f"uid-{name}")
    out["metadata"].update(generation=generation, **metadata)
    return CeleryCluster.model_validate(out)


def rules(linter: Linter, cluster: CeleryCluster, fleet: Fleet | None = None) -> list[str]:
    return [finding.rule for finding in linter.findings(cluster, fleet, None)]


def test_neighbours_are_known_after_their_first_pass_until_they_are_gone() -> None:
    linter = Linter()
    first, second = stored(), stored(name="other")
    assert rules(linter, first) == []
    assert rules(linter, second) == ["shared-queues"]
    assert rules(linter, first) == ["shared-queues"]
    linter.forget("team", "other")
    assert rules(linter, first) == []


@pytest.mark.parametrize("alike", [True, False], ids=["shared-queues", "unequal-visibility-timeouts"])
def test_many_on_one_broker_are_counted_and_not_all_named(alike: bool) -> None:
    """A line for each would grow with the square of their number."""
    linter = Linter()
    for number in range(200):
        own: Json = {} if alike else {"workers": [{"name": "web", "queues": [f"own-{number}"]}]}
        linter.findings(stored(own, name=f"c{number}"), None, None)
    mine: Json = {} if alike else {"maxTaskDuration": "3h", "workers": [{"name": "web", "queues": ["mine"]}]}
    found = linter.findings(stored(mine), None, None)
    assert len(found) == 11
    assert found[-1].message.startswith("190 more CeleryClusters ")


def test_a_neighbour_that_moves_away_is_one_no_more() -> None:
    linter = Linter()
    rules(linter, stored(name="other"))
    assert rules(linter, stored()) == ["shared-queues"]
    rules(linter, stored({"broker": {"url": "redis://broker:6379/1"}}, name="other", generation=2))
    assert rules(linter, stored()) == []


def test_a_new_uid_is_another_cluster() -> None:
    linter = Linter()
    assert rules(linter, stored({"broker": {"redis": {}}})) == ["redis-without-storage"]
    assert rules(linter, stored(uid="uid-of-the-next")) == []


def test_nothing_is_looked_at_twice_while_nothing_changes() -> None:
    linter, cluster = Linter(), stored({"broker": {"redis": {}}})
    fleet = Fleet(groups={"web": GroupFacts(versions=frozenset({Versions(celery="5.7.0", kombu="5.7.0")}))})
    same = Fleet(groups={"web": GroupFacts(versions=frozenset({Versions(celery="5.7.0", kombu="5.7.0")}))})
    found = linter.findings(cluster, fleet, None)
    assert linter.findings(stored({"broker": {"redis": {}}}), same, None) is found


@pytest.mark.parametrize(
    ("change", "then"),
    [
        ({"metadata": {"annotations": {ANNOTATION: "redis-without-storage"}}}, []),
        ({"spec": {"broker": {"redis": {"storage": {}}}}, "metadata": {"generation": 2}}, []),
        (
            {"fleet": Fleet(groups={"web": GroupFacts(versions=frozenset({Versions(celery="5.5.3", kombu="5.5.4")}))})},
            ["redis-without-storage", "stalls-on-redis"],
        ),
    ],
    ids=["annotation", "spec", "fleet"],
)
def test_any_change_is_looked_at(change: Json, then: list[str]) -> None:
    linter = Linter()
    assert rules(linter, stored({"broker": {"redis": {}}})) == ["redis-without-storage"]
    changed = stored(change.get("spec", {"broker": {"redis": {}}}), **change.get("metadata", {}))
    assert rules(linter, changed, change.get("fleet")) == then


SECRET: Json = {"urlFrom": {"secretKeyRef": {"name": "broker", "key": "url"}}}
SAME = [
    ({"url": "redis://r"}, {"url": "redis://u:p@r:6379/0"}),
    ({"url": "redis://r"}, {"url": "rediss://r.team.svc/0?ssl_cert_reqs=none"}),
    ({"url": "redis://r.team"}, {"url": "redis://r.team.svc.cluster.local"}),
    ({"url": "amqp://r"}, {"url": "pyamqp://r:5672//"}),
    ({"url": "amqp://r/%2F"}, {"url": "amqp://r/"}),
    ({"url": "amqp://r/shop"}, {"parts": {"scheme": "amqp", "host": "r", "vhost": "shop"}}),
    ({"url": "redis://r/3"}, {"parts": {"scheme": "redis", "host": "r.team.svc", "port": 6379, "database": 3}}),
    (SECRET, SECRET),
    ({"serviceBinding": {"name": "b"}}, {"serviceBinding": {"name": "b"}}),
]
OTHER = [
    ({"url": "redis://r"}, {"url": "redis://r/1"}),
    ({"url": "redis://r"}, {"url": "redis://r:6380"}),
    ({"url": "redis://r"}, {"url": "redis://r.other"}),
    ({"url": "redis://example.com"}, {"url": "redis://example.org"}),
    ({"url": "amqp://r"}, {"url": "amqp://r/shop"}),
    (SECRET, {"urlFrom": {"secretKeyRef": {"name": "broker", "key": "other"}}}),
    (SECRET, {"serviceBinding": {"name": "broker"}}),
]
ALONE: list[Json] = [{"redis": {}}, {"url": "sentinel://a;sentinel://b"}, {"url": "sqs://"}, {"url": "redis://:x"}]


@pytest.mark.parametrize(("one", "two"), SAME)
def test_one_broker_may_be_written_in_many_ways(one: Json, two: Json) -> None:
    identity = broker.identity(stored({"broker": one}))
    assert identity is not None
    assert identity == broker.identity(stored({"broker": two}))


@pytest.mark.parametrize(("one", "two"), OTHER)
def test_other_brokers_are_others(one: Json, two: Json) -> None:
    assert broker.identity(stored({"broker": one})) != broker.identity(stored({"broker": two}))


@pytest.mark.parametrize("alone", ALONE)
def test_what_cannot_be_told_is_nobodys(alone: Json) -> None:
    assert broker.identity(stored({"broker": alone})) is None
