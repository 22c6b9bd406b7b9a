"""The operator's rights are those that its kinds need; what it really asks for is an integration test."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from celery_operator.kube.objects import EVENT, LEASE, POD, SECRET, Kind
from celery_operator.observe import kinds
from tests.unit.install.files import INSTALL, objects, of_kind

_WATCHED = {"list", "watch"}
_MARKED = {"list", "watch", "patch"}
"""Pods of groups that scale by their load get annotations."""
_CHILD = {"get", "list", "watch", "create", "patch", "delete"}


def test_the_cluster_role_grants_what_the_kinds_need_and_nothing_else() -> None:
    (role,) = of_kind(objects(INSTALL), "ClusterRole")
    custom = kinds.CELERY_CLUSTER
    expected = {_resource(kind): _MARKED if kind == POD else _CHILD for kind in kinds.CHILDREN}
    expected |= {
        _resource(custom): _WATCHED,
        f"{_resource(custom)}/status": {"patch"},
        f"{_resource(custom)}/finalizers": {"update"},
        _resource(SECRET): {"get", "create", "delete"},
        _resource(EVENT): {"create", "patch"},
    }
    assert _granted(role) == expected


def test_secrets_can_be_neither_listed_nor_watched_anywhere() -> None:
    roles = [one for kind in ("Role", "ClusterRole") for one in of_kind(objects(INSTALL), kind)]
    verbs = set().union(*(_granted(role).get("secrets", set()) for role in roles))
    assert not verbs & {"list", "watch", "update", "patch", "deletecollection", "*"}


def test_only_the_lease_is_in_the_release_namespace() -> None:
    (role,) = of_kind(objects(INSTALL), "Role")
    assert role["metadata"]["namespace"] == "celery-operator"
    assert _granted(role) == {_resource(LEASE): {"create", "get", "patch"}}
    named = [rule.get("resourceNames") for rule in role["rules"] if rule["verbs"] != ["create"]]
    assert named == [["celery-operator"]]


def _resource(kind: Kind) -> str:
    group = kind.api_version.rpartition("/")[0]
    return f"{kind.plural}.{group}" if group else kind.plural


def _granted(role: dict[str, Any]) -> dict[str, set[str]]:
    out: defaultdict[str, set[str]] = defaultdict(set)
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                name, slash, subresource = resource.partition("/")
                out[(f"{name}.{group}" if group else name) + slash + subresource] |= set(rule["verbs"])
    return dict(out)
