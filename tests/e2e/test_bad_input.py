"""What users get wrong: the condition says what happened, to which worker group, and what to do."""

from __future__ import annotations

from celery_operator.kube.objects import DEPLOYMENT, Manifest
from tests.e2e import manifests
from tests.e2e.space import PATIENCE_SECONDS, READY_SECONDS, Space, identities
from tests.e2e.until import until

UNRESOLVABLE = {"url": "redis://no-such-host.example.invalid:6379/0"}


def test_an_image_that_does_not_exist(space: Space) -> None:
    space.apply(manifests.cluster(image="example.invalid/no/such/image:1"))
    # A name server that does not answer is asked several times before the kubelet gives up.
    found = space.wait_condition("shop", "Ready", "False", "ImagePullFailed", within=READY_SECONDS)
    assert 'worker group "default"' in found["message"]
    assert "check the image's name" in found["message"]


def test_an_app_module_that_is_not_in_the_image(space: Space) -> None:
    space.apply(manifests.cluster(app="no_such_package.celery"))
    found = space.wait_condition("shop", "Ready", "False", "AppNotFound", within=READY_SECONDS)
    for word in ('worker group "default"', "ModuleNotFoundError", "no_such_package.celery", "check spec.app"):
        assert word in found["message"]


def test_an_app_module_that_does_not_import(space: Space) -> None:
    space.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "broken"},
            "data": {"broken_shop.py": "import no_such_dependency\n"},
        }
    )
    mounted = {
        "spec": {
            "containers": [{"name": "worker", "volumeMounts": [{"name": "broken", "mountPath": "/broken"}]}],
            "volumes": [{"name": "broken", "configMap": {"name": "broken"}}],
        }
    }
    space.apply(
        manifests.cluster(
            app="broken_shop", workingDir="/broken", workers=[manifests.worker("mail", podTemplate=mounted)]
        )
    )
    found = space.wait_condition("shop", "Ready", "False", "AppImportFailed", within=READY_SECONDS)
    for word in ('worker group "mail"', "ModuleNotFoundError", "no_such_dependency", "broken_shop"):
        assert word in found["message"]


def test_a_missing_secret_that_is_created_later(space: Space) -> None:
    space.apply(*manifests.plain_redis("broker"))
    reference = {"secretKeyRef": {"name": "broker", "key": "url"}}
    space.apply(manifests.cluster(broker={"urlFrom": reference}))
    found = space.wait_condition("shop", "Ready", "False", "ReferenceMissing")
    assert "Secret 'broker' does not exist" in found["message"]
    assert space.objects(DEPLOYMENT, "celery-operator.dev/cluster=shop") == []
    secret: Manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "broker"},
        "stringData": {"url": "redis://broker:6379/0"},
    }
    space.apply(secret)
    space.wait_ready("shop")


def test_a_broker_that_cannot_be_resolved_restarts_no_worker(space: Space) -> None:
    space.apply(manifests.cluster(broker=UNRESOLVABLE, resultBackend=None))
    space.wait_condition("shop", "BrokerReachable", "False")
    (pod,) = until(lambda: space.pods("shop", "worker"), within=PATIENCE_SECONDS)
    # Liveness gives up after two minutes; what it would be told is known at once.
    until(lambda: space.probe(pod, "/startupz")[0], lambda code: code == 200, within=READY_SECONDS)
    status = space.status_of(pod)
    assert status["connected"] is False
    assert space.said(pod, "/livez")[0] == 200
    found = space.wait_condition("shop", "BrokerReachable", "False")
    assert "example.invalid" not in found["message"]
    assert identities(space.pods("shop", "worker")) == {
        pod["metadata"]["name"]: (pod["metadata"]["uid"], 0),
    }


def test_a_pod_template_that_takes_what_the_operator_owns(space: Space) -> None:
    own = {"spec": {"containers": [{"name": "worker", "command": ["sh"]}]}}
    space.apply(manifests.cluster(workers=[manifests.worker(podTemplate=own)]))
    found = space.wait_condition("shop", "SpecValid", "False", "InvalidSpec")
    assert "containers[worker].command: belongs to the operator" in found["message"]
    space.wait_condition("shop", "Ready", "False", "InvalidSpec")
    assert space.objects(DEPLOYMENT, "celery-operator.dev/cluster=shop") == []
