"""What keeps a pod from running, in words: the launcher's termination message, or what the kubelet says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
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

_SEE_LOG: Final = "see its log (kubectl logs --previous)"
_ADVICE: Final = {
    "ImagePullFailed": "check the image's name and imagePullSecrets",
    "ContainerConfigInvalid": "check env, envFrom, volumes and securityContext",
    "OutOfMemory": "raise resources.limits.memory or lower concurrency",
    "PodNotScheduled": "add nodes, or relax resources.requests, nodeSelector, affinity or tolerations",
    "AppImportFailed": f"mend the application's code or image; {_SEE_LOG}",
    "AppNotFound": "check spec.app, and that the image holds that module",
    "CeleryMissing": "install celery in the image",
    "UnsupportedVersion": "build the image with a Celery version that is supported",
    "ConfigInvalid": "correct spec.config or the application's own settings",
    "PortTaken": "choose another port with probes.port",
    "StartFailed": _SEE_LOG,
}
"""What to do, by our reasons and the launcher's."""
_KILLED: Final = 137
"""Exit code after SIGKILL: 128 + 9."""
_ENDED: Final = ("Succeeded", "Failed")
"""Phases of pods that others have taken the place of: evicted, or of a node that was shut down. As records they stay
for weeks, and would be the trouble of every later rollout."""
_MAX_MESSAGE: Final = 400
_REASON: Final = re.compile(r"[A-Z][A-Za-z]{0,62}")
"""What the launcher's reasons look like, also those of a later version."""
_CREDENTIALS: Final = re.compile(r"://\S{1,4096}@")
"""From a scheme to the last @ of the same word: passwords hold unescaped @, / and : too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a pod does not run."""

    reason: str
    message: str


_ENDED_IN_PEACE: Final = Trouble(
    reason="ContainerFailed",
    message=(
        "the container ends again and again without an error, by a failed liveness probe if its Events say so; see "
        f"kubectl describe pod, and {_SEE_LOG}"
    ),
)
"""A worker that the kubelet stops ends like one that was asked to: the exit code is 0."""


def find(pods: Iterable[Manifest]) -> Trouble | None:
    """The most telling trouble among the pods: what the launcher said counts more than what the kubelet says.

    Among equals it is that of the container that was restarted most often, and the number is told.
    """
    found = [trouble for pod in pods for trouble in _of_pod(pod)]
    _, restarts, trouble = max(found, key=lambda one: (one[0], one[1], one[2].message), default=(0, 0, None))
    if trouble is None or restarts == 0:
        return trouble
    return replace(trouble, message=f"{trouble.message} (restarted {restarts} {'time' if restarts == 1 else 'times'})")


def _of_pod(pod: Manifest) -> Iterator[tuple[int, int, Trouble]]:
    """Troubles with their rank and the restarts of the container."""
    status = pod.get("status", {})
    if "deletionTimestamp" in pod["metadata"] or status.get("phase") in _ENDED:
        return
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        restarts = container.get("restartCount") or 0
        waiting = container.get("state", {}).get("waiting") or {}
        if waiting.get("reason") in _WAITING:
            said = waiting.get("message") or f"the kubelet says {waiting['reason']}"
            yield 2, restarts, _trouble(_WAITING[waiting["reason"]], said)
        if container.get("ready"):
            continue
        for state in (container.get("state", {}), container.get("lastState", {})):
            ended = state.get("terminated")
            if ended and ended.get("exitCode") != 0:
                rank, trouble = _of_end(ended)
                yield rank, restarts, trouble
        if waiting.get("reason") == "CrashLoopBackOff" and _ended_in_peace(container):
            yield 1, restarts, _ENDED_IN_PEACE
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            yield 1, 0, _trouble("PodNotScheduled", condition.get("message") or "no node was found for a pod")


def _of_end(ended: dict[str, Any]) -> tuple[int, Trouble]:
    said = _launcher_message(ended.get("message", ""))
    if said is not None:
        module = f" (module {said['module']})" if said.get("module") else ""
        text = f"{said.get('exception') or 'error'}{module}: {said.get('message', '')}"
        return 3, _trouble(str(said["reason"]), text)
    if ended.get("reason") == "OOMKilled":
        return 2, _trouble("OutOfMemory", "the container exceeded its memory limit")
    code = ended.get("exitCode")
    if code == _KILLED:
        text = "the container was killed (exit code 137), by a failed liveness probe if its Events say so"
        return 1, Trouble(reason="ContainerFailed", message=f"{text}; see kubectl describe pod, and {_SEE_LOG}")
    return 1, Trouble(reason="ContainerFailed", message=f"the container ended with exit code {code}; {_SEE_LOG}")


def _ended_in_peace(container: dict[str, Any]) -> bool:
    return ((container.get("lastState") or {}).get("terminated") or {}).get("exitCode") == 0


def _trouble(reason: str, said: str) -> Trouble:
    """What was said, and what to do."""
    return Trouble(reason=reason, message=f"{_cut(said)}; {_ADVICE.get(reason, _SEE_LOG)}")


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
