"""The pod template that workers and beat share: environment, security, probes, and the users' `podTemplate`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from celery_operator.api.cluster import CeleryCluster
from celery_operator.api.overrides import Overrides
from celery_operator.api.pod import FREE_LABELS, URL_VARIABLES, PodTemplate, Resources
from celery_operator.api.probes import Probes
from celery_operator.desired import (
    component,
    connections,
    extra_containers,
    launch_settings,
    names,
    probes,
    runtime_configmap,
    scheduling,
    tls_files,
)
from celery_operator.desired.component import Component
from celery_operator.desired.following import Kept
from celery_operator.desired.metadata import REFERENCES_HASH_ANNOTATION, labels
from celery_operator.desired.platform import Platform
from celery_operator.desired.runtime_configmap import Runtime
from celery_operator.desired.strategic_merge import PATCH_DIRECTIVE, MergeError, merge

COMPONENTS: Final = frozenset({"worker", "beat", "flower", "redis", "hook"})
"""Names of the components, and of their containers."""
RESTARTED_BY: Final = "celery-operator.dev/redis-secret"
_OWNED_CONTAINER_KEYS: Final = frozenset({"name", "command", "args"})
_OWNED_POD_KEYS: Final = {
    "restartPolicy": "belongs to the operator; remove it",
    "terminationGracePeriodSeconds": "belongs to the operator; use shutdown.gracePeriod of the worker group",
}
_OWNED_PROBES: Final = frozenset({"startupProbe", "livenessProbe", "readinessProbe"})
_INSTEAD: Final = {
    "worker": ("use spec.command or extraArgs", "use the probes of the worker group"),
    "beat": ("use spec.command", "use the probes of spec.beat"),
    "flower": ("use extraArgs of spec.flower", "Flower's own are asked for its page /healthcheck; remove it"),
    "hook": ("use the command of spec.hooks.beforeRollout", "a Job is asked for nothing; remove it"),
}
"""By component: what to use in place of the command line's and the probes' own fields."""
_IDENTITY: Final = {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace", "POD_UID": "metadata.uid"}
"""The pod's own fields that every container knows, by the names of their variables."""
_NO_DIRECTIVE: Final = "$patch would remove what the operator needs here; name the fields to change"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a pod template depends on besides the CeleryCluster itself."""

    runtime: Runtime
    kept: Mapping[str, Kept] = field(default_factory=dict)
    """What a child (by name) keeps, because nothing but what follows would change."""
    redis_secret_uid: str | None = None
    """Identity of the managed Redis' password: a new password must reach every pod."""
    leaves_redis: bool = False
    """Whether pods still work with a managed Redis that the spec wants no more."""
    references_hashes: Mapping[str, str] = field(default_factory=dict)
    """By child: of the data that its pods read from Secrets and ConfigMaps: a rotated credential rolls them."""
    platform: Platform = field(default_factory=Platform)

    def runtime_volume(self, cluster: str, child: str) -> dict[str, Any]:
        """The volume with the runtime for a child of the cluster."""
        current = names.runtime(cluster, self.runtime.content_hash)
        kept = self.kept.get(child)
        return runtime_configmap.volume(current, self.runtime) if kept is None else kept.volume


@dataclass(frozen=True, slots=True, kw_only=True)
class CeleryContainer:
    """What differs between the containers of workers and beat."""

    component: str
    group: str | None
    command: list[str]
    args: list[str]
    settings: dict[str, Any]
    resources: Resources | None
    pod_template: PodTemplate | None
    grace_seconds: int
    overrides: Overrides | None = None
    """What the component sets for its own pods; None where only the cluster's settings count."""
    probes: Probes | None = None
    mingle: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[dict[str, Any], ...] = ()
    volume_mounts: tuple[dict[str, Any], ...] = ()
    fs_group: int | None = None
    """The group that owns its volumes where nobody says another one."""
    spread: tuple[dict[str, Any], ...] = ()
    """The topology spread constraints."""
    lifecycle: Mapping[str, Any] | None = None
    restart_policy: str | None = None


def template(
    cluster: CeleryCluster, container: CeleryContainer, child: str, surroundings: Surroundings
) -> dict[str, Any]:
    """The pod template of a child: typed fields, then `podTemplate` of cluster and component, then what is ours.

    Raises MergeError when a `podTemplate` cannot be merged or sets what the operator owns.
    """
    mine = component.resolve(cluster.spec, container.overrides)
    metadata = _metadata(cluster, container, mine, child, surroundings)
    base = {"metadata": metadata, "spec": _spec(cluster, container, mine, child, surroundings)}
    own = f"spec.{container.component}" if container.group is None else f"spec.workers[{container.group}]"
    for source, where in (
        (cluster.spec.pod_template, "spec.podTemplate"),
        (container.pod_template, f"{own}.podTemplate"),
    ):
        if source is not None:
            patch = _for_component(source.model_dump(by_alias=True, exclude_none=True), container.component)
            _refuse_owned(patch.get("spec", {}), container, where)
            _refuse_owned_labels(patch.get("metadata", {}).get("labels", {}), where)
            base = merge(base, patch, path=where)
    return base


