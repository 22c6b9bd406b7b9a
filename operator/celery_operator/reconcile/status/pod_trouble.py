"""What keeps a pod from running, in words: the launcher's termination message, or what the kubelet says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from celery_operator.kube.objects import Manifest

_WAITING: Final = {
    "ErrImagePull": "ImagePullFailed",
    "ImagePullBackOff": "ImagePullFailed",
    "ErrImageNeverPull": "ImagePullFailed",
    "InvalidImageName": "ImagePullFailed",
    "CreateContainerConfigError": "ContainerConfigInvalid",
    "CreateContainerError": "ContainerConfigInvalid",
    "RunContainerError": "ContainerConfigInvalid",
}
"""The kubelet's reasons for a waiting container, by ours."""

_ADVICE: Final = {
    "ImagePullFailed": "check the image's name and imagePullSecrets",
    "ContainerConfigInvalid": "check env, envFrom, volumes and securityContext",
}
_MAX_MESSAGE: Final = 400
_REASON: Final = re.compile(r"[A-Z][A-Za-z]{0,62}")
"""What the launcher's reasons look like, also those of a later version."""
_CREDENTIALS: Final = re.compile(r"://[^/\s]*@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a pod does not run."""

    reason: str
    message: str


def find(pods: Iterable[Manifest]) -> Trouble | None:
    """The most telling trouble among the pods: what the launcher said counts more than what the kubelet says."""
    found = [trouble for pod in pods for trouble in _of_pod(pod)]
    return max(found, key=lambda trouble: trouble[0], default=(0, None))[1]


def _of_pod(pod: Manifest) -> Iterable[tuple[int, Trouble]]:
    if "deletionTimestamp" in pod["metadata"]:
        return
    status = pod.get("status", {})
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = container.get("state", {}).get("waiting") or {}
        if waiting.get("reason") in _WAITING:
            reason = _WAITING[waiting["reason"]]
            said = waiting.get("message") or f"the kubelet says {waiting['reason']}"
            yield 2, Trouble(reason=reason, message=f"{_cut(said)}; {_ADVICE[reason]}")
        if container.get("ready"):
            continue
        for state in (container.get("state", {}), container.get("lastState", {})):
            ended = state.get("terminated")
            if ended and ended.get("exitCode") != 0:
                yield _of_end(ended)
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            yield 1, Trouble(reason="PodNotScheduled", message=_cut(condition.get("message", "")))


def _of_end(ended: dict[str, Any]) -> tuple[int, Trouble]:
    said = _launcher_message(ended.get("message", ""))
    if said is not None:
        module = f" (module {said['module']})" if said.get("module") else ""
        text = f"{said.get('exception') or 'error'}{module}: {said.get('message', '')}"
        return 3, Trouble(reason=str(said["reason"]), message=_cut(text))
    if ended.get("reason") == "OOMKilled":
        return 2, Trouble(
            reason="OutOfMemory",
            message="the container exceeded its memory limit; raise resources.limits.memory or lower concurrency",
        )
    return 1, Trouble(
        reason="ContainerFailed", message=f"the container ended with exit code {ended.get('exitCode')}; see its log"
    )


def _launcher_message(text: str) -> dict[str, Any] | None:
    """The launcher's JSON line; None for anything else, which could be any program's words."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or said.get("celeryOperator") != 1:
        return None
    reason = said.get("reason")
    return said if isinstance(reason, str) and _REASON.fullmatch(reason) else None


def _cut(text: str) -> str:
    """The text without the credentials of a URL, not too long for a condition that speaks of many pods."""
    text = _CREDENTIALS.sub("://", text)
    return text if len(text) <= _MAX_MESSAGE else text[: _MAX_MESSAGE - 1] + "…"
