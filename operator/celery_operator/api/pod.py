"""The parts of a pod that users set with typed fields, and `podTemplate` for everything else."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from celery_operator.api.model import FREE_FORM, LIST_ATOMIC, ApiModel, Cel, list_map, rules
from celery_operator.api.scalars import ObjectName, Quantity

EnvName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[^=\s]+$")]
Key = Annotated[str, Field(min_length=1, max_length=253)]
FREE_LABELS = ("app.kubernetes.io/part-of", "app.kubernetes.io/version")
"""The recommended labels (kubernetes.io, "Recommended Labels") that the operator does not set itself."""
Labels = Annotated[
    dict[str, Annotated[str, Field(max_length=63)]],
    Field(max_length=64),
    Cel(
        "self.all(k, !k.startsWith('celery-operator.dev/') && "
        f"(!k.startsWith('app.kubernetes.io/') || k in {list(FREE_LABELS)!r}))",
        "labels below celery-operator.dev/ and app.kubernetes.io/ (but part-of and version) belong to the operator; "
        "use another prefix",
    ),
]
Annotations = Annotated[dict[str, Annotated[str, Field(max_length=262144)]], Field(max_length=64)]

URL_VARIABLES = (
    "CELERY_BROKER_URL",
    "CELERY_BROKER_READ_URL",
    "CELERY_BROKER_WRITE_URL",
    "CELERY_RESULT_BACKEND",
)
"""What the launcher sets from `broker` and `resultBackend`; a user's own value would silently lose or win."""


class SecretKeyReference(ApiModel):
    """One key of a Secret in the CeleryCluster's namespace."""

    name: ObjectName
    """Name of the Secret."""
    key: Key
    """Key within the Secret's data."""
    optional: bool | None = None
    """When true, the pod also starts without the Secret or the key."""


class RequiredSecretKey(ApiModel):
    """One key of a Secret in the CeleryCluster's namespace, without which nothing can run."""

    name: ObjectName
    """Name of the Secret."""
    key: Key
    """Key within the Secret's data."""


class SecretKeySource(ApiModel):
    """A value that is read from a Secret by the kubelet; it is never copied by the operator."""

    secret_key_ref: RequiredSecretKey
    """The Secret's key that holds the value."""


class ConfigMapKeyReference(ApiModel):
    """One key of a ConfigMap in the CeleryCluster's namespace."""

    name: ObjectName
    """Name of the ConfigMap."""
    key: Key
    """Key within the ConfigMap's data."""
    optional: bool | None = None
    """When true, the pod also starts without the ConfigMap or the key."""


class FieldReference(ApiModel):
    """A field of the pod itself (downward API)."""

    api_version: Annotated[str, Field(max_length=63)] | None = None
    """Version of the schema that fieldPath is written for; v1 when absent."""
    field_path: Annotated[str, Field(min_length=1, max_length=253)]
    """Path of the field, for example metadata.name."""


class ResourceFieldReference(ApiModel):
    """A resource request or limit of a container of the pod (downward API)."""

    container_name: Annotated[str, Field(max_length=63)] | None = None
    """The container; the one that the variable belongs to when absent."""
    resource: Annotated[str, Field(min_length=1, max_length=253)]
    """For example limits.memory."""
    divisor: Quantity | None = None
    """The unit that the number is given in; 1 when absent."""


class EnvVarSource(ApiModel):
    """Where an environment variable's value comes from."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef), "
                "has(self.resourceFieldRef)].exists_one(x, x)",
                "set exactly one of secretKeyRef, configMapKeyRef, fieldRef or resourceFieldRef",
            )
        )
    )
    secret_key_ref: SecretKeyReference | None = None
    """A key of a Secret."""
    config_map_key_ref: ConfigMapKeyReference | None = None
    """A key of a ConfigMap."""
    field_ref: FieldReference | None = None
    """A field of the pod."""
    resource_field_ref: ResourceFieldReference | None = None
    """A resource of a container."""


class EnvVar(ApiModel):
    """One environment variable of the containers."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel("!(has(self.value) && has(self.valueFrom))", "set value or valueFrom, not both"),
            Cel(
                "!self.name.startsWith('CELERY_OPERATOR_')",
                "variables that begin with CELERY_OPERATOR_ belong to the operator; use another name",
            ),
            Cel(
                f"!(self.name in [{', '.join(repr(name) for name in URL_VARIABLES)}])",
                "the operator sets this variable from spec.broker and spec.resultBackend; set it there",
            ),
        )
    )
    name: EnvName
    """Name of the variable."""
    value: Annotated[str, Field(max_length=131072)] | None = None
    """The value; $(NAME) stands for another variable, $$ for a dollar sign."""
    value_from: EnvVarSource | None = None
    """Where the value comes from, when it is not written here."""


class ObjectReference(ApiModel):
    """A whole Secret or ConfigMap in the CeleryCluster's namespace."""

    name: ObjectName
    """Name of the object."""
    optional: bool | None = None
    """When true, the pod also starts without the object."""


class EnvFromSource(ApiModel):
    """A Secret or ConfigMap whose every key becomes an environment variable."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "[has(self.secretRef), has(self.configMapRef)].exists_one(x, x)",
                "set exactly one of secretRef or configMapRef",
            )
        )
    )
    prefix: Annotated[str, Field(max_length=253)] | None = None
    """Put before every key."""
    secret_ref: ObjectReference | None = None
    """The Secret."""
    config_map_ref: ObjectReference | None = None
    """The ConfigMap."""


class LocalObjectReference(ApiModel):
    """An object in the CeleryCluster's namespace."""

    name: ObjectName
    """Name of the object."""


class Resources(ApiModel):
    """What a container asks for and what it may use at the most."""

    requests: Annotated[dict[str, Quantity], Field(max_length=16)] | None = None
    """What the scheduler reserves, for example {cpu: "1", memory: 1Gi}."""
    limits: Annotated[dict[str, Quantity], Field(max_length=16)] | None = None
    """What the container may not exceed, for example {memory: 2Gi}."""


class TemplateMetadata(ApiModel):
    """Labels and annotations of the pods."""

    labels: Labels | None = None
    """Added to the pods' labels."""
    annotations: Annotations | None = None
    """Added to the pods' annotations."""


class PodTemplate(ApiModel):
    """Anything of a Kubernetes pod template, merged strategically over what the operator would write."""

    metadata: TemplateMetadata | None = None
    """Labels and annotations of the pods."""
    spec: Annotated[dict[str, Any], FREE_FORM] | None = None
    """A PodSpec, or a part of one. Lists of named things are merged by their key, as kubectl does: containers,
    volumes and env by name. An entry with `$patch: delete` removes what the operator would write."""


class Storage(ApiModel):
    """A PersistentVolumeClaim that the operator makes and owns."""

    size: Quantity = "1Gi"
    """How much to ask for."""
    storage_class_name: Annotated[str, Field(max_length=253)] | None = None
    """The StorageClass; the cluster's default when absent."""
    retain: bool | None = None
    """When true, the claim stays when the CeleryCluster (or this field) is deleted."""


EnvList = Annotated[list[EnvVar], Field(max_length=256), list_map("name")]
EnvFromList = Annotated[list[EnvFromSource], Field(max_length=64), LIST_ATOMIC]
ImagePullSecrets = Annotated[list[LocalObjectReference], Field(max_length=16), list_map("name")]
Argument = Annotated[str, Field(max_length=4096)]
WorkingDir = Annotated[str, Field(min_length=1, max_length=4096)]
Command = Annotated[list[Argument], Field(min_length=1, max_length=16), LIST_ATOMIC]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "FATAL"]
