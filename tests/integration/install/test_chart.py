"""The chart with Helm: what its values do, and that nothing else is accepted as a value."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.settings import Settings
from tests.integration.install.helm import CHART, Helm


def _one(manifests: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [one for one in manifests if one["kind"] == kind]
    return found


def _pod(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = _one(manifests, "Deployment")["spec"]["template"]["spec"]
    return spec


def _environment(manifests: list[dict[str, Any]]) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for one in _pod(manifests)["containers"][0]["env"]}


def test_helm_lint_finds_nothing(helm: Helm) -> None:
    done = helm.run("lint", "--strict", "--quiet", str(CHART))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_generated_files_are_current() -> None:
    from charts.generate import stale

    assert stale(write=False) == []


def test_the_environment_is_what_the_operator_reads(helm: Helm, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"watchNamespaces": ["a", "b"], "log": {"format": "text", "level": "DEBUG"}}
    variables = _environment(helm.render(values, release="mine", namespace="operators"))
    for name, value in variables.items():
        assert name.removeprefix("CELERY_OPERATOR_").lower() in Settings.model_fields, f"{name} is no setting"
        if value:
            monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.namespace_list == ("a", "b")
    assert (settings.lease_namespace, settings.lease_name) == ("operators", "mine-celery-operator")
    assert (settings.log_format, settings.log_level, settings.port) == ("text", "DEBUG", 8080)


def test_named_namespaces_get_roles_and_nothing_cluster_wide(helm: Helm) -> None:
    manifests = helm.render({"watchNamespaces": ["shop", "mail"]})
    assert not [one for one in manifests if one["kind"].startswith("ClusterRole")]
    for kind in ("Role", "RoleBinding"):
        where = {one["metadata"]["namespace"] for one in manifests if one["kind"] == kind}
        assert where == {"shop", "mail", "operators"}


def test_named_namespaces_and_all_of_them_get_the_same_rules(helm: Helm) -> None:
    named = [one for one in helm.render({"watchNamespaces": ["shop"]}) if one["kind"] == "Role"]
    in_shop = next(one for one in named if one["metadata"]["namespace"] == "shop")
    assert in_shop["rules"] == _one(helm.render(), "ClusterRole")["rules"]


def test_two_releases_share_no_cluster_wide_name(helm: Helm) -> None:
    first, second = (_one(helm.render(namespace=name), "ClusterRole")["metadata"]["name"] for name in ("one", "two"))
    assert first != second


@pytest.mark.parametrize("values", [{}, {"fullnameOverride": "o" * 63}, {"nameOverride": "n" * 63}])
def test_the_longest_release_name_makes_no_name_that_kubernetes_refuses(helm: Helm, values: dict[str, Any]) -> None:
    objects = helm.render(values, release="r" * 53)
    short = [one for one in objects if one["kind"] in ("Service", "Deployment")]
    assert len(short) == 2
    for one in short:
        assert len(one["metadata"]["name"]) <= 63
        assert all(len(value) <= 63 for value in one["metadata"]["labels"].values())


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"replica": 3}, "replica"),
        ({"image": {"tagg": "1"}}, "tagg"),
        ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
        ({"replicas": -1}, "replicas"),
        ({"log": {"level": "LOUD"}}, "level"),
        ({"watchNamespaces": "shop"}, "watchNamespaces"),
        ({"watchNamespaces": ["Not_A_Name"]}, "watchNamespaces"),
        ({"serviceMonitor": {"interval": "soon"}}, "interval"),
        ({"crds": {"install": "yes"}}, "install"),
        ({"extraEnv": [{"value": "without a name"}]}, "extraEnv"),
    ],
)
def test_an_unknown_or_impossible_value_is_refused(helm: Helm, values: dict[str, Any], wrong: str) -> None:
    done = helm.template(values)
    assert done.returncode != 0
    assert wrong in done.stderr


def test_the_image_is_put_together_from_its_parts(helm: Helm) -> None:
    image = {"registry": "registry.example.com/", "repository": "ops/celery", "tag": "9"}
    pod = _pod(helm.render({"image": {**image, "pullSecrets": [{"name": "registry"}]}}))
    assert pod["containers"][0]["image"] == "registry.example.com/ops/celery:9"
    assert pod["imagePullSecrets"] == [{"name": "registry"}]


@pytest.mark.parametrize("keep", [True, False])
def test_the_crd_is_kept_at_uninstall_if_asked(helm: Helm, keep: bool) -> None:
    crd = _one(helm.render({"crds": {"keep": keep}}), "CustomResourceDefinition")
    assert (crd["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep") is keep


def test_the_crd_can_be_left_out(helm: Helm) -> None:
    assert not [one for one in helm.render({"crds": {"install": False}}) if one["kind"] == "CustomResourceDefinition"]


def test_replicas_are_spread_unless_told_otherwise(helm: Helm) -> None:
    keys = [one["topologyKey"] for one in _pod(helm.render())["topologySpreadConstraints"]]
    assert keys == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    own = {"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}
    assert _pod(helm.render({"topologySpreadConstraints": [own]}))["topologySpreadConstraints"] == [own]


def test_everything_a_pod_can_be_given_arrives(helm: Helm) -> None:
    values: dict[str, Any] = {
        "nodeSelector": {"pool": "ops"},
        "tolerations": [{"key": "ops", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "system-cluster-critical",
        "podLabels": {"team": "platform"},
        "podAnnotations": {"note": "1"},
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "resources": {"limits": {"memory": "1Gi"}},
    }
    manifests = helm.render(values)
    pod = _pod(manifests)
    metadata = _one(manifests, "Deployment")["spec"]["template"]["metadata"]
    for name in ("nodeSelector", "tolerations", "affinity", "priorityClassName"):
        assert pod[name] == values[name]
    assert metadata["labels"]["team"] == "platform"
    assert metadata["annotations"] == {"note": "1"}
    assert values["extraEnv"][0] in pod["containers"][0]["env"]
    assert pod["containers"][0]["resources"]["limits"] == {"memory": "1Gi"}


def test_a_service_monitor_and_no_disruption_budget_if_asked(helm: Helm) -> None:
    monitor = {"enabled": True, "interval": "10s", "labels": {"release": "prometheus"}}
    manifests = helm.render({"serviceMonitor": monitor, "podDisruptionBudget": {"enabled": False}})
    found = _one(manifests, "ServiceMonitor")
    endpoint = {"port": "http", "path": "/metrics", "interval": "10s", "honorLabels": True}
    assert found["spec"]["endpoints"] == [endpoint]
    assert found["metadata"]["labels"]["release"] == "prometheus"
    assert found["spec"]["selector"]["matchLabels"].items() <= _one(manifests, "Service")["metadata"]["labels"].items()
    assert not [one for one in manifests if one["kind"] == "PodDisruptionBudget"]
