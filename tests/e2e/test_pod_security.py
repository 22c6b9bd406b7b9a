"""podSecurity: Restricted keeps to the Pod Security level of that name, Compatible runs images that need root."""

from __future__ import annotations

from celery_operator.kube.objects import NAMESPACE, ObjectRef
from celery_operator.observe.kinds import CELERY_CLUSTER
from tests.e2e import manifests
from tests.e2e.conftest import MakeSpace, QuickStart
from tests.e2e.release import Release

ENFORCE = "pod-security.kubernetes.io/enforce"


def test_restricted_runs_where_the_namespace_enforces_restricted(quick_start: QuickStart) -> None:
    space = quick_start.space
    namespace = space.api.get(ObjectRef(kind=NAMESPACE, namespace=None, name=space.name))
    assert namespace is not None
    assert namespace["metadata"]["labels"][ENFORCE] == "restricted"
    for component in ("worker", "beat", "redis"):
        pods = space.pods(quick_start.name, component)
        assert pods, f"no {component} pod was admitted"
        for pod in pods:
            (container,) = pod["spec"]["containers"]
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            user = space.kubectl("exec", pod["metadata"]["name"], "--", "id", "-u").strip()
            assert user != "0"


def test_compatible_runs_an_image_as_root(release: Release, make_space: MakeSpace) -> None:
    space = make_space("baseline")
    as_root = {"spec": {"securityContext": {"runAsUser": 0}}}
    space.apply(manifests.cluster(podSecurity="Compatible", podTemplate=as_root, beat={}))
    space.wait_ready("shop")
    for component in ("worker", "beat"):
        (pod,) = space.pods("shop", component)
        assert space.kubectl("exec", pod["metadata"]["name"], "--", "id", "-u").strip() == "0"


def test_root_under_restricted_is_told(release: Release, make_space: MakeSpace) -> None:
    space = make_space("baseline")
    as_root = {"spec": {"securityContext": {"runAsUser": 0}}}
    space.apply(manifests.cluster(podTemplate=as_root))
    space.wait_condition("shop", "Ready", "False", "ContainerConfigInvalid", says='worker group "default"')
    assert space.get(CELERY_CLUSTER, "shop")["status"]["summary"]["workers"] == "0/1"


def test_pods_that_the_namespace_refuses_are_told(release: Release, make_space: MakeSpace) -> None:
    space = make_space("restricted")
    host_network = {"spec": {"hostNetwork": True}}
    space.apply(manifests.cluster(podTemplate=host_network))
    found = space.wait_condition("shop", "Ready", "False", says="violates PodSecurity")
    assert 'worker group "default"' in found["message"]
