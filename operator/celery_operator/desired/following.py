"""What follows only when something else rolls the pods: the runtime's version, whether workers mingle, and how they
are spread where nobody says it.

Neither a new operator nor a fleet that grows past a threshold is a reason to end a running task.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from celery_operator.desired import launch_settings, runtime_configmap, scheduling
from celery_operator.desired.digest import digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the pods of a child have now and keep, because nothing else of their template would change."""

    volume: dict[str, Any]
    """The runtime volume, as we would write it."""
    mingle: str | None
    """Value of the mingle variable; None where the pods have no such variable."""
    spread: bool = False
    """Whether they are spread by a constraint; those of an operator that knew no default are not."""


def read(template: dict[str, Any]) -> Kept | None:
    """What a pod template of ours, live or desired, has of it; None where it has no runtime volume."""
    volume = runtime_configmap.live_volume(template)
    if volume is None:
        return None
    return Kept(volume=volume, mingle=_mingle(template), spread=bool(template["spec"].get(scheduling.SPREAD)))


def to_keep(live: Kept, applied: Kept | None) -> Kept | None:
    """What a child keeps of what follows; None where it must not, and gets what is desired.

    What our last apply got, if that is known: a change since then is drift. A mingle value that the launcher does not
    know is drift in any case.
    """
    kept = live if applied is None else applied
    return kept if kept.mingle in (None, launch_settings.MINGLE_ON, launch_settings.MINGLE_OFF) else None


def template_hash(template: dict[str, Any], *, mingle_follows: bool, spread_follows: bool = False) -> str:
    """The hash of a pod template without what follows, so that it alone changes no hash.

    `mingle_follows` and `spread_follows` are false where the user said it: then a change is one like any other.
    """
    spec = template["spec"]
    if spread_follows:
        spec = {key: value for key, value in spec.items() if key != scheduling.SPREAD}
    volumes = [volume for volume in spec.get("volumes", []) if volume.get("name") != runtime_configmap.VOLUME]
    containers = [_without_mingle(each) for each in spec["containers"]] if mingle_follows else spec["containers"]
    return digest({**template, "spec": {**spec, "volumes": volumes, "containers": containers}})


def _mingle(template: dict[str, Any]) -> str | None:
    for container in template["spec"]["containers"]:
        for variable in container.get("env") or []:
            if variable["name"] == launch_settings.MINGLE_VARIABLE:
                return str(variable.get("value"))
    return None


def _without_mingle(container: dict[str, Any]) -> dict[str, Any]:
    environment = container.get("env") or []
    return {**container, "env": [each for each in environment if each["name"] != launch_settings.MINGLE_VARIABLE]}
