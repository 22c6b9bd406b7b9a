"""Pod fields of cluster and component that contradict each other are told before a pod fails by them."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.reconcile import problems
from tests.unit.desired.clusters import cluster

Json = dict[str, Any]
ROOT = {"securityContext": {"runAsUser": 0}}
RESTRICTED = {"podSecurity": "Restricted"}
HOOK: Json = {"hooks": {"beforeRollout": {"command": ["migrate"]}}}


def group(**fields: Any) -> Json:
    return {"workers": [{"name": "web", **fields}]}


@pytest.mark.parametrize(
    ("spec", "lines"),
    [
        ({**ROOT}, []),
        ({**ROOT, **RESTRICTED, **group(podSecurity="Compatible")}, []),
        (group(**RESTRICTED, securityContext={"runAsUser": 1000, "runAsNonRoot": True}), []),
        (
            {**ROOT, **RESTRICTED},
            ["spec.securityContext, which counts for spec.workers[web]: runAsUser 0 is root"],
        ),
        ({**RESTRICTED, **group(**ROOT)}, ["spec.workers[web].securityContext: runAsUser 0 is root"]),
        (
            {**ROOT, **group(securityContext={"runAsNonRoot": True})},
            ["spec.workers[web].securityContext: runAsUser 0 is root"],
        ),
        ({**RESTRICTED, "beat": ROOT}, ["spec.beat.securityContext: runAsUser 0 is root"]),
        (
            {**ROOT, **RESTRICTED, **HOOK, **group(podSecurity="Compatible")},
            ["spec.securityContext, which counts for spec.hooks.beforeRollout: runAsUser 0 is root"],
        ),
        ({**ROOT, **HOOK, **group(**RESTRICTED, securityContext={"runAsUser": 1000})}, []),
        (
            {**RESTRICTED, **group(securityContext={"runAsNonRoot": False})},
            ["spec.workers[web].securityContext: runAsNonRoot false is what podSecurity Restricted refuses"],
        ),
    ],
)
def test_security_contexts_that_no_kubelet_would_start(spec: Json, lines: list[str]) -> None:
    found = problems.find(cluster(spec))
    assert len(found) == len(lines)
    assert all(said in line for said, line in zip(lines, found, strict=True))


VOLUME: Json = {"volumes": [{"name": "m", "emptyDir": {}}]}
DISK: Json = {"persistence": {"size": "10Gi", "mountPath": "/data"}}


@pytest.mark.parametrize("at_cluster", [True, False])
def test_a_mount_where_the_disk_is_would_take_its_place(at_cluster: bool) -> None:
    mount: Json = {"volumeMounts": [{"name": "m", "mountPath": "/data"}]}
    spec = {**VOLUME, **mount, **group(**DISK)} if at_cluster else {**VOLUME, **group(**DISK, **mount)}
    (problem,) = problems.find(cluster(spec))
    assert problem.startswith("spec.workers[web].persistence.mountPath: /data is in volumeMounts, too")


def test_a_mount_beside_the_disk_is_no_problem() -> None:
    mount: Json = {"volumeMounts": [{"name": "m", "mountPath": "/models"}]}
    assert problems.find(cluster({**VOLUME, **mount, **group(**DISK)})) == ()
    same = {"volumeMounts": [{"name": "m", "mountPath": "/data"}]}
    assert problems.find(cluster({**VOLUME, **same})) == (), "there is no disk"