def _for_component(patch: dict[str, Any], component: str) -> dict[str, Any]:
    """The patch without the containers of other components: the cluster's podTemplate is for all of them."""
    containers = patch.get("spec", {}).get("containers")
    if not isinstance(containers, list):
        return patch
    others = COMPONENTS - {component}
    kept = [entry for entry in containers if not (isinstance(entry, dict) and entry.get("name") in others)]
    return {**patch, "spec": {**patch["spec"], "containers": kept}}


def _metadata(
    cluster: CeleryCluster, container: CeleryContainer, mine: Component, child: str, surroundings: Surroundings
) -> dict[str, Any]:
    pod_labels = {**mine.labels, **labels(cluster, container.component, container.group)}
    annotations = {**mine.annotations, **container.annotations}
    annotations["kubectl.kubernetes.io/default-container"] = container.component
    if surroundings.redis_secret_uid is not None:
        annotations[RESTARTED_BY] = surroundings.redis_secret_uid
    if child in surroundings.references_hashes:
        annotations[REFERENCES_HASH_ANNOTATION] = surroundings.references_hashes[child]
    return {"labels": pod_labels, "annotations": annotations}


def _spec(
    cluster: CeleryCluster, container: CeleryContainer, mine: Component, child: str, surroundings: Surroundings
) -> dict[str, Any]:
    runtime = surroundings.runtime_volume(cluster.metadata.name, child)
    volumes = [runtime, *connections.volumes(cluster.spec), *container.volumes]
    if _needs_tmp(container, mine):
        volumes.append({"name": "tmp", "emptyDir": {}})
    main = _container(cluster, container, mine)
    out: dict[str, Any] = {
        "serviceAccountName": mine.service_account_name or names.service_account(cluster.metadata.name),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": container.grace_seconds,
        "securityContext": _pod_security(mine, container.fs_group),
        "containers": [main],
        "volumes": _with_users(volumes, component.manifest(mine.volumes), "name"),
        **scheduling.build(mine.scheduling, container.spread),
    }
    if mine.image_pull_secrets:
        out["imagePullSecrets"] = [{"name": name} for name in mine.image_pull_secrets]
    if mine.sidecars or mine.init_containers:
        out["initContainers"] = extra_containers.build(mine, main, [*_identity(), *_users_variables(mine)])
    if container.restart_policy is not None:
        out["restartPolicy"] = container.restart_policy
    return out


def _container(cluster: CeleryCluster, container: CeleryContainer, mine: Component) -> dict[str, Any]:
    mounts = [
        {"name": runtime_configmap.VOLUME, "mountPath": runtime_configmap.MOUNT_PATH, "readOnly": True},
        *connections.volume_mounts(cluster.spec),
        *container.volume_mounts,
    ]
    if _needs_tmp(container, mine):
        mounts.append({"name": "tmp", "mountPath": "/tmp"})  # noqa: S108 - the container's own /tmp
    out: dict[str, Any] = {
        "name": container.component,
        "image": mine.image,
        "command": container.command,
        "args": container.args,
        "env": _environment(cluster, container, mine),
        "securityContext": _container_security(mine),
        "volumeMounts": _with_users(mounts, component.manifest(mine.volume_mounts), "mountPath"),
        **probes.build(container.probes, container.grace_seconds),
    }
    port = launch_settings.probe_port(container.probes)
    if port is not None:
        out["ports"] = [{"name": probes.PORT_NAME, "containerPort": port}]
    if mine.image_pull_policy is not None:
        out["imagePullPolicy"] = mine.image_pull_policy
    if mine.working_dir is not None:
        out["workingDir"] = mine.working_dir
    if mine.env_from:
        out["envFrom"] = component.manifest(mine.env_from)
    if container.lifecycle:
        out["lifecycle"] = dict(container.lifecycle)
    if container.resources is not None:
        out["resources"] = container.resources.model_dump(by_alias=True, exclude_none=True)
    return out


