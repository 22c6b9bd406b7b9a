"""Scheduling, volumes, further containers and lifecycle hooks of a pod."""

from __future__ import annotations

import re
from typing import Any

import pytest

from celery_operator.api.extras import OWNED_CONTAINERS
from celery_operator.desired import beat_statefulset, children, pod, worker_deployment
from tests.unit.desired.clusters import SURROUNDINGS, WITH_REDIS, cluster
from tests.unit.desired.pod_security import violations
from tests.unit.docs.markdown import ROOT

Json = dict[str, Any]
SELECTOR = {
    "celery-operator.dev/cluster": "shop",
    "app.kubernetes.io/component": "worker",
    "celery-operator.dev/worker-group": "web",
}
OVER_NODES = {
    "maxSkew": 1,
    "topologyKey": "kubernetes.io/hostname",
    "whenUnsatisfiable": "ScheduleAnyway",
    "labelSelector": {"matchLabels": SELECTOR},
    "matchLabelKeys": ["pod-template-hash"],
}
OVER_ZONES = {"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
RESTRICTED = {"podSecurity": "Restricted"}


def deployment(spec: Json | None = None, **group: Any) -> Json:
    shop = cluster({**(spec or {}), "workers": [{"name": "web", **group}]})
    return worker_deployment.build(shop, shop.spec.workers[0], SURROUNDINGS)


def pod_of(spec: Json | None = None, **group: Any) -> Json:
    found: Json = deployment(spec, **group)["spec"]["template"]["spec"]
    return found


def worker(spec: Json | None = None, **group: Any) -> Json:
    found: Json = pod_of(spec, **group)["containers"][0]
    return found


def beat(spec: Json | None = None, **fields: Any) -> Json:
    shop = cluster({**(spec or {}), "beat": fields})
    assert shop.spec.beat is not None
    found: Json = beat_statefulset.build(shop, shop.spec.beat, SURROUNDINGS)["spec"]["template"]["spec"]
    return found


# Spreading


def test_a_groups_pods_are_spread_over_nodes_where_nobody_says_how() -> None:
    assert pod_of()["topologySpreadConstraints"] == [OVER_NODES]
    assert "topologySpreadConstraints" not in beat()


@pytest.mark.parametrize(
    ("spec", "group"),
    [
        ({"topologySpreadConstraints": []}, {}),
        ({}, {"topologySpreadConstraints": []}),
        ({"topologySpreadConstraints": [OVER_ZONES]}, {"topologySpreadConstraints": []}),
    ],
)
def test_an_empty_list_leaves_it_to_the_scheduler(spec: Json, group: Json) -> None:
    assert "topologySpreadConstraints" not in pod_of(spec, **group)


def test_constraints_count_the_groups_own_pods_of_the_same_revision() -> None:
    (found,) = pod_of(topologySpreadConstraints=[OVER_ZONES])["topologySpreadConstraints"]
    assert found == {
        **OVER_ZONES,
        "labelSelector": {"matchLabels": SELECTOR},
        "matchLabelKeys": ["pod-template-hash"],
    }


def test_beat_is_one_pod_and_nothing_to_spread() -> None:
    assert "topologySpreadConstraints" not in beat({"topologySpreadConstraints": [OVER_ZONES]})


def test_what_a_constraint_says_itself_is_left_as_it_is() -> None:
    own = {**OVER_ZONES, "labelSelector": {"matchLabels": {"app": "x"}}, "minDomains": 2, "nodeTaintsPolicy": "Honor"}
    assert pod_of(topologySpreadConstraints=[own])["topologySpreadConstraints"] == [own]


@pytest.mark.parametrize("level", ["cluster", "group"])
def test_a_pod_template_that_spreads_has_the_say(level: str) -> None:
    template = {"podTemplate": {"spec": {"topologySpreadConstraints": [OVER_ZONES]}}}
    found = pod_of(template) if level == "cluster" else pod_of(**template)
    assert found["topologySpreadConstraints"] == [OVER_ZONES]


def test_the_managed_redis_finds_a_node_where_the_application_does() -> None:
    spec = {
        "broker": {"redis": {}},
        "nodeSelector": {"pool": "batch"},
        "tolerations": [{"key": "batch", "operator": "Exists"}],
        "priorityClassName": "high",
        "affinity": {"podAntiAffinity": {}},
        "topologySpreadConstraints": [OVER_ZONES],
    }
    (redis,) = [
        child["spec"]["template"]["spec"]
        for child in children.build(cluster(spec), WITH_REDIS)
        if child["kind"] == "StatefulSet"
    ]
    for field in ("nodeSelector", "tolerations", "priorityClassName"):
        assert redis[field] == spec[field]
    assert not {"affinity", "topologySpreadConstraints"} & redis.keys()


# Volumes


def test_a_mount_finds_its_volume() -> None:
    claim = {"name": "models", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}}
    mount = {"name": "models", "mountPath": "/models", "subPath": "v2", "readOnly": True}
    found = pod_of({"volumes": [claim]}, volumeMounts=[mount])
    assert claim in found["volumes"]
    assert mount in found["containers"][0]["volumeMounts"]


