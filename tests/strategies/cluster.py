"""Whole CeleryClusters: each valid for the CRD, for the operator, and for Kubernetes in every child."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from celery_operator.api import API_VERSION, KIND
from celery_operator.api.cluster import MAX_NAME_LENGTH, CeleryClusterSpec
from tests.strategies import broker
from tests.strategies.beat import beats
from tests.strategies.client import clients
from tests.strategies.connection import secret_settings
from tests.strategies.extras import volumes_and_mounts
from tests.strategies.flower import flowers
from tests.strategies.hooks import all_hooks
from tests.strategies.model import Json, Objects, named, of, without
from tests.strategies.monitoring import monitors
from tests.strategies.network_policy import policies
from tests.strategies.overrides import VOLUMES, pod_fields
from tests.strategies.pod import (
    commands,
    directories,
    env_from,
    environments,
    image_pull_secrets,
    pod_security,
    pull_policies,
    templates,
)
from tests.strategies.queues import declared_queues
from tests.strategies.scalars import annotation_maps, free_values, images, labels, names, names_of_objects, spelled
from tests.strategies.scheduling import spreads
from tests.strategies.workers import worker_groups

_COMPONENTS: Final = ("workers", "beat", "flower", "monitoring")
_settings = st.fixed_dictionaries(
    {},
    optional={
        "task_track_started": st.booleans(),
        "timezone": st.sampled_from(["UTC", "Europe/Berlin"]),
        "task_routes": st.sampled_from([{"shop.*": {"queue": "default"}}, [["shop.*", {"queue": "default"}]], None]),
        "redbeat.key_prefix": st.just("$(A)$$"),
        "SHOP_OWN": free_values,
    },
)
_applications = st.sampled_from(["shop", "shop.celery", "shop.celery:application", "_a.b_1"])


def _common() -> dict[str, st.SearchStrategy[Any]]:
    """What goes with everything else."""
    return {
        "imagePullPolicy": pull_policies,
        "imagePullSecrets": image_pull_secrets,
        "command": commands,
        "workingDir": directories,
        "config": _settings,
        "configFrom": secret_settings("worker_own", "shop.token", "A"),
        "taskDelivery": st.sampled_from(["AtMostOnce", "AtLeastOnce"]),
        "env": environments,
        "envFrom": env_from,
        "serviceAccountName": names_of_objects,
        "podSecurity": pod_security,
        "podLabels": labels,
        "podAnnotations": annotation_maps,
        "topologySpreadConstraints": spreads,
        "podTemplate": templates("worker", "beat"),
        "queues": declared_queues,
        "client": clients,
        "networkPolicy": policies,
        "hooks": all_hooks,
        "suspend": st.booleans(),
        "paused": st.booleans(),
    }


@st.composite
def specs(draw: st.DrawFn) -> Json:
    """Valid specs. Root runs in those without any `podSecurity: Restricted` and `runAsNonRoot`."""
    root = draw(st.booleans())
    longest = draw(st.none() | st.integers(1, 36_000))
    base = draw(
        of(
            CeleryClusterSpec,
            {"image": images, "app": _applications},
            {**_common(), **pod_fields(may_be_root=False)},
            elsewhere=(*_COMPONENTS, *VOLUMES, "broker", "resultBackend", "maxTaskDuration"),
            most=6,
        )
    )
    if longest is not None:
        base["maxTaskDuration"] = draw(spelled(longest * 1000))
    spec = {**base, **draw(broker.everything()), **draw(volumes_and_mounts())}
    spec["workers"] = draw(named(worker_groups(base, longest, may_be_root=root), least=1, most=3))
    components = {"beat": beats(may_be_root=root), "flower": flowers(may_be_root=root)}
    for name in draw(st.lists(st.sampled_from(sorted(components)), max_size=2, unique=True)):
        spec[name] = draw(components[name])
    if "flower" in spec and draw(st.booleans()):
        spec["monitoring"] = draw(monitors)
    return _for_root(spec) if root else spec


def _for_root(spec: Json) -> Json:
    """Without what refuses root, so that every component may be it."""
    out = without(spec, "podSecurity", "securityContext")
    out["workers"] = [without(group, "podSecurity") for group in spec["workers"]]
    for name in out.keys() & {"beat", "flower"}:
        out[name] = without(out[name], "podSecurity")
    return out


def clusters() -> Objects:
    """Valid objects without a namespace."""
    return st.tuples(names(MAX_NAME_LENGTH), specs()).map(
        lambda parts: {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": parts[0]}, "spec": parts[1]}
    )
