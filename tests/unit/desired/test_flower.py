"""Flower's children: the whole of them for the smallest Flower, and what each wish makes of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from celery_operator.desired import children, flower
from tests.unit.desired.clusters import SURROUNDINGS, WITH_REDIS, cluster
from tests.unit.desired.fields_of_children import oauth, secret

Json = dict[str, Any]
OWN = "app.kubernetes.io/component"
VOLUME = "celery-operator-flower"


def built(spec: Json, kind: str = "Deployment") -> Json:
    manifests = children.build(cluster(spec), SURROUNDINGS)
    (found,) = (each for each in manifests if each["kind"] == kind and each["metadata"]["name"] == "shop-flower")
    return found


def container(spec: Json) -> Json:
    found: Json = built(spec)["spec"]["template"]["spec"]["containers"][0]
    return found


def environment(spec: Json) -> Json:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container(spec)["env"]}


def settings(spec: Json) -> Json:
    found: Json = json.loads(environment(spec)["CELERY_OPERATOR_SETTINGS"])
    return found


def probe(period: int, failures: int) -> Json:
    return {
        "httpGet": {"path": "/healthcheck", "port": "http"},
        "timeoutSeconds": 5,
        "periodSeconds": period,
        "failureThreshold": failures,
    }


LABELS = {
    "app.kubernetes.io/name": "celery",
    "app.kubernetes.io/instance": "shop",
    "app.kubernetes.io/managed-by": "celery-operator",
    "celery-operator.dev/cluster": "shop",
    OWN: "flower",
}
SELECTOR = {"celery-operator.dev/cluster": "shop", OWN: "flower"}


def test_the_smallest_flower() -> None:
    found = built({"flower": {}})
    template = found["spec"].pop("template")
    pod = template["spec"]
    (main,) = pod.pop("containers")
    assert [variable.pop("name") for variable in main.pop("env")] == [
        "POD_NAME",
        "POD_NAMESPACE",
        "POD_UID",
        "CELERY_OPERATOR_BROKER_URL",
        "CELERY_OPERATOR_SETTINGS",
    ]
    assert found["metadata"]["labels"] == template["metadata"]["labels"] == LABELS
    assert found["spec"] == {
        "replicas": 1,
        "selector": {"matchLabels": SELECTOR},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
    }
    assert main == {
        "name": "flower",
        "image": "mher/flower:2.0",
        "command": ["python", "/celery-operator/launch.py", "flower"],
        "args": ["-A", "celery_operator_runtime.flower_application", "--port=5555"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "celery-operator", "mountPath": "/celery-operator", "readOnly": True}],
        "ports": [{"name": "http", "containerPort": 5555}],
        "startupProbe": probe(2, 90),
        "livenessProbe": probe(30, 4),
        "readinessProbe": probe(5, 3),
    }
    assert [volume["name"] for volume in pod.pop("volumes")] == ["celery-operator"]
    assert pod == {
        "serviceAccountName": "shop-celery",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}, "runAsUser": 1000, "runAsGroup": 1000},
    }


def test_the_service() -> None:
    found = built({"flower": {}}, "Service")
    assert found["metadata"]["labels"] == LABELS
    assert found["spec"] == {
        "type": "ClusterIP",
        "selector": SELECTOR,
        "ports": [{"name": "http", "port": 5555, "targetPort": "http", "protocol": "TCP"}],
    }


def test_the_ingress_leads_to_the_service_by_its_prefix() -> None:
    ingress = {"host": "f.example.com", "className": "nginx", "tlsSecretName": "tls", "annotations": {"a": "b"}}
    spec = {"flower": {"auth": {"external": True}, "urlPrefix": "/flower", "ingress": ingress}}
    found = built(spec, "Ingress")
    assert found["metadata"]["annotations"] == {"a": "b"}
    assert found["spec"] == {
        "ingressClassName": "nginx",
        "tls": [{"hosts": ["f.example.com"], "secretName": "tls"}],
        "rules": [
            {
                "host": "f.example.com",
                "http": {
                    "paths": [
                        {
                            "path": "/flower",
                            "pathType": "Prefix",
                            "backend": {"service": {"name": "shop-flower", "port": {"name": "http"}}},
                        }
                    ]
                },
            }
        ],
    }
    assert container(spec)["args"][2:] == ["--port=5555", "--url_prefix=flower", "--xheaders=True"]
    assert container(spec)["livenessProbe"]["httpGet"]["path"] == "/flower/healthcheck"


def test_the_route_names_its_gateway_and_the_services_port() -> None:
    route = {"parentRefs": [{"name": "edge", "namespace": "gateways"}], "hostnames": ["f.example.com"]}
    spec = {"flower": {"auth": {"external": True}, "service": {"port": 80}, "httpRoute": route}}
    assert built(spec, "HTTPRoute")["spec"] == {
        "parentRefs": [
            {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge", "namespace": "gateways"}
        ],
        "hostnames": ["f.example.com"],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [{"name": "shop-flower", "port": 80}],
            }
        ],
    }


def test_passwords_come_from_secrets_and_stand_in_no_argument() -> None:
    basic = {"flower": {"auth": {"basicFrom": secret()}, "cookieSecretFrom": secret(key="cookie")}}
    assert environment(basic)["FLOWER_BASIC_AUTH"] == {"secretKeyRef": {"name": "s", "key": "k"}}
    assert environment(basic)["FLOWER_COOKIE_SECRET"] == {"secretKeyRef": {"name": "s", "key": "cookie"}}

    google = oauth(emails=".*@example.com$")
    assert container(google)["args"][3:] == [
        "--auth_provider=flower.views.auth.GoogleAuth2LoginHandler",
        "--auth=.*@example.com$$",
    ]
    assert environment(google)["FLOWER_OAUTH2_KEY"] == {"secretKeyRef": {"name": "s", "key": "id"}}
    assert environment(google)["FLOWER_OAUTH2_SECRET"] == {"secretKeyRef": {"name": "s", "key": "secret"}}
    assert environment(google)["FLOWER_OAUTH2_REDIRECT_URI"] == "https://f.example.com/login"


def test_a_field_wins_over_a_variable_of_the_user() -> None:
    spec = {"flower": {"auth": {"basicFrom": secret()}, "env": [{"name": "FLOWER_BASIC_AUTH", "value": "a:b"}]}}
    assert environment(spec)["FLOWER_BASIC_AUTH"] == {"secretKeyRef": {"name": "s", "key": "k"}}


def test_no_volume_of_the_application_takes_the_place_of_flowers_own() -> None:
    """Else Flower would write its file into it, and every user's is a name that the CRD takes."""
    theirs = {"name": "data", "persistentVolumeClaim": {"claimName": "uploads"}}
    flower = {"loadApplication": True, "persistence": {"size": "2Gi"}}
    pod = built({"volumes": [theirs], "flower": flower})["spec"]["template"]["spec"]
    mount = next(each for each in pod["containers"][0]["volumeMounts"] if each["mountPath"] == "/var/lib/flower")
    volume = next(each for each in pod["volumes"] if each["name"] == mount["name"])
    assert volume["persistentVolumeClaim"] == {"claimName": "shop-flower"}
    assert theirs in pod["volumes"]
    assert mount["name"].startswith("celery-operator"), "users' volumes may not be called so (api/extras.py)"


