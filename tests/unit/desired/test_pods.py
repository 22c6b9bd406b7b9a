"""What every pod of workers and beat must have, whatever the user wrote, and what a user may not take away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_operator.api.hooks import BeforeRollout
from celery_operator.desired import beat_statefulset, children, hook_job, worker_deployment
from celery_operator.desired.digest import digest
from celery_operator.desired.strategic_merge import MergeError
from tests.unit.desired.clusters import BIG, QUICKSTART, SURROUNDINGS, WITH_REDIS, cluster
from tests.unit.desired.pod_security import violations

Json = dict[str, Any]
SPECS = {"smallest": {"beat": {}}, "quickstart": QUICKSTART, "big": BIG}
RESTRICTED = {"podSecurity": "Restricted"}


def workloads(spec: Json) -> list[Json]:
    """All Deployments and StatefulSets of a cluster."""
    return [child for child in children.build(cluster(spec), WITH_REDIS) if "template" in child.get("spec", {})]


def worker_template(spec: Json | None = None) -> Json:
    shop = cluster(spec)
    template = worker_deployment.build(shop, shop.spec.workers[0], SURROUNDINGS)["spec"]["template"]
    assert isinstance(template, dict)
    return template


def worker_container(spec: Json | None = None) -> Json:
    container = worker_template(spec)["spec"]["containers"][0]
    assert isinstance(container, dict)
    return container


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_selectors_are_labels_of_their_pods_and_of_nobody_elses(spec: Json) -> None:
    found = workloads(spec)
    for workload in found:
        selector = workload["spec"]["selector"]["matchLabels"].items()
        matching = [
            other["metadata"]["name"]
            for other in found
            if selector <= other["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert matching == [workload["metadata"]["name"]]


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_restricted_pods_are_admitted_where_the_standard_is_enforced(spec: Json) -> None:
    for workload in workloads({**spec, **RESTRICTED}):
        assert violations(workload["spec"]["template"]["spec"]) == []


def test_compatible_pods_lack_nothing_but_the_user() -> None:
    for workload in workloads({"beat": {}, "podSecurity": "Compatible"}):
        component = workload["spec"]["template"]["spec"]["containers"][0]["name"]
        assert violations(workload["spec"]["template"]["spec"]) == [f"{component}.runAsNonRoot"]


def test_restricted_containers_write_to_tmp_alone() -> None:
    container = worker_container(RESTRICTED)
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
    assert {"name": "tmp", "emptyDir": {}} in worker_template(RESTRICTED)["spec"]["volumes"]
    assert "readOnlyRootFilesystem" not in worker_container()["securityContext"]


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_every_mount_has_its_volume(spec: Json) -> None:
    for workload in workloads({**spec, **RESTRICTED}):
        pod = workload["spec"]["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == volumes


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_no_pod_gets_a_token_of_the_api_server(spec: Json) -> None:
    for child in children.build(cluster(spec), WITH_REDIS):
        if child["kind"] == "ServiceAccount":
            assert child["automountServiceAccountToken"] is False
        if "template" in child.get("spec", {}):
            assert child["spec"]["template"]["spec"]["automountServiceAccountToken"] is False


label_keys = st.sampled_from(
    [
        "app.kubernetes.io/name",
        "app.kubernetes.io/component",
        "app.kubernetes.io/managed-by",
        "celery-operator.dev/cluster",
        "celery-operator.dev/worker-group",
        "team",
    ]
)


@given(st.dictionaries(label_keys, st.text("abc", max_size=3)))
def test_pod_labels_never_override_the_operators(pod_labels: dict[str, str]) -> None:
    """The CRD refuses them; an older CRD or a webhook must not be able to break a selector either."""
    plain = worker_template()["metadata"]["labels"]
    labels = worker_template({"podLabels": pod_labels})["metadata"]["labels"]
    assert plain.items() <= labels.items()


def test_recommended_labels_that_the_operator_has_no_use_for_are_the_users() -> None:
    """kubernetes.io "Recommended Labels": dashboards and policies ask for them, and no selector of ours does."""
    theirs = {"app.kubernetes.io/part-of": "shop", "app.kubernetes.io/version": "1.2.3"}
    both: list[Json] = [{"podLabels": theirs}, {"podTemplate": {"metadata": {"labels": theirs}}}]
    for fields in (*both, *(group(**each) for each in both)):
        assert theirs.items() <= worker_template(fields)["metadata"]["labels"].items()


def test_users_variables_can_refer_to_the_pods_identity() -> None:
    env = [variable["name"] for variable in worker_container({"env": [{"name": "A", "value": "$(POD_NAME)"}]})["env"]]
    assert env.index("POD_NAME") < env.index("A") < env.index("CELERY_OPERATOR_SETTINGS")


def test_probes_ask_the_process_itself() -> None:
    container = worker_container()
    paths = {kind: container[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {
        "startupProbe": {"path": "/startupz", "port": "probes"},
        "livenessProbe": {"path": "/livez", "port": "probes"},
        "readinessProbe": {"path": "/readyz", "port": "probes"},
    }
    assert container["ports"] == [{"name": "probes", "containerPort": 9540}]
    readiness = container["readinessProbe"]
    assert readiness["periodSeconds"] * readiness["failureThreshold"] == 60


def test_probes_can_be_adjusted_one_value_at_a_time() -> None:
    asked = {
        "port": 9000,
        "liveness": {"periodSeconds": 60, "initialDelaySeconds": 5},
        "startup": {"failureThreshold": 9, "timeoutSeconds": 2},
    }
    container = worker_container(group(probes=asked))
    assert container["livenessProbe"] == {
        "httpGet": {"path": "/livez", "port": "probes"},
        "periodSeconds": 60,
        "timeoutSeconds": 5,
        "failureThreshold": 4,
        "terminationGracePeriodSeconds": 60,
        "initialDelaySeconds": 5,
    }
    assert container["startupProbe"] == {
        "httpGet": {"path": "/startupz", "port": "probes"},
        "periodSeconds": 1,
        "timeoutSeconds": 2,
        "failureThreshold": 9,
        "terminationGracePeriodSeconds": 60,
    }
    assert container["readinessProbe"] == worker_container()["readinessProbe"]
    assert container["ports"] == [{"name": "probes", "containerPort": 9000}]


@pytest.mark.parametrize(("grace", "left"), [("2h", 60), ("20s", 20)])
def test_a_failed_probe_gives_no_more_time_than_the_group_does(grace: str, left: int) -> None:
    container = worker_container(group(shutdown={"gracePeriod": grace}))
    for probe in ("startupProbe", "livenessProbe"):
        assert container[probe]["terminationGracePeriodSeconds"] == left


@pytest.mark.parametrize("component", ["worker", "beat"])
def test_disabled_probes_leave_nothing_that_listens(component: str) -> None:
    off = {"disabled": True}
    workload = {"worker": 0, "beat": -1}[component]
    found = workloads({**group(probes=off), "beat": {"probes": off}})[workload]
    container = found["spec"]["template"]["spec"]["containers"][0]
    assert container["name"] == component
    assert not {"ports", "startupProbe", "livenessProbe", "readinessProbe"} & container.keys()


def test_what_pods_read_at_their_start_is_noted_on_workers_and_beat() -> None:
    shop = cluster({"beat": {}, "broker": {"redis": {}}})
    hashes = {"shop-worker-web": "1a2b3c4d", "shop-beat": "5e6f7a8b"}
    noted = {
        child["metadata"]["name"]: child["spec"]["template"]["metadata"]["annotations"].get(
            "celery-operator.dev/references-hash"
        )
        for child in children.build(shop, replace(WITH_REDIS, references_hashes=hashes))
        if "template" in child.get("spec", {})
    }
    assert {name: noted_hash for name, noted_hash in noted.items() if noted_hash is not None} == hashes
    assert "references-hash" not in str(children.build(shop, WITH_REDIS))


def test_pods_that_must_not_be_disrupted_say_so_to_the_autoscalers() -> None:
    annotations = worker_template(group(disruptionBudget={"doNotDisrupt": True}))["metadata"]["annotations"]
    assert annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"
    assert annotations["karpenter.sh/do-not-disrupt"] == "true"
    assert "disrupt" not in str(worker_template(group(disruptionBudget={"doNotDisrupt": False})))


def deployment(**fields: Any) -> Json:
    shop = cluster(group(**fields))
    return worker_deployment.build(shop, shop.spec.workers[0], SURROUNDINGS)


@pytest.mark.parametrize(
    ("strategy", "rolling"),
    [
        ({}, {"maxSurge": "25%", "maxUnavailable": 0}),
        ({"maxSurge": 0, "maxUnavailable": 1}, {"maxSurge": 0, "maxUnavailable": 1}),
        ({"maxSurge": "100%"}, {"maxSurge": "100%", "maxUnavailable": 0}),
    ],
)
def test_a_rollout_costs_no_capacity_unless_asked(strategy: Json, rolling: Json) -> None:
    assert deployment(strategy=strategy)["spec"]["strategy"] == {"type": "RollingUpdate", "rollingUpdate": rolling}


@pytest.mark.parametrize(
    ("fields", "deadline"),
    [
        ({}, 900),
        ({"strategy": {"progressDeadline": "20m"}}, 1200),
        ({"probes": {"startup": {"failureThreshold": 900, "initialDelaySeconds": 30}}}, 1230),
        ({"probes": {"startup": {"failureThreshold": 10}}}, 600),
        ({"probes": {"disabled": True}}, 600),
        ({"probes": {"disabled": True}, "maxTaskDuration": "2h"}, 7230),
        ({"shutdown": {"gracePeriod": "1h"}}, 4200),
        ({"shutdown": {"mode": "Requeue"}}, 660),
        ({"shutdown": {"gracePeriod": "2h"}, "strategy": {"progressDeadline": "20m"}}, 1200),
        ({"strategy": {"progressDeadline": "1m"}, "probes": {"startup": {"failureThreshold": 900}}}, 60),
    ],
)
def test_a_rollout_has_not_failed_while_old_pods_may_drain_and_a_start_may_last(fields: Json, deadline: int) -> None:
    """On a full cluster a new pod finds its place only when an old one has ended."""
    assert deployment(**fields)["spec"]["progressDeadlineSeconds"] == deadline


def pod(**spec: Any) -> Json:
    return {"podTemplate": {"spec": spec}}


def container(**fields: Any) -> Json:
    return pod(containers=[{"name": "worker", **fields}])


REFUSED = [
    (pod(restartPolicy="Never"), ".spec.restartPolicy"),
    (pod(restartPolicy=None), ".spec.restartPolicy"),
    (pod(terminationGracePeriodSeconds=30), ".spec.terminationGracePeriodSeconds"),
    (container(livenessProbe=None), ".spec.containers[worker].livenessProbe"),
    (container(readinessProbe={"periodSeconds": 1}), ".spec.containers[worker].readinessProbe"),
    (container(startupProbe={"failureThreshold": 1}), ".spec.containers[worker].startupProbe"),
    (pod(**{"$patch": "replace"}), ".spec"),
    (pod(containers=None), ".spec.containers"),
    (pod(containers={"name": "worker"}), ".spec.containers"),
    (pod(volumes=None), ".spec.volumes"),
    (pod(volumes=[{"name": "celery-operator", "$patch": "delete"}]), ".spec.volumes[celery-operator]"),
    (container(command=["sh"]), ".spec.containers[worker].command"),
    (container(args=None), ".spec.containers[worker].args"),
    (container(**{"$patch": "delete"}), ".spec.containers[worker]"),
    (container(**{"$patch": "replace"}), ".spec.containers[worker]"),
    (container(env=None), ".spec.containers[worker].env"),
    (container(env={"A": "1"}), ".spec.containers[worker].env"),
    (container(env=[{"name": 5}, {"name": "CELERY_BROKER_URL"}]), ".spec.containers[worker].env[CELERY_BROKER_URL]"),
    (
        container(env=[{"name": "CELERY_OPERATOR_SETTINGS", "$patch": "delete"}]),
        ".spec.containers[worker].env[CELERY_OPERATOR_SETTINGS]",
    ),
    (container(env=[{"name": "POD_NAME", "value": "x"}]), ".spec.containers[worker].env[POD_NAME]"),
    (
        container(volumeMounts=[{"mountPath": "/celery-operator", "$patch": "delete"}]),
        ".spec.containers[worker].volumeMounts[/celery-operator]",
    ),
    (container(volumeMounts=None), ".spec.containers[worker].volumeMounts"),
    (
        container(ports=[{"containerPort": 9540, "$patch": "delete"}]),
        ".spec.containers[worker].ports[9540]",
    ),
    (
        {"podTemplate": {"metadata": {"labels": {"celery-operator.dev/cluster": "other"}}}},
        ".metadata.labels[celery-operator.dev/cluster]",
    ),
    (
        {"podTemplate": {"metadata": {"labels": {"app.kubernetes.io/instance": "other"}}}},
        ".metadata.labels[app.kubernetes.io/instance]",
    ),
]


@pytest.mark.parametrize(("fields", "where"), REFUSED, ids=[where for _, where in REFUSED])
def test_what_the_operator_needs_cannot_be_taken_away(fields: Json, where: str) -> None:
    """At either level; the message names the level, and the group."""
    with pytest.raises(MergeError) as caught:
        worker_template(fields)
    assert caught.value.path == f"spec.podTemplate{where}"
    with pytest.raises(MergeError) as caught:
        worker_template({"workers": [{"name": "web", **fields}]})
    assert caught.value.path == f"spec.workers[web].podTemplate{where}"


def of_component(name: str, **fields: Any) -> Json:
    return pod(containers=[{"name": name, **fields}])


@pytest.mark.parametrize(
    ("spec", "advice"),
    [
        (container(livenessProbe={}), "use the probes of the worker group"),
        (container(args=[]), "use spec.command or extraArgs"),
        ({"beat": of_component("beat", startupProbe={})}, "use the probes of spec.beat"),
        ({"beat": of_component("beat", args=[])}, "use spec.command"),
        ({"flower": of_component("flower", readinessProbe={})}, "Flower's own are asked for its page /healthcheck"),
        ({"flower": of_component("flower", args=[])}, "use extraArgs of spec.flower"),
    ],
)
def test_what_is_refused_names_what_its_component_has_instead(spec: Json, advice: str) -> None:
    shop = cluster(spec)
    with pytest.raises(MergeError, match=advice):
        children.build(shop, SURROUNDINGS)


def test_what_is_refused_of_a_hook_names_its_command() -> None:
    hook = BeforeRollout(command=["true"])
    with pytest.raises(MergeError, match=r"use the command of spec\.hooks\.beforeRollout"):
        hook_job.build(cluster(of_component("hook", command=["sh"])), hook, SURROUNDINGS)


def test_a_problem_of_beats_template_names_beat() -> None:
    shop = cluster({"beat": pod(restartPolicy="Never")})
    assert shop.spec.beat is not None
    with pytest.raises(MergeError) as caught:
        beat_statefulset.build(shop, shop.spec.beat, SURROUNDINGS)
    assert caught.value.path == "spec.beat.podTemplate.spec.restartPolicy"


def test_the_groups_template_wins_over_the_clusters() -> None:
    spec = {**pod(priorityClassName="low", nodeSelector={"a": "1"}), "workers": []}
    spec["workers"] = [{"name": "web", **pod(priorityClassName="high", nodeSelector={"b": "2"})}]
    merged = worker_template(spec)["spec"]
    assert merged["priorityClassName"] == "high"
    assert merged["nodeSelector"] == {"a": "1", "b": "2"}


def test_the_template_wins_over_typed_fields() -> None:
    spec = {"env": [{"name": "A", "value": "typed"}], **container(env=[{"name": "A", "value": "template"}])}
    env = {variable["name"]: variable.get("value") for variable in worker_container(spec)["env"]}
    assert env["A"] == "template"


def group(**fields: Any) -> Json:
    return {"workers": [{"name": "web", **fields}]}


SAME_PODS = [
    (group(replicas=1), group(replicas=9), "worker"),
    (group(), group(strategy={"maxSurge": 1, "progressDeadline": "1h"}), "worker"),
    (group(), group(disruptionBudget={"maxUnavailable": 1}), "worker"),
    (group(), group(mingle="Auto"), "worker"),
    ({"beat": {}}, {"beat": {}, **group(replicas=99)}, "beat"),
    ({"paused": False}, {"paused": True}, "worker"),
    ({"beat": {"storage": {"size": "1Gi"}}}, {"beat": {"storage": {"size": "2Gi"}}}, "beat"),
    ({"beat": {"storage": {"retain": False}}}, {"beat": {"storage": {"retain": True}}}, "beat"),
    ({"beat": {}}, {"beat": {}, **group(concurrency=9)}, "beat"),
    ({"beat": {}}, {}, "worker"),
    (group(), {"workers": [{"name": "web"}, {"name": "mail"}]}, "worker"),
    ({"config": {"a": 1, "b": 2}}, {"config": {"b": 2, "a": 1}}, "worker"),
]


@pytest.mark.parametrize(("before", "after", "component"), SAME_PODS)
def test_an_edit_that_concerns_no_pod_restarts_none(before: Json, after: Json, component: str) -> None:
    def template(spec: Json) -> Json:
        found = [w for w in workloads(spec) if w["spec"]["template"]["spec"]["containers"][0]["name"] == component]
        first = found[0]["spec"]["template"]
        assert isinstance(first, dict)
        return first

    assert digest(template(before)) == digest(template(after))