def test_the_writable_tmp_of_restricted_pods_can_be_another_volume() -> None:
    large = {"name": "tmp", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}
    found = pod_of({**RESTRICTED, "volumes": [large]})
    assert [volume for volume in found["volumes"] if volume["name"] == "tmp"] == [large]
    assert {"name": "tmp", "mountPath": "/tmp"} in found["containers"][0]["volumeMounts"]


def test_what_is_mounted_at_tmp_takes_its_place() -> None:
    mount = {"name": "scratch", "mountPath": "/tmp"}
    mounts = worker({**RESTRICTED, "volumes": [{"name": "scratch", "emptyDir": {}}], "volumeMounts": [mount]})
    assert [each for each in mounts["volumeMounts"] if each["mountPath"] == "/tmp"] == [mount]


def test_persistence_is_a_disk_that_comes_and_goes_with_the_pod() -> None:
    found = pod_of(persistence={"size": "20Gi", "storageClassName": "fast", "mountPath": "/data"})
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "20Gi"}},
        "storageClassName": "fast",
    }
    assert {"name": "persistence", "ephemeral": {"volumeClaimTemplate": {"spec": claim}}} in found["volumes"]
    assert {"name": "persistence", "mountPath": "/data"} in found["containers"][0]["volumeMounts"]
    assert found["securityContext"]["fsGroup"] == 10001, "or an image without root could not write"
    plain = pod_of(persistence={"size": 1, "mountPath": "/data"}, securityContext={"fsGroup": 7})
    assert plain["securityContext"]["fsGroup"] == 7
    assert "storageClassName" not in str(plain)


@pytest.mark.parametrize("level", ["Restricted", "Compatible"])
def test_a_disk_at_tmp_takes_the_place_of_the_writable_tmp(level: str) -> None:
    """Two mounts at one path are refused by the API server."""
    found = pod_of({"podSecurity": level}, persistence={"size": "1Gi", "mountPath": "/tmp"})
    mounts = [each["name"] for each in found["containers"][0]["volumeMounts"] if each["mountPath"] == "/tmp"]
    assert mounts == ["persistence"]
    assert "tmp" not in [volume["name"] for volume in found["volumes"]]


# Further containers


def test_sidecars_start_first_and_outlive_the_worker() -> None:
    found = pod_of({"initContainers": [{"name": "fetch"}], "sidecars": [{"name": "proxy", "image": "proxy:1"}]})
    assert [(each["name"], each.get("restartPolicy")) for each in found["initContainers"]] == [
        ("proxy", "Always"),
        ("fetch", None),
    ]
    assert [each["name"] for each in found["containers"]] == ["worker"]


def test_a_container_without_an_image_is_the_application() -> None:
    spec = {
        "imagePullPolicy": "Always",
        "workingDir": "/srv",
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}],
        "envFrom": [{"secretRef": {"name": "s"}}],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    }
    own = {"name": "fetch", "command": ["fetch"], "env": [{"name": "B", "value": "own"}]}
    (found,) = pod_of(spec, image="web:2", initContainers=[own])["initContainers"]
    assert (found["image"], found["imagePullPolicy"], found["workingDir"]) == ("web:2", "Always", "/srv")
    assert found["envFrom"] == spec["envFrom"]
    assert found["volumeMounts"] == spec["volumeMounts"]
    assert found["command"] == ["fetch"]
    variables = [(each["name"], each.get("value")) for each in found["env"]]
    assert variables[-2:] == [("A", "1"), ("B", "own")]
    assert not any(name.startswith("CELERY_OPERATOR_") for name, _ in variables)


def test_a_container_with_an_image_is_left_as_it_is() -> None:
    own = {"name": "proxy", "image": "proxy:1", "args": ["-v"], "ports": [{"containerPort": 1}], "env": [{"name": "A"}]}
    (found,) = pod_of({"env": [{"name": "B"}], "volumeMounts": []}, sidecars=[own])["initContainers"]
    assert {key: value for key, value in found.items() if key != "securityContext"} == {
        **own,
        "restartPolicy": "Always",
    }


