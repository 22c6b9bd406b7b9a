"""Which provider is used, and why. Code is never run against a cluster that the user did not name for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.cache import say
from tests.cluster.current import KUBECONFIG_VARIABLE, CurrentProvider
from tests.cluster.docker import docker_answers, docker_can_have
from tests.cluster.errors import ClusterError
from tests.cluster.kind import KindProvider
from tests.cluster.local.layout import STATE
from tests.cluster.local.provider import LocalProvider
from tests.cluster.protocol import Provider
from tests.cluster.versions import KIND_NODE_IMAGE

CHOICE_VARIABLE = "CLUSTER"
_KNOWN = ("auto", "current", "kind", "local")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The chosen provider's name and the reason in words."""

    name: str
    reason: str


def choose(
    environment: Mapping[str, str],
    *,
    local_is_up: Callable[[], bool],
    docker_works: Callable[[], bool],
    node_image_exists: Callable[[], bool],
) -> Choice:
    """Decide by CLUSTER (auto, current, kind, local) and, for auto, by what this machine can do.

    A cluster of the user's own is taken only for CLUSTER=current together with CELERY_OPERATOR_KUBECONFIG; KUBECONFIG
    is not looked at. Raises ClusterError when the named choice is impossible.
    """
    wanted = environment.get(CHOICE_VARIABLE) or "auto"
    if wanted not in _KNOWN:
        raise ClusterError(f"{CHOICE_VARIABLE}={wanted} is unknown; it may be one of {', '.join(_KNOWN)}")
    if wanted == "current":
        named = environment.get(KUBECONFIG_VARIABLE)
        if not named:
            raise ClusterError(f"{CHOICE_VARIABLE}=current needs {KUBECONFIG_VARIABLE}, the path of a kubeconfig")
        if not Path(named).is_file():
            raise ClusterError(f"{KUBECONFIG_VARIABLE} names {named}, and there is no such file")
        return Choice(name="current", reason=f"{CHOICE_VARIABLE}=current and {KUBECONFIG_VARIABLE}={named}")
    if wanted != "auto":
        return Choice(name=wanted, reason=f"{CHOICE_VARIABLE}={wanted}")
    if local_is_up():
        return Choice(name="local", reason="a local cluster is on this machine already")
    if not docker_works():
        return Choice(name="local", reason="no Docker answers on this machine, so kind cannot be used")
    if not node_image_exists():
        return Choice(name="local", reason=f"Docker cannot pull {KIND_NODE_IMAGE}, so kind cannot be used")
    return Choice(name="kind", reason="Docker answers and has the node image")


def provider() -> Provider:
    """The provider that the environment and this machine ask for; says on stderr which one and why."""
    choice = choose(
        os.environ,
        local_is_up=STATE.exists,
        docker_works=docker_answers,
        node_image_exists=lambda: docker_can_have(KIND_NODE_IMAGE),
    )
    say(f"provider {choice.name}: {choice.reason}")
    if choice.name == "current":
        return CurrentProvider(Path(os.environ[KUBECONFIG_VARIABLE]).absolute())
    return KindProvider() if choice.name == "kind" else LocalProvider()
