"""Addresses of Kubernetes objects."""

from __future__ import annotations

import pytest

from celery_operator.kube.objects import (
    CONFIG_MAP,
    DEPLOYMENT,
    NAMESPACE,
    Kind,
    ObjectRef,
    by_manifest,
    register,
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (CONFIG_MAP.path(namespace="n", name="x"), "/api/v1/namespaces/n/configmaps/x"),
        (DEPLOYMENT.path(namespace="n"), "/apis/apps/v1/namespaces/n/deployments"),
        (DEPLOYMENT.path(), "/apis/apps/v1/deployments"),
        (
            DEPLOYMENT.path(namespace="n", name="x", subresource="status"),
            "/apis/apps/v1/namespaces/n/deployments/x/status",
        ),
        (NAMESPACE.path(name="n"), "/api/v1/namespaces/n"),
        # A name from outside must not lead to another object.
        (CONFIG_MAP.path(namespace="n", name="../secrets/x"), "/api/v1/namespaces/n/configmaps/..%2Fsecrets%2Fx"),
    ],
)
def test_paths_are_those_the_api_server_serves(path: str, expected: str) -> None:
    assert path == expected


def test_an_object_of_a_namespace_needs_its_namespace() -> None:
    with pytest.raises(ValueError, match="lives in a namespace"):
        CONFIG_MAP.path(name="x")


def test_a_reference_is_read_from_a_manifest() -> None:
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": "n", "name": "x"}}
    assert ObjectRef.of(manifest) == ObjectRef(kind=DEPLOYMENT, namespace="n", name="x")
    assert str(ObjectRef.of(manifest)) == "Deployment n/x"


def test_an_unknown_kind_is_named_in_the_error() -> None:
    with pytest.raises(LookupError, match=r"nowhere/v1.*Nothing"):
        by_manifest({"apiVersion": "nowhere/v1", "kind": "Nothing"})


def test_a_kind_is_registered_once_and_for_all() -> None:
    kind = Kind(api_version="test.example/v1", kind="Thing", plural="things")
    assert register(kind) is register(kind)
    assert by_manifest({"apiVersion": "test.example/v1", "kind": "Thing"}) == kind
    with pytest.raises(ValueError, match="already registered"):
        register(Kind(api_version="test.example/v1", kind="Thing", plural="thingies"))