def test_flower_keeps_what_it_knows_on_a_volume_that_only_one_pod_has() -> None:
    found = built({"flower": {"persistence": {"size": "2Gi"}}})
    pod = found["spec"]["template"]["spec"]
    assert found["spec"]["strategy"] == {"type": "Recreate"}
    assert pod["volumes"][-1] == {"name": VOLUME, "persistentVolumeClaim": {"claimName": "shop-flower"}}
    assert pod["containers"][0]["volumeMounts"][-1] == {"name": VOLUME, "mountPath": "/var/lib/flower"}
    assert pod["containers"][0]["args"][3:] == [
        "--persistent=True",
        "--db=/var/lib/flower/flower",
        "--state_save_interval=60000",
    ]
    assert pod["securityContext"]["fsGroup"] == 10001


APPLICATIONS: Json = {
    "command": ["poetry", "run", "python"],
    "imagePullPolicy": "Never",
    "workingDir": "/srv",
    "env": [{"name": "DJANGO_SETTINGS_MODULE", "value": "shop.settings"}],
    "envFrom": [{"secretRef": {"name": "shop"}}],
    "volumes": [{"name": "models", "emptyDir": {}}],
    "volumeMounts": [{"name": "models", "mountPath": "/models"}],
    "initContainers": [{"name": "wait"}],
    "sidecars": [{"name": "proxy", "image": "proxy:1"}],
    "config": {"imports": ["shop.tasks"], "CELERY_INCLUDE": ["shop.more"], "task_track_started": True},
}


def test_a_flower_of_its_own_gets_nothing_of_the_applications_image() -> None:
    spec = {**APPLICATIONS, "flower": {}}
    pod, main = built(spec)["spec"]["template"]["spec"], container(spec)
    assert main["command"][0] == "python"
    assert {"imagePullPolicy", "workingDir", "envFrom"}.isdisjoint(main)
    assert "DJANGO_SETTINGS_MODULE" not in environment(spec)
    assert "initContainers" not in pod
    assert [volume["name"] for volume in pod["volumes"]] == ["celery-operator"]
    assert settings(spec)["config"] == {"task_track_started": True}


