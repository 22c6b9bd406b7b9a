"""The pod fields that the cluster and its components share."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.strategies import scheduling
from tests.strategies.extras import containers, security_contexts
from tests.strategies.pod import (
    commands,
    directories,
    env_from,
    environments,
    image_pull_secrets,
    pod_security,
    pull_policies,
)
from tests.strategies.scalars import annotation_maps, images, labels, names_of_objects

VOLUMES = ("volumes", "volumeMounts")
"""Fields that `volumes_and_mounts` draws together."""


def pod_fields(*, may_be_root: bool) -> dict[str, st.SearchStrategy[Any]]:
    """The fields of `PodFields` but VOLUMES."""
    return {
        **scheduling.FIELDS,
        "initContainers": containers("init"),
        "sidecars": containers("side"),
        "securityContext": security_contexts(may_be_root=may_be_root),
    }


def overrides(*, may_be_root: bool) -> dict[str, st.SearchStrategy[Any]]:
    """The fields of `Overrides` but VOLUMES."""
    return {
        **pod_fields(may_be_root=may_be_root),
        "image": images,
        "imagePullPolicy": pull_policies,
        "imagePullSecrets": image_pull_secrets,
        "command": commands,
        "workingDir": directories,
        "env": environments,
        "envFrom": env_from,
        "serviceAccountName": names_of_objects,
        "podSecurity": pod_security,
        "podLabels": labels,
        "podAnnotations": annotation_maps,
    }
