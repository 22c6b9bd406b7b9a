"""What users add to a pod: volumes, init and side containers, lifecycle hooks, and whom the processes run as."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field
from pydantic.config import JsonValue

from celery_operator.api.model import LIST_ATOMIC, LIST_SET, ApiModel, Cel, list_map, rules
from celery_operator.api.pod import Argument
from celery_operator.api.scalars import Duration, Image, Name, Quantity

PRESERVE: Final[dict[str, JsonValue]] = {"x-kubernetes-preserve-unknown-fields": True}
OWNED_VOLUMES = ("persistence", "schedule")
"""Volumes that fields of their own make; those of the runtime begin with celery-operator."""
OWNED_CONTAINERS = ("worker", "beat", "flower", "redis", "hook")
MOUNT_PATH = "/celery-operator"
UserId = Annotated[int, Field(ge=0, le=2**31 - 1)]
MountPath = Annotated[
    str,
    Field(min_length=1, max_length=4096, pattern=r"^/[^:]*$"),
    Cel(
        f"!self.startsWith('{MOUNT_PATH}')",
        f"paths that begin with {MOUNT_PATH} hold the operator's own files; mount it elsewhere",
    ),
]


class Volume(ApiModel):
    """A volume of the pods: its name, and one of the sources that Kubernetes has, for example
    `persistentVolumeClaim: {claimName: models}`. What a mounted Secret or ConfigMap holds may change without a
    restart of the pods."""

    model_config = ConfigDict(extra="allow", json_schema_extra=PRESERVE)
    name: Annotated[
        Name,
        Cel(
            f"!self.startsWith('celery-operator') && !(self in {list(OWNED_VOLUMES)!r})",
            f"the operator has volumes of this name: celery-operator…, {' and '.join(OWNED_VOLUMES)}; choose another",
        ),
    ]
    """Name of the volume. One called tmp takes the place of the writable /tmp that podSecurity Restricted brings."""


class VolumeMount(ApiModel):
    """Where a volume appears in the container of the component."""

    name: Name
    """Name of the volume."""
    mount_path: MountPath
    """Path in the container."""
    sub_path: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """A path within the volume; its root when absent."""
    read_only: bool | None = None
    """True: nothing can be written."""


class ExtraContainer(ApiModel):
    """A container beside that of the component: name and image, and everything else that a container of Kubernetes
    can have."""

    model_config = ConfigDict(extra="allow", json_schema_extra=PRESERVE)
    name: Annotated[
        Name,
        Cel(
            f"!(self in {list(OWNED_CONTAINERS)!r})",
            f"{', '.join(OWNED_CONTAINERS)} are the operator's own containers; choose another name",
        ),
    ]
    """Name of the container."""
    image: Image | None = None
    """Its image. When absent, it runs the component's own image, and has its env, envFrom, workingDir and
    volumeMounts besides its own."""


class ExecAction(ApiModel):
    """A program that is run in the container."""

    command: Annotated[list[Argument], Field(min_length=1, max_length=64), LIST_ATOMIC]
    """The program and its arguments; no shell reads them."""


class HttpGetAction(ApiModel):
    """An HTTP request to the pod."""

    path: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    """Path of the request; / when absent."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """Port of the pod."""
    scheme: Literal["HTTP", "HTTPS"] | None = None
    """HTTP when absent."""


_ONE_ACTION = Cel("has(self.exec) != has(self.httpGet)", "set exactly one of exec or httpGet")


class PostStart(ApiModel):
    """What is done right after the container's start, beside it."""

    model_config = ConfigDict(json_schema_extra=rules(_ONE_ACTION))
    exec: ExecAction | None = None
    """A program."""
    http_get: HttpGetAction | None = None
    """An HTTP request."""


class PreStop(ApiModel):
    """What is done before the process is told to end. Until then a worker takes tasks as ever: it needs no hook to
    finish them, and its shutdown begins when the hook has ended."""

    model_config = ConfigDict(json_schema_extra=rules(_ONE_ACTION))
    exec: ExecAction | None = None
    """A program."""
    http_get: HttpGetAction | None = None
    """An HTTP request."""
    timeout: Duration | None = None
    """The longest that it takes; 30s when absent. The pod's grace period is longer by that, so that running tasks keep
    all of theirs."""


class Lifecycle(ApiModel):
    """Hooks of the container's life."""

    post_start: PostStart | None = None
    """Done right after the start."""
    pre_stop: PreStop | None = None
    """Done before the process is told to end."""


class SecurityContext(ApiModel):
    """Whom the processes run as."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "!has(self.runAsNonRoot) || !self.runAsNonRoot || !has(self.runAsUser) || self.runAsUser != 0",
                "runAsUser 0 is root, which runAsNonRoot refuses; choose another user",
            )
        )
    )
    run_as_user: UserId | None = None
    """User id of the processes; the image's own when absent."""
    run_as_group: UserId | None = None
    """Group id of the processes; the image's own when absent."""
    run_as_non_root: bool | None = None
    """True: a container that would run as root does not start. podSecurity Restricted sets it."""
    fs_group: UserId | None = None
    """A group that owns the volumes, and that every process belongs to."""
    supplemental_groups: Annotated[list[UserId], Field(max_length=32), LIST_SET] | None = None
    """Further groups that every process belongs to."""
    read_only_root_filesystem: bool | None = None
    """True: nothing can be written but volumes; a writable /tmp is one. podSecurity Restricted sets it."""


class Persistence(ApiModel):
    """A disk of its own for each pod, larger or faster than what the node offers. It is made with the pod and deleted
    with it: what has to outlive a pod belongs into a claim that `volumes` names."""

    size: Quantity
    """How much to ask for."""
    mount_path: MountPath
    """Path in the container."""
    storage_class_name: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """The StorageClass; the cluster's default when absent."""


Volumes = Annotated[list[Volume], Field(max_length=32), list_map("name")]
VolumeMounts = Annotated[list[VolumeMount], Field(max_length=64), list_map("mountPath")]
ExtraContainers = Annotated[list[ExtraContainer], Field(max_length=16), list_map("name")]
