"""The Job of `hooks.beforeRollout`: one run of a program in the application's image, for one image and config."""

from __future__ import annotations

import math
from typing import Any, Final, Literal

from celery_operator.api import GROUP
from celery_operator.api.cluster import CeleryCluster, CeleryClusterSpec
from celery_operator.api.hooks import BeforeRollout
from celery_operator.api.overrides import Overrides
from celery_operator.api.probes import Probes
from celery_operator.api.scalars import seconds
from celery_operator.desired import celery_command, launch_settings, names, pod
from celery_operator.desired.digest import digest
from celery_operator.desired.metadata import child_metadata
from celery_operator.desired.pod import CeleryContainer, Surroundings

COMPONENT: Final = "hook"
GENERATION_ANNOTATION: Final = f"{GROUP}/generation"
"""The CeleryCluster's metadata.generation when the Job was made: a later one means that the spec was edited since."""
_DEFAULT_TIMEOUT: Final = "10m"
_GRACE_SECONDS: Final = 30
_EXEC: Final = "exec"
"""What the launcher runs another program than Celery for."""


def wanted(spec: CeleryClusterSpec) -> BeforeRollout | None:
    """The hook, if there is one."""
    return None if spec.hooks is None else spec.hooks.before_rollout


def content_hash(spec: CeleryClusterSpec, hook: BeforeRollout) -> str:
    """What the hook has to run for, once: another image, another config or another command."""
    return digest([spec.image, spec.config or {}, hook.command])


def pod_security(spec: CeleryClusterSpec) -> Literal["Compatible", "Restricted"] | None:
    """The cluster's podSecurity; where it says none, what all worker groups and beat say alike.

    A namespace that takes nothing but their restricted pods would refuse the hook's otherwise. Where the cluster's
    securityContext asks for root, the hook is the one that it is for.
    """
    context = spec.security_context
    asks_for_root = context is not None and (context.run_as_user == 0 or context.run_as_non_root is False)
    if spec.pod_security is not None or asks_for_root:
        return spec.pod_security
    asked = {each.pod_security for each in (*spec.workers, *([spec.beat] if spec.beat is not None else []))}
    return asked.pop() if len(asked) == 1 else None


def build(cluster: CeleryCluster, hook: BeforeRollout, surroundings: Surroundings) -> dict[str, Any]:
    """The Job, to be created once: its template cannot be changed. Raises MergeError (see pod.template).

    A pod that a node drain takes does not count as a failed try: nobody's migration was at fault.
    """
    name = names.before_rollout(cluster.metadata.name, content_hash(cluster.spec, hook))
    container = CeleryContainer(
        component=COMPONENT,
        group=None,
        command=celery_command.launcher(cluster.spec, _EXEC),
        args=list(hook.command),
        settings=launch_settings.hook(cluster),
        resources=hook.resources,
        pod_template=None,
        overrides=Overrides(pod_security=pod_security(cluster.spec)),
        grace_seconds=_GRACE_SECONDS,
        probes=Probes(disabled=True),
        restart_policy="Never",
    )
    annotations = {GENERATION_ANNOTATION: str(cluster.metadata.generation)}
    disruption = {"type": "DisruptionTarget", "status": "True"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": child_metadata(cluster, name, component=COMPONENT, annotations=annotations),
        "spec": {
            "backoffLimit": hook.retries or 0,
            "activeDeadlineSeconds": max(1, math.ceil(seconds(hook.timeout or _DEFAULT_TIMEOUT))),
            "podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [disruption]}]},
            "template": _ending(pod.template(cluster, container, name, surroundings)),
        },
    }


def _ending(template: dict[str, Any]) -> dict[str, Any]:
    """With what `podTemplate` puts beside the hook as sidecars: a Job has not ended while a container runs."""
    spec = template["spec"]
    beside = [{**each, "restartPolicy": "Always"} for each in spec["containers"] if each["name"] != COMPONENT]
    if not beside:
        return template
    hook = [each for each in spec["containers"] if each["name"] == COMPONENT]
    first = [*beside, *spec.get("initContainers", [])]
    return {**template, "spec": {**spec, "containers": hook, "initContainers": first}}
