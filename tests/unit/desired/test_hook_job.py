"""The hook's Job: the application's image and environment, once for each image and config."""

from __future__ import annotations

import json
from typing import Any

import pytest

from celery_operator.desired import hook_job, names
from tests.unit.desired.clusters import SURROUNDINGS, cluster
from tests.unit.desired.pod_security import violations

Json = dict[str, Any]
MIGRATE: Json = {"command": ["python", "manage.py", "migrate"]}


def job(spec: Json | None = None, **hook: Any) -> Json:
    shop = cluster({**(spec or {}), "hooks": {"beforeRollout": {**MIGRATE, **hook}}})
    asked = hook_job.wanted(shop.spec)
    assert asked is not None
    return hook_job.build(shop, asked, SURROUNDINGS)


def container(spec: Json | None = None, **hook: Any) -> Json:
    found: Json = job(spec, **hook)["spec"]["template"]["spec"]["containers"][0]
    return found


def test_it_runs_once_and_for_ten_minutes_at_the_most() -> None:
    spec = job()["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (0, 600)
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    longer = job(timeout="90m", retries=3)["spec"]
    assert (longer["backoffLimit"], longer["activeDeadlineSeconds"]) == (3, 5400)


def test_a_drained_node_is_no_failure() -> None:
    (rule,) = job()["spec"]["podFailurePolicy"]["rules"]
    assert rule == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


def test_it_has_the_applications_image_and_environment() -> None:
    spec = {
        "command": ["poetry", "run", "python"],
        "env": [{"name": "A", "value": "1"}],
        "envFrom": [{"secretRef": {"name": "s"}}],
        "sidecars": [{"name": "database-proxy", "image": "proxy"}],
        "tolerations": [{"operator": "Exists"}],
    }
    found = container(spec)
    assert found["image"] == "example.com/shop:1"
    assert found["command"] == ["poetry", "run", "python", "/celery-operator/launch.py", "exec"]
    assert found["args"] == MIGRATE["command"]
    assert found["envFrom"] == spec["envFrom"]
    variables = {each["name"]: each.get("value") for each in found["env"]}
    assert variables["A"] == "1"
    assert variables["CELERY_OPERATOR_BROKER_URL"] == "redis://broker:6379/0"
    assert json.loads(str(variables["CELERY_OPERATOR_SETTINGS"]))["component"] == "hook"
    pod = job(spec)["spec"]["template"]["spec"]
    assert [each["name"] for each in pod["initContainers"]] == ["database-proxy"]
    assert pod["tolerations"] == spec["tolerations"]


def test_nobody_asks_it_whether_it_lives() -> None:
    assert not {"ports", "startupProbe", "livenessProbe", "readinessProbe"} & container().keys()


def test_restricted_namespaces_take_it() -> None:
    assert violations(job({"podSecurity": "Restricted"})["spec"]["template"]["spec"]) == []


def test_its_own_part_of_a_pod_template_is_for_it_alone() -> None:
    mine = {"name": "hook", "resources": {"limits": {"memory": "1Gi"}}}
    theirs = {"name": "worker", "resources": {"limits": {"memory": "9Gi"}}}
    spec = {"podTemplate": {"spec": {"containers": [mine, theirs], "nodeSelector": {"a": "b"}}}}
    pod = job(spec)["spec"]["template"]["spec"]
    assert [each["name"] for each in pod["containers"]] == ["hook"]
    assert pod["containers"][0]["resources"] == mine["resources"]
    assert pod["nodeSelector"] == {"a": "b"}


def test_what_a_pod_template_puts_beside_it_ends_with_it() -> None:
    """A Job whose proxy goes on running would never end."""
    beside = [{"name": "proxy", "image": "proxy"}, {"name": "agent", "image": "agent", "restartPolicy": "OnFailure"}]
    spec = {
        "podTemplate": {"spec": {"containers": beside}},
        "initContainers": [{"name": "first", "image": "first"}],
    }
    pod = job(spec)["spec"]["template"]["spec"]
    assert [each["name"] for each in pod["containers"]] == ["hook"]
    assert [(each["name"], each.get("restartPolicy")) for each in pod["initContainers"]] == [
        ("proxy", "Always"),
        ("agent", "Always"),
        ("first", None),
    ]


def test_nothing_beside_it_makes_no_init_containers() -> None:
    assert "initContainers" not in job()["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    ("spec", "hook", "same"),
    [
        ({"image": "other"}, {}, False),
        ({"config": {"task_track_started": True}}, {}, False),
        ({}, {"command": ["true"]}, False),
        ({"env": [{"name": "A", "value": "1"}], "workers": [{"name": "web", "image": "x"}]}, {}, True),
        ({}, {"timeout": "1h", "retries": 5}, True),
    ],
)
def test_its_name_says_what_it_has_been_run_for(spec: Json, hook: Json, same: bool) -> None:
    assert (job(spec, **hook)["metadata"]["name"] == job()["metadata"]["name"]) is same


def test_its_name_fits_the_longest_cluster() -> None:
    assert names.before_rollout("shop", "0123456789") == "shop-before-rollout-0123456789"
    name = names.before_rollout("a" * 40, "0123456789")
    assert len(name) == 63
    assert names.before_rollout("a" * 39 + "b", "0123456789") != name, "two clusters would have one Job"


def test_it_notes_the_generation_that_it_was_made_for() -> None:
    assert job()["metadata"]["annotations"] == {"celery-operator.dev/generation": "3"}


@pytest.mark.parametrize(
    ("spec", "restricted"),
    [
        ({}, False),
        ({"podSecurity": "Restricted"}, True),
        ({"podSecurity": "Compatible", "workers": [{"name": "web", "podSecurity": "Restricted"}]}, False),
        ({"workers": [{"name": "web", "podSecurity": "Restricted"}], "beat": {"podSecurity": "Restricted"}}, True),
        ({"workers": [{"name": "web", "podSecurity": "Restricted"}], "beat": {}}, False),
        ({"workers": [{"name": "web", "podSecurity": "Restricted"}], "securityContext": {"runAsUser": 0}}, False),
    ],
)
def test_it_is_confined_as_all_the_others_are(spec: Json, restricted: bool) -> None:
    assert (violations(job(spec)["spec"]["template"]["spec"]) == []) is restricted