def _with_users(ours: list[dict[str, Any]], users: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """Ours and the users', who may take the place of what is only there because nobody said better: /tmp."""
    named = {entry[key] for entry in users}
    return [*(entry for entry in ours if entry[key] not in named), *users]


def _identity() -> list[dict[str, Any]]:
    return [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in _IDENTITY.items()]


def _users_variables(mine: Component) -> list[dict[str, Any]]:
    return component.manifest(variable for variable in mine.env if variable.name not in _IDENTITY)


def _environment(cluster: CeleryCluster, container: CeleryContainer, mine: Component) -> list[dict[str, Any]]:
    """The pod's identity first, so that the user's variables can refer to it; what the launcher reads last."""
    settings = connections.escape(launch_settings.render(container.settings))
    mingle = [] if container.mingle is None else [{"name": launch_settings.MINGLE_VARIABLE, "value": container.mingle}]
    return [
        *_identity(),
        *_users_variables(mine),
        *connections.environment(cluster, {variable.name for variable in mine.env}),
        *mingle,
        {"name": launch_settings.VARIABLE, "value": settings},
    ]


def _needs_tmp(container: CeleryContainer, mine: Component) -> bool:
    """Whether nothing can be written to /tmp otherwise: a disk of the component's own may be there."""
    return _read_only_root(mine) and all(mount["mountPath"] != "/tmp" for mount in container.volume_mounts)  # noqa: S108


def _read_only_root(mine: Component) -> bool:
    asked = mine.security.read_only_root_filesystem
    return mine.restricted if asked is None else asked


def _pod_security(mine: Component, fs_group: int | None) -> dict[str, Any]:
    out: dict[str, Any] = {"seccompProfile": {"type": "RuntimeDefault"}}
    if mine.restricted:
        out["runAsNonRoot"] = True
    asked = mine.security.model_dump(by_alias=True, exclude_none=True, exclude={"read_only_root_filesystem"})
    if fs_group is not None or "fsGroup" in asked:
        out |= {"fsGroup": fs_group, "fsGroupChangePolicy": "OnRootMismatch"}
    return {**out, **asked}


def _container_security(mine: Component) -> dict[str, Any]:
    out: dict[str, Any] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    if _read_only_root(mine):
        out["readOnlyRootFilesystem"] = True
    return out


def _refuse_owned(spec: dict[str, Any], container: CeleryContainer, where: str) -> None:
    """Refuse what would break the contract between operator, launcher and probes."""
    if PATCH_DIRECTIVE in spec:
        raise MergeError(f"{where}.spec", _NO_DIRECTIVE)
    for key in _OWNED_POD_KEYS.keys() & spec.keys():
        raise MergeError(f"{where}.spec.{key}", _OWNED_POD_KEYS[key])
    for volume in (runtime_configmap.VOLUME, tls_files.VOLUME):
        _refuse_owned_entries(spec, "volumes", "name", volume, f"{where}.spec")
    for patch in _objects(spec, "containers", f"{where}.spec"):
        if patch.get("name") == container.component:
            port = launch_settings.probe_port(container.probes)
            path = f"{where}.spec.containers[{container.component}]"
            _refuse_owned_of_container(patch, port, path, *_INSTEAD[container.component])


def _refuse_owned_of_container(
    container: dict[str, Any], port: int | None, path: str, command: str, probe: str
) -> None:
    if PATCH_DIRECTIVE in container:
        raise MergeError(path, _NO_DIRECTIVE)
    for key in (_OWNED_CONTAINER_KEYS - {"name"}) & container.keys():
        raise MergeError(f"{path}.{key}", f"belongs to the operator; {command}")
    for key in _OWNED_PROBES & container.keys():
        raise MergeError(f"{path}.{key}", f"belongs to the operator; {probe}")
    for mount in (runtime_configmap.MOUNT_PATH, tls_files.MOUNT_PATH):
        _refuse_owned_entries(container, "volumeMounts", "mountPath", mount, path)
    _refuse_owned_entries(container, "ports", "containerPort", port, path)
    for variable in _objects(container, "env", path):
        name = str(variable.get("name"))
        if name in _IDENTITY:
            raise MergeError(f"{path}.env[{name}]", "belongs to the operator; use another name")
        if name.startswith("CELERY_OPERATOR_") or name in URL_VARIABLES:
            raise MergeError(f"{path}.env[{name}]", "belongs to the operator; use spec.broker or spec.resultBackend")


def _refuse_owned_entries(patch: dict[str, Any], field: str, key: str, owned: object, path: str) -> None:
    for entry in _objects(patch, field, path):
        if entry.get(key) == owned:
            raise MergeError(f"{path}.{field}[{owned}]", "belongs to the operator; remove it")


def _objects(patch: dict[str, Any], field: str, path: str) -> list[dict[str, Any]]:
    """The objects of a list that must not be emptied by a null, because some of its entries are ours."""
    found = patch.get(field, [])
    if not isinstance(found, list):
        raise MergeError(f"{path}.{field}", "must be a list")
    return [entry for entry in found if isinstance(entry, dict)]


def _refuse_owned_labels(labels_: dict[str, str], where: str) -> None:
    """The CRD refuses them as well; here they could break selectors, so nothing is left to its version."""
    for name in labels_:
        if name.startswith(("celery-operator.dev/", "app.kubernetes.io/")) and name not in FREE_LABELS:
            raise MergeError(f"{where}.metadata.labels[{name}]", "belongs to the operator; use another prefix")
