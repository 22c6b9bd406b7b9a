"""The cache holds the newest version of everything, whatever the order in which news arrive."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_operator.desired import children, runtime_configmap
from celery_operator.kube.objects import CONFIG_MAP, DEPLOYMENT, POD, ObjectRef
from celery_operator.observe.cache import ObjectCache, live_digest, strip
from celery_operator.observe.key import ClusterKey
from celery_operator.observe.kinds import CELERY_CLUSTER
from tests.unit.desired.clusters import BIG, WITH_REDIS, cluster, manifest

Json = dict[str, Any]
SHOP, OTHER = ClusterKey(namespace="team", name="shop"), ClusterKey(namespace="team", name="other")
WEB = ObjectRef(kind=DEPLOYMENT, namespace="team", name="web")


def web(version: int, *, uid: str = "1", label: str | None = "shop", name: str = "web") -> Json:
    labels = {} if label is None else {"celery-operator.dev/cluster": label}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": uid,
            "resourceVersion": str(version),
            "labels": labels,
        },
    }


@pytest.fixture
def cache() -> ObjectCache:
    return ObjectCache(CELERY_CLUSTER)


def version(cache: ObjectCache) -> str | None:
    found = cache.get(WEB)
    return None if found is None else str(found["metadata"]["resourceVersion"])


def test_a_new_object_is_news_of_its_cluster(cache: ObjectCache) -> None:
    assert cache.put(web(5)) == SHOP
    assert list(cache.children(SHOP)) == [WEB]


def test_an_object_without_our_label_is_nobodys(cache: ObjectCache) -> None:
    assert cache.put(web(5, label=None)) is None
    assert version(cache) == "5"


def test_the_cluster_itself_is_no_child(cache: ObjectCache) -> None:
    assert cache.put(manifest()) == SHOP
    assert cache.clusters() == [SHOP]
    assert cache.children(SHOP) == {}
    assert cache.cluster(SHOP) == manifest()


@pytest.mark.parametrize("older", [4, 5])
def test_an_event_that_is_not_newer_is_ignored(cache: ObjectCache, older: int) -> None:
    cache.put(web(5))
    assert cache.put(web(older)) is None
    assert version(cache) == "5"


def test_versions_are_numbers(cache: ObjectCache) -> None:
    cache.put(web(9))
    assert cache.put(web(10)) == SHOP


def test_a_deleted_object_is_forgotten_and_its_older_events_are_ignored(cache: ObjectCache) -> None:
    cache.put(web(5))
    assert cache.drop(web(7)) == SHOP
    assert cache.put(web(6)) is None
    assert cache.children(SHOP) == {}


def test_an_object_made_anew_under_the_same_name_is_taken(cache: ObjectCache) -> None:
    cache.put(web(5))
    cache.drop(web(7))
    assert cache.put(web(8, uid="2")) == SHOP


def test_a_late_deletion_does_not_remove_its_successor(cache: ObjectCache) -> None:
    cache.put(web(5))
    cache.put(web(8, uid="2"))
    assert cache.drop(web(7)) is None
    assert version(cache) == "8"


def test_the_deletion_of_something_unknown_is_no_news(cache: ObjectCache) -> None:
    assert cache.drop(web(7)) is None
    assert cache.put(web(6)) is None, "its own older events come late"


def test_a_child_that_is_relabelled_is_news_of_its_former_cluster(cache: ObjectCache) -> None:
    """The former one repairs the label; the other one must not be the only one to hear of it."""
    cache.put(web(5))
    assert cache.put(web(6, label="other")) == SHOP
    assert cache.children(SHOP) == {}
    assert list(cache.children(OTHER)) == [WEB]
    assert cache.put(web(7, label=None)) == OTHER
    assert cache.children(OTHER) == {}


def test_a_child_that_is_relabelled_and_deleted_is_gone_everywhere(cache: ObjectCache) -> None:
    cache.put(web(5))
    cache.put(web(6, label="other"))
    cache.drop(web(7, label="other"))
    assert cache.children(SHOP) == cache.children(OTHER) == {}


# Listings


def test_a_listing_removes_ghosts(cache: ObjectCache) -> None:
    cache.put(web(5))
    assert cache.replace(DEPLOYMENT, [], cache.versions(DEPLOYMENT)) == {SHOP}
    assert cache.children(SHOP) == {}


def test_a_listing_brings_what_was_missed(cache: ObjectCache) -> None:
    cache.put(web(5))
    assert cache.replace(DEPLOYMENT, [web(6)], cache.versions(DEPLOYMENT)) == {SHOP}
    assert version(cache) == "6"


def test_a_listing_that_says_nothing_new_changes_nothing(cache: ObjectCache) -> None:
    cache.put(web(5))
    assert cache.replace(DEPLOYMENT, [web(5)], cache.versions(DEPLOYMENT)) == set()


def test_what_came_in_during_a_listing_stays(cache: ObjectCache) -> None:
    before = cache.versions(DEPLOYMENT)
    cache.put(web(9))
    assert cache.replace(DEPLOYMENT, [], before) == set()
    assert version(cache) == "9"


def test_what_changed_during_a_listing_stays(cache: ObjectCache) -> None:
    cache.put(web(5))
    before = cache.versions(DEPLOYMENT)
    cache.put(web(9))
    cache.replace(DEPLOYMENT, [web(5)], before)
    assert version(cache) == "9"


def test_what_was_deleted_during_a_listing_stays_deleted(cache: ObjectCache) -> None:
    cache.put(web(5))
    before = cache.versions(DEPLOYMENT)
    cache.drop(web(7))
    assert cache.replace(DEPLOYMENT, [web(5)], before) == set()
    assert cache.get(WEB) is None


def test_a_listing_of_one_kind_leaves_the_others_alone(cache: ObjectCache) -> None:
    cache.put(web(5))
    cache.replace(CONFIG_MAP, [], cache.versions(CONFIG_MAP))
    assert version(cache) == "5"


events = st.lists(
    st.tuples(
        st.sampled_from(["put", "drop", "list", "empty"]),
        st.sampled_from(["web", "mail"]),
        st.sampled_from(["shop", "other", None]),
        st.integers(1, 9),
        st.sampled_from(["1", "2"]),
    ),
    max_size=12,
)


@given(events)
def test_children_are_always_what_their_labels_say(sequence: list[tuple[str, str, str | None, int, str]]) -> None:
    cache = ObjectCache(CELERY_CLUSTER)
    for action, name, label, number, uid in sequence:
        item = web(number, uid=uid, label=label, name=name)
        if action == "put":
            cache.put(item)
        elif action == "drop":
            cache.drop(item)
        else:
            cache.replace(DEPLOYMENT, [item] if action == "list" else [], cache.versions(DEPLOYMENT))
        known = {ref: cache.get(ref) for ref in cache.versions(DEPLOYMENT)}
        for key in (SHOP, OTHER):
            labelled = {
                ref: live
                for ref, live in known.items()
                if live is not None and live["metadata"]["labels"].get("celery-operator.dev/cluster") == key.name
            }
            assert cache.children(key) == labelled


# What is kept, and what counts as drift


def built() -> list[Json]:
    return children.build(cluster(BIG), WITH_REDIS)


@pytest.mark.parametrize("child", built(), ids=lambda child: f"{child['kind']}-{child['metadata']['name']}")
def test_stripping_is_idempotent_and_changes_no_digest(child: Json) -> None:
    before = copy.deepcopy(child)
    once = strip({**child, "metadata": {**child["metadata"], "managedFields": [{"manager": "x"}]}})
    assert child == before
    assert strip(once) == once
    assert live_digest(once) == live_digest(strip(child))
    assert "managedFields" not in once["metadata"]


def test_a_deployment_keeps_who_wrote_its_number() -> None:
    child = next(child for child in built() if child["kind"] == "Deployment")
    entry = {"manager": "keda", "operation": "Update", "subresource": "scale", "time": "2026-11-22T12:00:00Z"}
    fields = [
        {**entry, "fieldsV1": {"f:spec": {"f:replicas": {}, "f:template": {}}}},
        {"manager": "x", "operation": "Apply", "fieldsV1": {"f:metadata": {"f:labels": {}}}},
    ]
    once = strip({**child, "metadata": {**child["metadata"], "managedFields": fields}})
    kept = {"manager": "keda", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    assert once["metadata"]["managedFields"] == [kept]
    assert strip(once) == once
    assert live_digest(once) == live_digest(strip(child))


def test_a_pod_keeps_what_status_and_pruning_read() -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "team", "labels": {"a": "b"}, "managedFields": []},
        "spec": {
            "nodeName": "n",
            "serviceAccountName": "s",
            "containers": [{"name": "worker", "ports": [{"name": "a"}], "env": [{"name": "A", "value": "a secret"}]}],
            "terminationGracePeriodSeconds": 300,
            "volumes": [
                {"name": "c", "configMap": {"name": "x", "items": [{"key": "a.py", "path": "runtime/a.py"}]}},
                {"name": "t", "emptyDir": {}},
            ],
        },
        "status": {
            "phase": "Running",
            "hostIP": "10.0.0.9",
            "podIP": "10.0.0.1",
            "containerStatuses": [],
            "initContainerStatuses": [],
        },
    }
    stripped = strip(pod)
    assert ObjectRef.of(stripped).kind == POD
    assert stripped["spec"] == {
        "nodeName": "n",
        "serviceAccountName": "s",
        "containers": [{"name": "worker", "ports": [{"name": "a"}]}],
        "terminationGracePeriodSeconds": 300,
        "volumes": [{"name": "c", "configMap": {"name": "x"}}],
    }
    assert stripped["status"] == {
        "phase": "Running",
        "podIP": "10.0.0.1",
        "containerStatuses": [],
        "initContainerStatuses": [],
    }
    assert "a secret" not in str(stripped)


def deployment() -> Json:
    return next(child for child in built() if child["kind"] == "Deployment")


SAME = [
    (("metadata", "resourceVersion"), "9"),
    (("metadata", "generation"), 9),
    (("metadata", "annotations", "deployment.kubernetes.io/revision"), "9"),
    (("status",), {"replicas": 9}),
    (("spec", "replicas"), 9),
]
DIFFERENT = [
    (("metadata", "labels", "x"), "y"),
    (("metadata", "annotations", "x"), "y"),
    (("metadata", "ownerReferences"), []),
    (("spec", "template", "spec", "serviceAccountName"), "x"),
    (("spec", "strategy"), {"type": "Recreate"}),
    (("spec", "paused"), True),
]


def changed(path: tuple[str, ...], value: Any) -> Json:
    out = copy.deepcopy(deployment())
    target = out
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return out


@pytest.mark.parametrize(("path", "value"), SAME)
def test_what_no_apply_sets_is_no_drift(path: tuple[str, ...], value: Any) -> None:
    assert live_digest(changed(path, value)) == live_digest(deployment())


@pytest.mark.parametrize(("path", "value"), DIFFERENT)
def test_what_an_apply_sets_is_drift(path: tuple[str, ...], value: Any) -> None:
    assert live_digest(changed(path, value)) != live_digest(deployment())


def test_a_second_beat_is_drift() -> None:
    beat = next(child for child in built() if child["kind"] == "StatefulSet")
    assert live_digest({**beat, "spec": {**beat["spec"], "replicas": 2}}) != live_digest(beat)


def test_the_text_of_a_config_map_counts_and_is_not_kept() -> None:
    runtime = next(child for child in built() if child["kind"] == "ConfigMap")
    stripped = strip(runtime)
    assert "launcher" not in str(stripped)
    other = {**runtime, "data": {**runtime["data"], "launch.py": "# other\n"}}
    assert live_digest(strip(other)) != live_digest(stripped)


def test_pod_templates_share_the_list_of_the_runtime_s_files() -> None:
    """It is the largest part of a Deployment, and the same in all of them."""

    def deployment(name: str, volume: str, **entry: str) -> Json:
        source = {"name": f"{name}-runtime", "defaultMode": 420, "items": [{"key": "a.py", "path": "b/a.py", **entry}]}
        other = {"name": "data", "emptyDir": {}}
        spec = {"template": {"spec": {"volumes": [{"name": volume, "configMap": source}, other]}}}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}

    def items(found: Json) -> Any:
        return found["spec"]["template"]["spec"]["volumes"][0]["configMap"]["items"]

    one, two = deployment("one", runtime_configmap.VOLUME), deployment("two", runtime_configmap.VOLUME)
    assert strip(one) == one
    assert live_digest(strip(one)) == live_digest(one)
    assert items(strip(one)) is items(strip(two))
    for different in (deployment("three", "mine"), deployment("four", runtime_configmap.VOLUME, mode="0400")):
        assert strip(different) == different
        assert items(strip(different)) is items(different)
