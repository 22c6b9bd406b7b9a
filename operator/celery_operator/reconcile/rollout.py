"""The order of a rollout, decided from what is live: workers first, beat when every one of them is available."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from celery_operator.desired import launch_settings
from celery_operator.desired.metadata import GROUP_LABEL, TEMPLATE_HASH_ANNOTATION
from celery_operator.kube.objects import DEPLOYMENT, Manifest, ObjectRef

_COMPLETE: Final = "NewReplicaSetAvailable"
"""Reason of `Progressing` once all pods of the newest template were available; it stays when a pod fails later."""
_DEADLINE_EXCEEDED: Final = "ProgressDeadlineExceeded"
_ONLY_BEATS: Final = ("beat", "probePort")
"""The launcher's settings that concern nobody but beat."""
_DEFAULTS: Final = {"fieldRef": ("apiVersion", "v1"), "resourceFieldRef": ("divisor", "0")}
"""What the API server adds to the source of a variable (k8s.io/kubernetes/pkg/apis/core/v1/defaults.go)."""


def template_hash(manifest: Manifest) -> str | None:
    """The hash of the pod template that a child was last applied with; None for one that we never applied."""
    value = (manifest["metadata"].get("annotations") or {}).get(TEMPLATE_HASH_ANNOTATION)
    return None if value is None else str(value)


def unfinished(desired: list[Manifest], live: Mapping[ObjectRef, Manifest]) -> tuple[str, ...]:
    """The worker groups that have to change or are changing, in words, in the order of the spec.

    A change of the number of pods is no rollout, and neither is a pod that failed after its rollout was complete.
    """
    return tuple(_unfinished(desired, live))


def shared(child: Manifest, container: str) -> dict[str, Any]:
    """What a child's pods have in common with those of other components, live or desired: code and configuration.

    What the API server adds to a live one is left out, and so are the hashes of what is read from Secrets.
    """
    pods = child["spec"]["template"]["spec"]["containers"]
    own: dict[str, Any] = next((each for each in pods if each["name"] == container), {})
    environment = {each["name"]: _value(each) for each in own.get("env") or []}
    return {
        "image": own.get("image"),
        "command": own.get("command"),
        "app": (own.get("args") or [])[:2],  # -A and its value
        "workingDir": own.get("workingDir"),
        "envFrom": [_without_defaults(source) for source in own.get("envFrom") or []],
        "env": environment,
    }


def failed(deployment: Manifest) -> bool:
    """Whether Kubernetes has given up hope for the rollout in progress; it goes on trying all the same."""
    condition = _progressing(deployment)
    return condition.get("status") == "False" and condition.get("reason") == _DEADLINE_EXCEEDED


def _unfinished(desired: list[Manifest], live: Mapping[ObjectRef, Manifest]) -> Iterator[str]:
    for manifest in desired:
        ref, group = ObjectRef.of(manifest), manifest["metadata"]["labels"].get(GROUP_LABEL)
        if ref.kind != DEPLOYMENT or group is None:
            continue
        found = live.get(ref)
        if found is None or template_hash(found) != template_hash(manifest):
            yield f'worker group "{group}" is about to change'
        elif failed(found):
            yield f'the rollout of worker group "{group}" has failed'
        elif not _complete(found):
            yield f'worker group "{group}" is rolling out'


def _value(variable: dict[str, Any]) -> Any:
    if variable["name"] == launch_settings.VARIABLE:
        return _shared_settings(variable.get("value"))
    return variable.get("value") or "" if "valueFrom" not in variable else _without_defaults(variable["valueFrom"])


def _shared_settings(text: Any) -> Any:
    """The settings without beat's own; the text itself where somebody wrote what is no JSON object."""
    try:
        settings = json.loads(text)
    except (TypeError, ValueError):
        return text
    if not isinstance(settings, dict):
        return text
    return {key: value for key, value in settings.items() if key not in _ONLY_BEATS}


def _without_defaults(source: dict[str, Any]) -> dict[str, Any]:
    """A source of variables without what the API server fills in, or leaves out because it is empty."""
    out = {key: value for key, value in source.items() if value not in (None, "")}
    for kind, default in _DEFAULTS.items():
        if isinstance(out.get(kind), dict):
            out[kind] = {key: value for key, value in out[kind].items() if (key, value) != default}
    return out


def _complete(deployment: Manifest) -> bool:
    status, spec = deployment.get("status") or {}, deployment.get("spec") or {}
    if (status.get("observedGeneration") or 0) < deployment["metadata"].get("generation", 0):
        return False
    wanted = spec.get("replicas", 1)
    replicas, updated = status.get("replicas") or 0, status.get("updatedReplicas") or 0
    if replicas != updated:
        return False
    enough = updated >= wanted and (status.get("availableReplicas") or 0) >= wanted
    return enough or _progressing(deployment).get("reason") == _COMPLETE


def _progressing(deployment: Manifest) -> dict[str, Any]:
    conditions = (deployment.get("status") or {}).get("conditions") or []
    return next((condition for condition in conditions if condition.get("type") == "Progressing"), {})
