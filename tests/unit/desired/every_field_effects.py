"""What each field changes in the children, and which pods are replaced for it: the promises of the descriptions.

Rendered is a cluster that has every component, so that a change could reach any child, with a second worker group that
no row is about.
"""

from __future__ import annotations

from typing import Any, Final

from celery_operator.desired import children, hook_job
from celery_operator.desired.metadata import COMPONENT_LABEL, GROUP_LABEL, TEMPLATE_HASH_ANNOTATION
from tests.unit.desired.clusters import WITH_REDIS, cluster

Json = dict[str, Any]
Effect = dict[str, str]
"""By child (kind, and worker group or component): what happens to it."""

MADE, GONE = "made", "gone"
ROLLS = "rolls"
"""Its pods are replaced."""
CHANGES = "changes"
"""Written in place: no pod is replaced."""
FOLLOWS = "follows"
"""The next pods are other ones, and no pod is replaced for it."""
RUNS = "runs"
"""The hook's Job runs once more."""

_AROUND: Final[Json] = {
    "beat": {},
    "flower": {},
    "client": {},
    "networkPolicy": {},
    "resultBackend": {"redis": {}},
    "hooks": {"beforeRollout": {"command": ["migrate"]}},
}
_OTHER: Final = {"name": "other"}
_WORKLOADS: Final = ("Deployment", "StatefulSet")


def effect(without: Json, with_it: Json) -> Effect:
    """What becomes of each child when the first spec is replaced by the second; children that stay are left out."""
    said = {*without, *with_it}
    before, after = (_children({**_besides(said), **spec, "workers": _groups(spec)}) for spec in (without, with_it))
    found = {name: _became(before.get(name), after.get(name)) for name in sorted(before.keys() | after.keys())}
    return {name: became for name, became in found.items() if became is not None}


def _besides(said: set[str]) -> Json:
    sides = {"resultBackend"} if "broker" in said else set()
    return {name: value for name, value in _AROUND.items() if name not in said | sides}


def _groups(spec: Json) -> list[Json]:
    return [*spec.get("workers", [{"name": "web"}]), _OTHER]


def _children(spec: Json) -> dict[str, Json]:
    parsed = cluster(spec)
    hook = hook_job.wanted(parsed.spec)
    jobs = [] if hook is None else [hook_job.build(parsed, hook, WITH_REDIS)]
    return {_name(manifest): manifest for manifest in (*children.build(parsed, WITH_REDIS), *jobs)}


def _name(manifest: Json) -> str:
    labels = manifest["metadata"]["labels"]
    who = labels.get(GROUP_LABEL) or labels.get(COMPONENT_LABEL) or manifest["metadata"]["name"]
    return f"{manifest['kind']} {who}"


def _became(before: Json | None, after: Json | None) -> str | None:
    if before is None or after is None:
        return MADE if before is None else GONE
    if after["kind"] == "Job":
        # It is made once for each name, and never written again.
        return RUNS if before["metadata"]["name"] != after["metadata"]["name"] else None
    if before == after:
        return None
    if after["kind"] not in _WORKLOADS or before["spec"]["template"] == after["spec"]["template"]:
        return CHANGES
    return FOLLOWS if _hash(before) is not None and _hash(before) == _hash(after) else ROLLS


def _hash(manifest: Json) -> str | None:
    value = manifest["metadata"].get("annotations", {}).get(TEMPLATE_HASH_ANNOTATION)
    return None if value is None else str(value)


def _of(what: str, *names: str) -> Effect:
    return dict.fromkeys(names, what)


WEB, OTHER, BEAT, FLOWER, REDIS = (
    "Deployment web", "Deployment other", "StatefulSet beat", "Deployment flower", "StatefulSet redis",
)  # fmt: skip
BUDGET, CLIENT, HOOK = "PodDisruptionBudget web", "ConfigMap shop-client", "Job hook"
_POLICIES: Final = tuple(f"NetworkPolicy {name}" for name in ("worker", "beat", "flower", "hook"))
_WORKERS: Final = _of(ROLLS, WEB, OTHER)
_APPLICATION: Final = _WORKERS | _of(ROLLS, BEAT)
_ALL: Final = _APPLICATION | _of(ROLLS, FLOWER)
_WITH_REDIS: Final = _ALL | _of(ROLLS, REDIS)
_SETTINGS: Final = _ALL | _of(CHANGES, CLIENT)
_OTHER_SERVER: Final = _SETTINGS | _of(CHANGES, *_POLICIES)
_REDIS_COMES: Final = _OTHER_SERVER | _of(MADE, REDIS, "Service redis", "NetworkPolicy redis")
_CLAIM: Final = "PersistentVolumeClaim {}".format
NOTHING: Final[Effect] = {}