def test_a_flower_with_the_application_is_run_as_a_worker_is() -> None:
    spec = {**APPLICATIONS, "flower": {"loadApplication": True}}
    pod, main = built(spec)["spec"]["template"]["spec"], container(spec)
    assert main["image"] == "example.com/shop:1"
    assert main["command"] == ["poetry", "run", "python", "/celery-operator/launch.py", "flower"]
    assert main["args"][:2] == ["-A", "shop.celery"]
    assert (main["imagePullPolicy"], main["workingDir"]) == ("Never", "/srv")
    assert environment(spec)["DJANGO_SETTINGS_MODULE"] == "shop.settings"
    assert [each["name"] for each in pod["initContainers"]] == ["proxy", "wait"]
    assert settings(spec)["config"] == APPLICATIONS["config"]
    assert "runAsUser" not in pod["securityContext"], "the application's image knows its user"


def test_the_clusters_template_is_for_the_applications_image_alone() -> None:
    beside = {"name": "proxy", "image": "proxy:1"}
    template = {
        "metadata": {"labels": {"mesh": "on"}},
        "spec": {"nodeSelector": {"gpu": "yes"}, "containers": [beside]},
    }

    def found(**fields: Any) -> tuple[set[str], object, object]:
        whole = built({"podTemplate": template, "flower": fields})["spec"]["template"]
        containers = {each["name"] for each in whole["spec"]["containers"]}
        return containers, whole["spec"].get("nodeSelector"), whole["metadata"]["labels"].get("mesh")

    assert found() == ({"flower"}, None, None)
    assert found(podTemplate=template) == ({"flower", "proxy"}, {"gpu": "yes"}, "on")
    assert found(loadApplication=True) == ({"flower", "proxy"}, {"gpu": "yes"}, "on")


@pytest.mark.parametrize(
    "spec", [{"broker": {"redis": {}}}, {"broker": {"urlFrom": secret()}, "maxTaskDuration": "3h"}]
)
def test_flower_has_the_workers_connections_and_visibility_timeout(spec: Json) -> None:
    manifests = children.build(cluster({**spec, "flower": {}}), WITH_REDIS)
    found = {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]["containers"][0]
        for each in manifests
        if each["kind"] == "Deployment"
    }
    said, connected = {}, {}
    for name, main in found.items():
        variables = {each["name"]: each for each in main["env"]}
        said[name] = json.loads(variables.pop("CELERY_OPERATOR_SETTINGS")["value"])["visibilityTimeoutSeconds"]
        connected[name] = [each for key, each in variables.items() if key.startswith("CELERY_OPERATOR_BROKER")]
    assert said["shop-flower"] == said["shop-worker-web"]
    assert connected["shop-flower"] == connected["shop-worker-web"] != []


@pytest.mark.parametrize(
    ("management", "variable"),
    [
        ({"url": "http://r:15672"}, "http://r:15672"),
        ({"urlFrom": secret()}, {"secretKeyRef": {"name": "s", "key": "k"}}),
    ],
)
def test_flower_asks_rabbitmqs_management_api_for_queues(management: Json, variable: object) -> None:
    spec = {"broker": {"url": "amqp://r", "management": management}, "flower": {}}
    assert environment(spec)[flower.MANAGEMENT_VARIABLE] == variable


def test_the_kubelet_is_told_by_number_that_the_default_image_is_not_roots() -> None:
    def user(**fields: Any) -> object:
        return built({"podSecurity": "Restricted", **fields})["spec"]["template"]["spec"]["securityContext"].get(
            "runAsUser"
        )

    assert user(flower={}) == 1000
    assert user(flower={"image": "example.com/flower:3"}) is None
    assert user(flower={"securityContext": {"runAsUser": 7}}) == 7
    assert user(flower={}, securityContext={"runAsUser": 8}) == 8


def test_the_users_template_is_merged_and_its_ports_are_kept() -> None:
    ports = [{"name": "more", "containerPort": 9000}]
    patch = {"spec": {"nodeSelector": {"a": "b"}, "containers": [{"name": "flower", "ports": ports}]}}
    spec = {"flower": {"podTemplate": patch}}
    assert built(spec)["spec"]["template"]["spec"]["nodeSelector"] == {"a": "b"}
    assert container(spec)["ports"] == [{"name": "http", "containerPort": 5555}, *ports]
