"""What the API server keeps of an object, how writers share one, and what `kubectl get` shows."""

from __future__ import annotations

from typing import Any

from celery_operator.api import API_VERSION
from tests.integration.crd.objects import changed, minimal
from tests.integration.crd.server import Server


def _apply(server: Server, manager: str, spec: dict[str, Any]) -> dict[str, Any]:
    manifest = {**minimal(""), "spec": spec}
    answer = server.apply(manifest, manager)
    assert answer.code in (200, 201), answer.body
    return answer.body


def test_nothing_is_added_to_what_the_user_wrote(server: Server) -> None:
    sent = changed("spec.beat", {"storage": {}, "schedule": [{"name": "a", "task": "t", "every": "1s"}]})
    assert server.create(sent).body["spec"] == sent["spec"]


def test_labels_and_annotations_of_pod_templates_are_kept(server: Server) -> None:
    template = {
        "metadata": {"labels": {"team": "shop"}, "annotations": {"example.com/note": "kept"}},
        "spec": {
            "nodeSelector": {"disk": "ssd"},
            "containers": [
                {"name": "worker", "env": [{"name": "A", "value": "1"}], "resources": {"limits": {"cpu": 2}}}
            ],
            "volumes": [{"name": "data", "$patch": "delete"}],
        },
    }
    assert server.create(changed("spec.workers[].podTemplate", template)).code == 201
    stored = server.call("GET", server.url("minimal")).body
    assert stored["spec"]["workers"][0]["podTemplate"] == template


def test_free_form_values_are_kept(server: Server) -> None:
    config = {"task_routes": {"shop.*": {"queue": "q"}}, "broker_transport_options.x": [1, 2.5, None, True], "A": ""}
    entry = {"name": "a", "task": "t", "every": "1s", "args": [1, "two", {"three": [4]}], "kwargs": {"deep": {"er": 1}}}
    manifest = changed("spec.config", config)
    manifest["spec"]["beat"] = {"schedule": [entry]}
    spec = server.create(manifest).body["spec"]
    assert spec["config"] == config
    assert spec["beat"]["schedule"] == [entry]


def test_two_managers_share_the_list_of_worker_groups(server: Server) -> None:
    spec = minimal("spec")
    _apply(server, "owner", {**spec, "workers": [{"name": "a", "replicas": 1}]})
    both = _apply(server, "second", {"workers": [{"name": "b", "replicas": 3}]})
    assert both["spec"]["workers"] == [{"name": "a", "replicas": 1}, {"name": "b", "replicas": 3}]
    # An owner that applies again neither loses nor touches the other's group.
    again = _apply(server, "owner", {**spec, "workers": [{"name": "a", "replicas": 2}]})
    assert again["spec"]["workers"] == [{"name": "a", "replicas": 2}, {"name": "b", "replicas": 3}]


def test_a_field_of_another_manager_is_a_conflict(server: Server) -> None:
    _apply(server, "owner", {**minimal("spec"), "workers": [{"name": "a", "replicas": 1}]})
    answer = server.apply({**minimal(""), "spec": {"workers": [{"name": "a", "replicas": 2}]}}, "second")
    assert answer.code == 409
    assert '.spec.workers[name="a"].replicas' in answer.body["message"]


def test_queues_and_environment_merge_between_managers(server: Server) -> None:
    spec = minimal("spec")
    _apply(server, "owner", {**spec, "env": [{"name": "A"}], "workers": [{"name": "a", "queues": ["x"]}]})
    both = _apply(server, "second", {"env": [{"name": "B"}], "workers": [{"name": "a", "queues": ["y"]}]})
    assert both["spec"]["env"] == [{"name": "A"}, {"name": "B"}]
    assert both["spec"]["workers"][0]["queues"] == ["x", "y"]


def test_status_and_spec_are_written_apart(server: Server) -> None:
    created = server.create({**minimal(""), "status": {"observedGeneration": 7}}).body
    assert "status" not in created
    answer = server.call(
        "PATCH",
        server.url("minimal") + "/status",
        {"status": {"observedGeneration": 1}, "spec": {"paused": True}, "metadata": {"labels": {"a": "b"}}},
    )
    assert answer.code == 200
    assert answer.body["status"] == {"observedGeneration": 1}
    assert answer.body["spec"] == created["spec"]
    assert answer.body["metadata"]["generation"] == 1
    edited = server.call(
        "PATCH", server.url("minimal"), {"spec": {"paused": True}, "status": {"observedGeneration": 9}}
    )
    assert edited.body["status"] == {"observedGeneration": 1}
    assert edited.body["metadata"]["generation"] == 2


def test_columns_of_kubectl_get(server: Server) -> None:
    condition = {**minimal("status.conditions[]"), "status": "False", "reason": "BrokerUnreachable"}
    server.create(minimal(""))
    server.call(
        "PATCH",
        server.url("minimal") + "/status",
        {
            "status": {
                "conditions": [{**condition, "type": "Paused", "reason": "NotPaused"}, condition],
                "summary": {"workers": "1/2", "beat": "Running", "broker": "Unreachable", "backlog": "1200"},
            }
        },
    )
    table = server.http.get(
        server.url("minimal"), headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    ).json()
    columns = [(column["name"], column["priority"]) for column in table["columnDefinitions"]]
    assert columns == [
        ("Name", 0), ("Ready", 0), ("Workers", 0), ("Beat", 0), ("Broker", 0), ("Backlog", 0), ("Age", 0),
        ("Reason", 1),
    ]  # fmt: skip
    cells = table["rows"][0]["cells"]
    assert cells[:6] == ["minimal", "False", "1/2", "Running", "Unreachable", "1200"]
    assert cells[7] == "BrokerUnreachable"


def test_names_that_kubectl_understands(server: Server) -> None:
    resources = server.call("GET", f"/apis/{API_VERSION}").body["resources"]
    kind = next(resource for resource in resources if resource["name"] == "celeryclusters")
    assert kind["singularName"] == "celerycluster"
    assert kind["shortNames"] == ["cc"]
    assert sorted(kind["categories"]) == ["all", "celery"]
    assert kind["namespaced"] is True
    assert {resource["name"] for resource in resources} == {"celeryclusters", "celeryclusters/status"}
