"""The pod fields that the cluster sets for all components, and what one component may set for itself."""

from __future__ import annotations

from typing import Literal

from celery_operator.api.extras import ExtraContainers, SecurityContext, VolumeMounts, Volumes
from celery_operator.api.pod import Annotations, Command, EnvFromList, EnvList, ImagePullSecrets, Labels, WorkingDir
from celery_operator.api.scalars import Image, ObjectName
from celery_operator.api.scheduling import Scheduling


class PodFields(Scheduling):
    """What the cluster and each component can say about pods. Named things of a component are added to the cluster's,
    and take the place of one of their name."""

    volumes: Volumes | None = None
    """Further volumes. A component's are added to the cluster's; one of the same name takes its place."""
    volume_mounts: VolumeMounts | None = None
    """Where volumes appear in the containers of workers and beat. A component's are added to the cluster's; one of the
    same path takes its place."""
    init_containers: ExtraContainers | None = None
    """Containers that run to their end, one after the other, before the component starts. A component's are added to
    the cluster's."""
    sidecars: ExtraContainers | None = None
    """Containers that start before the init containers, and run beside the component until it has ended. A component's
    are added to the cluster's."""
    security_context: SecurityContext | None = None
    """Whom the processes run as. A component's own fields win over the cluster's, one by one."""


class Overrides(PodFields):
    """What a component sets for its own pods; where it says nothing, the cluster's setting counts."""

    image: Image | None = None
    """Image of this component alone; spec.image when absent. A change of it replaces only these pods."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When the image is pulled; spec.imagePullPolicy when absent."""
    image_pull_secrets: ImagePullSecrets | None = None
    """Secrets with credentials of a registry, added to spec.imagePullSecrets."""
    command: Command | None = None
    """How this component's image starts Python; spec.command when absent."""
    working_dir: WorkingDir | None = None
    """The directory that Python starts in; spec.workingDir when absent."""
    env: EnvList | None = None
    """Environment variables, added to spec.env; one of the same name takes its place."""
    env_from: EnvFromList | None = None
    """Secrets and ConfigMaps whose keys become environment variables, after those of spec.envFrom."""
    service_account_name: ObjectName | None = None
    """ServiceAccount of these pods; spec.serviceAccountName when absent."""
    pod_security: Literal["Compatible", "Restricted"] | None = None
    """How much the pods are confined; spec.podSecurity when absent."""
    pod_labels: Labels | None = None
    """Labels added to the pods, beside spec.podLabels; one of the same key wins."""
    pod_annotations: Annotations | None = None
    """Annotations added to the pods, beside spec.podAnnotations; one of the same key wins."""
