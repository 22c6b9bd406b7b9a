"""What a component sets for itself counts for its own pods alone, beside or over what the cluster sets."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.desired import beat_statefulset, worker_deployment
from celery_operator.desired.digest import digest
from tests.unit.desired.clusters import SURROUNDINGS, cluster

Json = dict[str, Any]


def pods(spec: Json) -> dict[str, Json]:
    """The pod templates of a cluster with the groups web and mail, and beat."""
    shop = cluster(spec)
    assert shop.spec.beat is not None
    out = {group.name: worker_deployment.build(shop, group, SURROUNDINGS) for group in shop.spec.workers}
    out["beat"] = beat_statefulset.build(shop, shop.spec.beat, SURROUNDINGS)
    return {name: child["spec"]["template"] for name, child in out.items()}


def three(level: str, fields: Json, base: Json | None = None) -> Json:
    """A cluster of three components; `fields` are set for the cluster or for one of them."""
    spec: Json = {"workers": [{"name": "web"}, {"name": "mail"}], "beat": {}, **(base or {})}
    if level == "cluster":
        return spec | fields
    if level == "beat":
        return spec | {"beat": fields}
    return spec | {"workers": [{"name": "web", **fields}, {"name": "mail"}]}


def env(*names: str, value: str = "1") -> list[Json]:
    return [{"name": name, "value": value} for name in names]


FIELDS: dict[str, Json] = {
    "image": {"image": "other"},
    "imagePullPolicy": {"imagePullPolicy": "Always"},
    "imagePullSecrets": {"imagePullSecrets": [{"name": "other"}]},
    "command": {"command": ["poetry", "run", "python"]},
    "workingDir": {"workingDir": "/srv"},
    "env": {"env": env("A")},
    "envFrom": {"envFrom": [{"secretRef": {"name": "s"}}]},
    "serviceAccountName": {"serviceAccountName": "other"},
    "podSecurity": {"podSecurity": "Restricted"},
    "podLabels": {"podLabels": {"a": "b"}},
    "podAnnotations": {"podAnnotations": {"a": "b"}},
    "nodeSelector": {"nodeSelector": {"gpu": "yes"}},
    "tolerations": {"tolerations": [{"key": "gpu", "operator": "Exists"}]},
    "affinity": {"affinity": {"nodeAffinity": {}}},
    "priorityClassName": {"priorityClassName": "high"},
    "runtimeClassName": {"runtimeClassName": "gvisor"},
    "hostAliases": {"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["db"]}]},
    "volumes": {"volumes": [{"name": "models", "emptyDir": {}}]},
    "volumeMounts": {"volumeMounts": [{"name": "models", "mountPath": "/models"}]},
    "initContainers": {"initContainers": [{"name": "fetch"}]},
    "sidecars": {"sidecars": [{"name": "proxy", "image": "proxy"}]},
    "securityContext": {"securityContext": {"runAsUser": 1000}},
}


@pytest.mark.parametrize("level", ["cluster", "web", "beat"])
@pytest.mark.parametrize("fields", FIELDS.values(), ids=FIELDS)
def test_a_field_changes_the_pods_that_it_is_for_and_no_others(fields: Json, level: str) -> None:
    before, after = pods(three("cluster", {})), pods(three(level, fields))
    changed = {name for name in before if digest(before[name]) != digest(after[name])}
    assert changed == ({"web", "mail", "beat"} if level == "cluster" else {level})


SAID_TWICE = {name: fields for name, fields in FIELDS.items() if name != "envFrom"}  # appended, and harmless


@pytest.mark.parametrize("fields", SAID_TWICE.values(), ids=SAID_TWICE)
def test_a_component_can_say_what_the_cluster_says_already(fields: Json) -> None:
    assert pods(three("web", fields, fields))["web"] == pods(three("cluster", fields))["web"]


def test_spreading_is_for_worker_groups() -> None:
    over_zones = [{"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]
    before, fields = pods(three("cluster", {})), {"topologySpreadConstraints": over_zones}
    for level, expected in (("cluster", {"web", "mail"}), ("web", {"web"})):
        after = pods(three(level, fields))
        assert {name for name in before if digest(before[name]) != digest(after[name])} == expected


REPLACED = [
    ({"image": "a"}, {"image": "b"}, lambda pod: pod["containers"][0]["image"], "b"),
    ({"workingDir": "/a"}, {"workingDir": "/b"}, lambda pod: pod["containers"][0]["workingDir"], "/b"),
    ({"nodeSelector": {"a": "1"}}, {"nodeSelector": {"b": "2"}}, lambda pod: pod["nodeSelector"], {"b": "2"}),
    ({"tolerations": [{"key": "a", "operator": "Exists"}]}, {"tolerations": []}, lambda pod: pod["tolerations"], []),
    (
        {"securityContext": {"runAsUser": 1, "runAsGroup": 1}},
        {"securityContext": {"runAsUser": 2}},
        lambda pod: (pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]),
        (2, 1),
    ),
    (
        {"imagePullSecrets": [{"name": "a"}, {"name": "b"}]},
        {"imagePullSecrets": [{"name": "b"}, {"name": "c"}]},
        lambda pod: [each["name"] for each in pod["imagePullSecrets"]],
        ["a", "b", "c"],
    ),
    (
        {"volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "emptyDir": {}}]},
        {"volumes": [{"name": "b", "hostPath": {"path": "/b"}}]},
        lambda pod: [each for each in pod["volumes"] if each["name"] in "ab"],
        [{"name": "a", "emptyDir": {}}, {"name": "b", "hostPath": {"path": "/b"}}],
    ),
    (
        {"podSecurity": "Restricted"},
        {"podSecurity": "Compatible"},
        lambda pod: "runAsNonRoot" in pod["securityContext"],
        False,
    ),
]


@pytest.mark.parametrize(("ours", "own", "read", "expected"), REPLACED)
def test_the_components_own_wins(ours: Json, own: Json, read: Any, expected: Any) -> None:
    assert read(pods(three("web", own, ours))["web"]["spec"]) == expected


def test_variables_merge_by_name_and_keep_the_clusters_order() -> None:
    spec = three("web", {"env": env("B", "C", value="own")}, {"env": env("A", "B")})
    found = {name: template["spec"]["containers"][0]["env"] for name, template in pods(spec).items()}
    own = [(each["name"], each.get("value")) for each in found["web"] if each["name"] in "ABC"]
    assert own == [("A", "1"), ("B", "own"), ("C", "own")]
    assert [(each["name"], each["value"]) for each in found["mail"] if each["name"] in "ABC"] == [
        ("A", "1"),
        ("B", "1"),
    ]


def test_sources_of_variables_are_appended() -> None:
    one, two = {"secretRef": {"name": "one"}}, {"secretRef": {"name": "two"}}
    found = pods(three("web", {"envFrom": [two]}, {"envFrom": [one]}))
    assert found["web"]["spec"]["containers"][0]["envFrom"] == [one, two]
    assert found["beat"]["spec"]["containers"][0]["envFrom"] == [one]


def test_labels_of_the_operator_stay_whatever_a_component_says() -> None:
    """The CRD refuses them; an older CRD must not be able to break a selector either."""
    own = {"podLabels": {"celery-operator.dev/cluster": "x", "app.kubernetes.io/component": "x"}}
    assert (
        pods(three("web", own))["web"]["metadata"]["labels"] == pods(three("cluster", {}))["web"]["metadata"]["labels"]
    )


def test_the_pod_template_wins_over_a_components_typed_fields() -> None:
    own = {"nodeSelector": {"a": "1"}, "podTemplate": {"spec": {"nodeSelector": {"a": "2", "b": "3"}}}}
    assert pods(three("web", own))["web"]["spec"]["nodeSelector"] == {"a": "2", "b": "3"}
