"""The names of children are public: HPAs, alerts and people refer to them, so nobody may change one by accident."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from celery_operator.api.cluster import MAX_NAME_LENGTH
from celery_operator.desired import names

LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
REVISION_SUFFIX = 11
"""`-` and the ten characters by which a StatefulSet's revision is labelled on its pods."""

GOLDEN = [
    (names.worker, ("shop", "web"), "shop-worker-web"),
    (names.worker, ("quickstart", "default"), "quickstart-worker-default"),
    (names.beat, ("shop",), "shop-beat"),
    (names.redis, ("shop",), "shop-redis"),
    (names.flower, ("shop",), "shop-flower"),
    (names.client, ("shop",), "shop-client"),
    (names.network_policy, ("shop", "worker"), "shop-worker"),
    (names.runtime, ("shop", "0123456789"), "shop-runtime-0123456789"),
    (names.service_account, ("shop",), "shop-celery"),
    (names.node, ("web", "shop-worker-web-5d9c-x2x"), "web@shop-worker-web-5d9c-x2x"),
    # Two readings each: the names that others could claim as well.
    (names.worker, ("a", "b-worker-c"), "a-worker-b-worker-c-74f91ac1"),
    (names.worker, ("a-worker-b", "c"), "a-worker-b-worker-c-4d74e939"),
    (names.beat, ("a-worker",), "a-worker-beat-72e8c22c"),
    (names.worker, ("a", "beat"), "a-worker-beat-6182ee1c"),
    (names.redis, ("a-worker",), "a-worker-redis-8bec79b5"),
    (names.worker, ("a", "redis"), "a-worker-redis-9eab66c5"),
    # Too long.
    (names.worker, ("c" * 40, "g" * 63), "c" * 40 + "-worker-gggggg-ae4a13fe"),
    (names.worker, ("shop", "g" * 52), "shop-worker-" + "g" * 42 + "-16e7750a"),
]


@pytest.mark.parametrize(("function", "arguments", "name"), GOLDEN)
def test_names_are_the_published_ones(function: object, arguments: tuple[str, ...], name: str) -> None:
    assert callable(function)
    assert function(*arguments) == name


label = st.from_regex(r"[a-z]([-a-z0-9]{0,12}[a-z0-9])?", fullmatch=True)
parts = st.lists(st.sampled_from(["a", "b", "worker", "beat", "redis", "flower", "w" * 20]), min_size=1, max_size=5)
words = st.one_of(label, parts.map("-".join))
clusters = words.map(lambda text: text[:MAX_NAME_LENGTH].rstrip("-"))
groups = words.map(lambda text: text[:63].rstrip("-"))
identities = st.one_of(
    st.tuples(clusters, st.just("worker"), groups),
    st.tuples(clusters, st.sampled_from(["beat", "flower", "redis"]), st.just("")),
)
Identity = tuple[str, str, str]


def name_of(identity: Identity) -> str:
    cluster, component, group = identity
    if component == "worker":
        return names.worker(cluster, group)
    return {"beat": names.beat, "flower": names.flower, "redis": names.redis}[component](cluster)


@given(st.lists(identities, min_size=2, max_size=20, unique=True))
@example([("a", "worker", "b-worker-c"), ("a-worker-b", "worker", "c")])
@example([("a-worker", "beat", ""), ("a", "worker", "beat")])
@example([("a-worker-worker", "worker", "b"), ("a-worker", "worker", "worker-b"), ("a", "worker", "worker-worker-b")])
def test_no_two_children_share_a_name(children: list[Identity]) -> None:
    assert len({name_of(child) for child in children}) == len(children)


@given(identities)
def test_names_are_dns_labels(identity: Identity) -> None:
    name = name_of(identity)
    assert len(name) <= 63
    assert LABEL.fullmatch(name)


@given(identities)
@example(("w" * 33 + "-worker", "beat", ""))
def test_a_stateful_sets_revision_fits_into_a_label(identity: Identity) -> None:
    if identity[1] in ("beat", "redis"):
        assert len(name_of(identity)) + REVISION_SUFFIX <= 63


def test_a_plain_name_stays_plain_at_the_longest_cluster_name() -> None:
    assert names.beat("c" * MAX_NAME_LENGTH) == "c" * MAX_NAME_LENGTH + "-beat"
    assert names.redis("c" * MAX_NAME_LENGTH) == "c" * MAX_NAME_LENGTH + "-redis"


def test_a_runtimes_name_fits_at_the_longest_cluster_name() -> None:
    assert len(names.runtime("c" * MAX_NAME_LENGTH, "0123456789")) <= 63