@pytest.mark.parametrize("pod_security", ["Compatible", "Restricted"])
def test_no_container_has_more_rights_by_oversight(pod_security: str) -> None:
    spec = {"podSecurity": pod_security, "initContainers": [{"name": "a"}], "sidecars": [{"name": "b", "image": "b"}]}
    found = violations(pod_of(spec))
    assert found == ([] if pod_security == "Restricted" else [f"{name}.runAsNonRoot" for name in ("b", "a", "worker")])


def test_a_container_that_says_its_security_context_keeps_it_whole() -> None:
    own = {"runAsUser": 0, "capabilities": {"add": ["CHOWN"]}}
    chown = {"name": "chown", "image": "busybox", "securityContext": own}
    (found,) = pod_of(RESTRICTED, initContainers=[chown])["initContainers"]
    assert found["securityContext"] == own


def test_the_names_of_our_containers_are_those_that_nobody_else_may_use() -> None:
    assert set(OWNED_CONTAINERS) == pod.COMPONENTS


# Users


def test_the_user_says_whom_the_processes_run_as() -> None:
    asked = {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 2000, "supplementalGroups": [5], "runAsNonRoot": True}
    found = pod_of(securityContext=asked)["securityContext"]
    assert asked.items() <= found.items()
    assert found["fsGroupChangePolicy"] == "OnRootMismatch"
    assert found["seccompProfile"] == {"type": "RuntimeDefault"}


@pytest.mark.parametrize(("level", "asked", "read_only"), [("Restricted", False, False), ("Compatible", True, True)])
def test_the_root_file_system_can_be_said_apart(level: str, asked: bool, read_only: bool) -> None:
    found = pod_of({"podSecurity": level}, securityContext={"readOnlyRootFilesystem": asked})
    container = found["containers"][0]
    assert container["securityContext"].get("readOnlyRootFilesystem", False) is read_only
    assert ({"name": "tmp", "emptyDir": {}} in found["volumes"]) is read_only


def test_beats_volume_belongs_to_the_group_that_the_user_says() -> None:
    assert beat()["securityContext"]["fsGroup"] == 10001
    assert beat(securityContext={"fsGroup": 7})["securityContext"]["fsGroup"] == 7


# Lifecycle hooks


def settings(container: Json) -> str:
    (found,) = [each["value"] for each in container["env"] if each["name"] == "CELERY_OPERATOR_SETTINGS"]
    return str(found)


@pytest.mark.parametrize(("timeout", "extra"), [({}, 30), ({"timeout": "90s"}, 90), ({"timeout": "100ms"}, 1)])
def test_a_hook_before_the_end_takes_no_time_from_running_tasks(timeout: Json, extra: int) -> None:
    """The worker, which plans with its grace period from SIGTERM on, has as much as without a hook."""
    hook = {"exec": {"command": ["flush"]}, **timeout}
    group: Json = {"maxTaskDuration": "10m", "lifecycle": {"preStop": hook}}
    assert pod_of(**group)["terminationGracePeriodSeconds"] == 630 + extra
    assert '"gracePeriodSeconds":630' in settings(worker(**group))
    assert deployment(**group)["spec"]["progressDeadlineSeconds"] == 630 + extra + 600


def test_hooks_are_those_of_kubernetes() -> None:
    lifecycle = {
        "preStop": {"exec": {"command": ["a"]}, "timeout": "5s"},
        "postStart": {"httpGet": {"path": "/", "port": 80, "scheme": "HTTPS"}},
    }
    assert worker(lifecycle=lifecycle)["lifecycle"] == {
        "preStop": {"exec": {"command": ["a"]}},
        "postStart": {"httpGet": {"path": "/", "port": 80, "scheme": "HTTPS"}},
    }
    assert "lifecycle" not in worker(lifecycle={})
    assert pod_of(lifecycle={"postStart": {"exec": {"command": ["a"]}}})["terminationGracePeriodSeconds"] == 300


# Ids


def test_the_ids_that_are_fixed_are_those_that_the_docs_name() -> None:
    """Whoever lets pods in by their ids, such as OpenShift, has to know them all."""
    disk = {"size": "1Gi", "mountPath": "/disk"}
    spec = {"workers": [{"name": "web", "persistence": disk}], "beat": {}, "flower": {"persistence": {}}}
    shop = cluster({**spec, "broker": {"redis": {}}})
    pods = [
        child["spec"]["template"]["spec"]
        for child in children.build(shop, WITH_REDIS)
        if "template" in child.get("spec", {})
    ]
    levels = [level.get("securityContext", {}) for each in pods for level in (each, *each["containers"])]
    fixed = {level[field] for level in levels for field in ("runAsUser", "runAsGroup", "fsGroup") if field in level}
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    (named,) = re.findall(r"Fixed are (.*?)\. Let those", page, re.DOTALL)
    assert fixed == {int(number) for number in re.findall(r"\b\d+\b", named)}
