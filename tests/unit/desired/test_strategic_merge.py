"""Users' pod templates are merged the way kubectl merges, and what cannot be merged is said with its place."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_operator.desired.strategic_merge import MERGE_KEYS, MergeError, merge

Json = dict[str, Any]


@pytest.mark.parametrize(
    ("base", "patch", "merged"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({}, {"a": None}, {}),
        ({"m": {"a": 1}}, {"m": {"b": 2}}, {"m": {"a": 1, "b": 2}}),
        ({"m": {"a": 1}}, {"m": {"$patch": "replace", "b": 2}}, {"m": {"b": 2}}),
        ({"m": {"a": 1}}, {"m": {"$patch": "delete"}}, {}),
        ({"m": {"a": 1}}, {"m": {"$patch": "merge", "b": 2}}, {"m": {"a": 1, "b": 2}}),
        ({}, {"m": {"a": None, "b": 2}}, {"m": {"b": 2}}),
        ({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]}, {"tolerations": [{"key": "b"}]}),
        ({"drop": ["ALL"]}, {"drop": []}, {"drop": []}),
    ],
)
def test_objects_and_plain_lists(base: Json, patch: Json, merged: Json) -> None:
    assert merge(base, patch) == merged


@pytest.mark.parametrize(("field", "key"), MERGE_KEYS.items())
def test_named_lists_merge_by_their_key(field: str, key: str) -> None:
    base = {field: [{key: "one", "x": 1}, {key: "two", "x": 2}]}
    patch = {field: [{key: "three", "x": 3}, {key: "two", "y": 4}, {key: "one", "$patch": "delete"}]}
    assert merge(base, patch) == {field: [{key: "two", "x": 2, "y": 4}, {key: "three", "x": 3}]}


def test_an_entry_can_be_replaced_whole() -> None:
    base = {"env": [{"name": "A", "value": "1"}]}
    patch = {"env": [{"name": "A", "$patch": "replace", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}
    assert merge(base, patch) == {
        "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
    }


def test_numbers_are_merge_keys_too() -> None:
    base = {"ports": [{"containerPort": 80, "name": "web"}]}
    assert merge(base, {"ports": [{"containerPort": 80, "protocol": "UDP"}, {"containerPort": 81}]}) == {
        "ports": [{"containerPort": 80, "name": "web", "protocol": "UDP"}, {"containerPort": 81}]
    }


@pytest.mark.parametrize(
    ("base", "patch", "path"),
    [
        ({}, {"containers": [{"image": "x"}]}, "podTemplate.containers[0]"),
        ({}, {"containers": ["x"]}, "podTemplate.containers[0]"),
        ({}, {"containers": [{"name": None}]}, "podTemplate.containers[0]"),
        ({}, {"containers": [{"name": {"not": "a name"}}]}, "podTemplate.containers[0]"),
        ({}, {"containers": [{"name": "a", "env": [{"value": "1"}]}]}, "podTemplate.containers[0].env[0]"),
        ({"containers": [{"image": "keyless"}]}, {"containers": [{"name": "a"}]}, "podTemplate.containers"),
        ({"env": [{"name": "A"}]}, {"env": {"A": "1"}}, "podTemplate.env"),
        ({"volumes": [{"name": "a"}]}, {"volumes": "a"}, "podTemplate.volumes"),
        ({"spec": {"securityContext": {}}}, {"spec": {"securityContext": True}}, "podTemplate.spec.securityContext"),
        ({"m": {"a": 1}}, {"m": [1]}, "podTemplate.m"),
        ({}, {"m": {"$patch": "remove"}}, "podTemplate.m"),
        ({}, {"$retainKeys": ["a"]}, "podTemplate"),
        ({}, {"m": {"$setElementOrder/containers": []}}, "podTemplate.m"),
    ],
)
def test_what_cannot_be_merged_is_named(base: Json, patch: Json, path: str) -> None:
    with pytest.raises(MergeError) as caught:
        merge(base, patch)
    assert caught.value.path == path
    assert str(caught.value).startswith(path + ": ")


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=4))
keys = st.sampled_from(["name", "containers", "env", "volumes", "spec", "x", "$patch", "$retainKeys"])
trees = st.recursive(
    st.one_of(scalars, st.sampled_from(["delete", "replace", "merge"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=12,
)
objects = st.dictionaries(keys, trees, max_size=4)


@given(objects, objects)
def test_any_input_merges_or_is_refused_and_stays_as_it_was(base: Json, patch: Json) -> None:
    before = copy.deepcopy((base, patch))
    with contextlib.suppress(MergeError):
        merge(base, patch)
    assert (base, patch) == before


names = st.sampled_from(["a", "b", "c", "d"])
entries = st.lists(st.fixed_dictionaries({"name": names}, optional={"x": st.integers()}), unique_by=lambda e: e["name"])


@given(entries, entries)
def test_entries_keep_their_order_and_new_ones_come_last(base: list[Json], patch: list[Json]) -> None:
    merged = [entry["name"] for entry in merge({"env": base}, {"env": patch})["env"]]
    old, new = [entry["name"] for entry in base], [entry["name"] for entry in patch]
    assert merged == old + [name for name in new if name not in old]


@given(entries, entries)
def test_merging_twice_is_merging_once(base: list[Json], patch: list[Json]) -> None:
    once = merge({"containers": base}, {"containers": patch})
    assert merge(once, {"containers": patch}) == once
