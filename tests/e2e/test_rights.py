"""Least privilege: the operator's ServiceAccount may do what is listed here and nothing else."""

from __future__ import annotations

from tests.e2e.conftest import QuickStart
from tests.e2e.release import NAME, USER, Release

Right = tuple[str, str, str]
"""Group, resource (with the name, where it is limited to one), verb."""

CHILD_VERBS = ("get", "list", "watch", "create", "patch", "delete")
RESOURCES: dict[tuple[str, str], tuple[str, ...]] = {
    ("celery-operator.dev", "celeryclusters"): ("list", "watch"),
    ("celery-operator.dev", "celeryclusters/status"): ("patch",),
    ("celery-operator.dev", "celeryclusters/finalizers"): ("update",),
    ("apps", "deployments"): CHILD_VERBS,
    ("apps", "statefulsets"): CHILD_VERBS,
    ("batch", "jobs"): CHILD_VERBS,
    ("gateway.networking.k8s.io", "httproutes"): CHILD_VERBS,
    ("monitoring.coreos.com", "podmonitors"): CHILD_VERBS,
    ("monitoring.coreos.com", "servicemonitors"): CHILD_VERBS,
    ("networking.k8s.io", "ingresses"): CHILD_VERBS,
    ("networking.k8s.io", "networkpolicies"): CHILD_VERBS,
    ("policy", "poddisruptionbudgets"): CHILD_VERBS,
    ("", "configmaps"): CHILD_VERBS,
    ("", "persistentvolumeclaims"): CHILD_VERBS,
    ("", "serviceaccounts"): CHILD_VERBS,
    ("", "services"): CHILD_VERBS,
    ("", "pods"): ("list", "watch", "patch"),  # annotations of drained ones; no exec, no logs
    ("", "secrets"): ("get", "create", "delete"),  # by name: never listed, never watched
    ("events.k8s.io", "events"): ("create", "patch"),
}
EVERYWHERE = {(group, name, verb) for (group, name), verbs in RESOURCES.items() for verb in verbs}
LEASE = ("coordination.k8s.io", "leases")
AT_HOME = {(*LEASE, "create")} | {(LEASE[0], f"{LEASE[1]}={NAME}", verb) for verb in ("get", "patch")}


def _rights(release: Release, user: str, namespace: str) -> set[Right]:
    """What a user may do in a namespace, by `kubectl auth can-i --list`'s own question."""
    return {
        (group, resource + "".join(f"={name}" for name in rule.get("resourceNames") or []), verb)
        for rule in release.api.rules_of(user, namespace)
        for group in rule.get("apiGroups") or []
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _of_every_account(release: Release, namespace: str) -> set[Right]:
    """What Kubernetes allows to every ServiceAccount, such as asking what it may do."""
    return _rights(release, f"system:serviceaccount:{namespace}:nobody", namespace)


def test_rights_in_a_served_namespace(quick_start: QuickStart, release: Release) -> None:
    namespace = quick_start.space.name
    assert _rights(release, USER, namespace) - _of_every_account(release, namespace) == EVERYWHERE


def test_rights_in_its_own_namespace_add_the_lease_alone(release: Release) -> None:
    assert _rights(release, USER, NAME) - _of_every_account(release, NAME) == EVERYWHERE | AT_HOME


def test_application_pods_have_no_token(quick_start: QuickStart) -> None:
    for component in ("worker", "beat", "redis"):
        for pod in quick_start.space.pods(quick_start.name, component):
            assert pod["spec"]["automountServiceAccountToken"] is False
            mounts = [mount["mountPath"] for mount in pod["spec"]["containers"][0]["volumeMounts"]]
            assert not [path for path in mounts if "serviceaccount" in path]