EFFECTS: Final[dict[str, Effect]] = {
    # The application's pods; Flower has an image of its own, unless it loads the application.
    "*": _APPLICATION,
    "image": _APPLICATION | _of(RUNS, HOOK),
    "config": _SETTINGS | _of(RUNS, HOOK),
    "configFrom*": _SETTINGS,
    "taskDelivery": _SETTINGS,
    "maxTaskDuration": _SETTINGS,
    "queues*": _SETTINGS,
    # Whatever is a pod.
    **dict.fromkeys(("imagePullSecrets*", "podLabels", "podAnnotations"), _WITH_REDIS),
    **dict.fromkeys(("nodeSelector", "tolerations*", "priorityClassName"), _WITH_REDIS),
    **dict.fromkeys(("affinity", "runtimeClassName", "hostAliases*", "securityContext*"), _ALL),
    **dict.fromkeys(("serviceAccountName", "podSecurity"), _ALL),
    "topologySpreadConstraints*": _WORKERS,
    # Connections: who speaks with the servers, and what lets them.
    **dict.fromkeys(("broker.*", "resultBackend.*"), _SETTINGS),
    **dict.fromkeys(("broker.parts.port", "resultBackend.parts.port"), _OTHER_SERVER),
    **dict.fromkeys(("resultBackend.url", "resultBackend.sameAsBroker"), _OTHER_SERVER),
    **dict.fromkeys(("resultBackend.parts", "resultBackend.parts.scheme"), _OTHER_SERVER),
    "resultBackend.serviceBinding": _OTHER_SERVER,
    **dict.fromkeys(("broker", "broker.redis", "resultBackend", "resultBackend.redis"), _REDIS_COMES),
    **dict.fromkeys(("broker.redis.*", "resultBackend.redis.*"), _of(ROLLS, REDIS)),
    **dict.fromkeys(
        ("broker.redis.storage", "resultBackend.redis.storage"), _of(MADE, _CLAIM("redis")) | _of(ROLLS, REDIS)
    ),
    **dict.fromkeys(("broker.redis.storage.*", "resultBackend.redis.storage.*"), _of(CHANGES, _CLAIM("redis"))),
    "broker.management*": _of(ROLLS, FLOWER) | _of(CHANGES, "NetworkPolicy flower"),
    "broker.management.urlFrom.secretKeyRef.*": _of(ROLLS, FLOWER),
    # One group, and never another one.
    "workers": _of(MADE, "Deployment mail"),
    "workers[].*": _of(ROLLS, WEB),
    "workers[].name": _of(MADE, "Deployment mail") | _of(GONE, WEB),
    "workers[].replicas": _of(CHANGES, WEB) | _of(MADE, BUDGET),
    "workers[].externalScaling": _of(MADE, BUDGET),
    "workers[].autoscaling": _of(CHANGES, WEB) | _of(MADE, BUDGET),
    "workers[].autoscaling.*": NOTHING,
    "workers[].autoscaling.minReplicas": _of(CHANGES, WEB),
    "workers[].autoscaling.maxReplicas": _of(FOLLOWS, WEB, OTHER),
    "workers[].strategy*": _of(CHANGES, WEB),
    "workers[].disruptionBudget*": _of(MADE, BUDGET),
    "workers[].disruptionBudget.disabled": _of(GONE, BUDGET),
    "workers[].disruptionBudget.doNotDisrupt": _of(ROLLS, WEB),
    # Beat.
    "beat": _of(MADE, BEAT, "NetworkPolicy beat"),
    "beat.*": _of(ROLLS, BEAT),
    "beat.storage": _of(MADE, _CLAIM("beat")) | _of(ROLLS, BEAT),
    "beat.storage.*": _of(CHANGES, _CLAIM("beat")),
    # Flower and what leads to it.
    "flower": _of(MADE, FLOWER, "Service flower", "NetworkPolicy flower"),
    "flower.*": _of(ROLLS, FLOWER),
    "flower.auth.external": NOTHING,
    "flower.auth.oauth": _of(ROLLS, FLOWER) | _of(CHANGES, "NetworkPolicy flower"),
    "flower.replicas": _of(CHANGES, FLOWER),
    "flower.service*": _of(CHANGES, "Service flower"),
    "flower.serviceAccountName": _of(ROLLS, FLOWER),
    "flower.service.type": _of(CHANGES, "Service flower", "NetworkPolicy flower"),
    "flower.ingress": _of(ROLLS, FLOWER) | _of(MADE, "Ingress flower") | _of(CHANGES, "NetworkPolicy flower"),
    "flower.ingress.*": _of(CHANGES, "Ingress flower"),
    "flower.httpRoute": _of(ROLLS, FLOWER) | _of(MADE, "HTTPRoute flower") | _of(CHANGES, "NetworkPolicy flower"),
    "flower.httpRoute.*": _of(CHANGES, "HTTPRoute flower"),
    "flower.persistence": _of(MADE, _CLAIM("flower")) | _of(ROLLS, FLOWER),
    "flower.persistence.*": _of(CHANGES, _CLAIM("flower")),
    # What no pod is replaced for.
    "client": _of(MADE, CLIENT),
    **dict.fromkeys(("monitoring", "monitoring.podMonitor"), _of(MADE, "PodMonitor flower")),
    "monitoring.podMonitor.*": _of(CHANGES, "PodMonitor flower"),
    "monitoring.serviceMonitor": _of(MADE, "ServiceMonitor flower"),
    "monitoring.serviceMonitor.*": _of(CHANGES, "ServiceMonitor flower"),
    "networkPolicy": _of(MADE, *_POLICIES, "NetworkPolicy redis"),
    "networkPolicy.*": _of(CHANGES, *_POLICIES),
    "networkPolicy.extraIngress": _of(CHANGES, *_POLICIES[:3]),
    **dict.fromkeys(("suspend", "paused"), NOTHING),
    **dict.fromkeys(("hooks", "hooks.beforeRollout"), _of(MADE, HOOK, "NetworkPolicy hook")),
    "hooks.beforeRollout.*": NOTHING,
    "hooks.beforeRollout.command": _of(RUNS, HOOK),
}
"""By field, or by the beginning of fields with `*` after it, the longest of which counts."""


def expected(path: str) -> Effect:
    """What the field promises. Raises LookupError for one that nothing is said of."""
    found = [key for key in EFFECTS if key == path or (key.endswith("*") and path.startswith(key[:-1]))]
    if not found:
        raise LookupError(path)
    return EFFECTS[max(found, key=lambda key: (key == path, len(key)))]
