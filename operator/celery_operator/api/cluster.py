"""`CeleryCluster`: the one kind that users write, composed of the other models."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from celery_operator.api.beat import Beat
from celery_operator.api.broker import Broker, ResultBackend
from celery_operator.api.client import Client
from celery_operator.api.connection import SecretSettings
from celery_operator.api.flower import Flower
from celery_operator.api.hooks import Hooks
from celery_operator.api.model import FREE_FORM, ApiModel, Cel, list_map, rules
from celery_operator.api.monitoring import Monitoring
from celery_operator.api.network_policy import NetworkPolicies
from celery_operator.api.overrides import PodFields
from celery_operator.api.pod import (
    Annotations,
    Command,
    EnvFromList,
    EnvList,
    ImagePullSecrets,
    Labels,
    PodTemplate,
)
from celery_operator.api.queues import Queue
from celery_operator.api.scalars import Duration, Image, ObjectName
from celery_operator.api.scheduling import Spread
from celery_operator.api.status import CeleryClusterStatus
from celery_operator.api.workers import WorkerGroup

MAX_NAME_LENGTH = 40
"""Longest `metadata.name`: every child's name and label is made from it and must stay within 63 characters."""


class CeleryClusterSpec(PodFields):
    """What should run: one Celery application with its workers, its beat, its broker and its result backend."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "!has(self.monitoring) || has(self.flower)",
                "monitoring scrapes Flower's metrics, and there is no Flower; set flower, or remove monitoring",
            )
        )
    )
    image: Image
    """Image with the application and Celery in it; workers and beat run it."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When the image is pulled; Kubernetes' default when absent."""
    image_pull_secrets: ImagePullSecrets | None = None
    """Secrets with the credentials of the image's registry."""
    app: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z_][\w.]*(:[A-Za-z_][\w.]*)?$")]
    """The application, as in `celery -A`: a module, package or module:attribute."""
    command: Command | None = None
    """How the image starts Python; [python] when absent, for example [poetry, run, python]."""
    working_dir: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """The directory that Python starts in; the image's own when absent."""
    config: Annotated[dict[str, Any], FREE_FORM] | None = None
    """Celery settings for workers and beat, for example {task_track_started: true}. They win over the
    application's code. Settings that have a field here are refused."""
    config_from: SecretSettings | None = None
    """Celery settings whose values are secret: the text of a Secret's key. Names as in config."""
    task_delivery: Literal["AtMostOnce", "AtLeastOnce"] | None = None
    """AtMostOnce (when absent) is Celery's default: a task is acknowledged before it runs, and lost when its worker
    dies. AtLeastOnce: it is acknowledged when it ends, and runs again when its worker dies, so it must bear that."""
    max_task_duration: Duration | None = None
    """The longest that any task runs, for example 30m. Pods get that long to end, and Redis does not deliver a task a
    second time before. Nothing is killed for it: that is what timeLimit is for."""
    env: EnvList | None = None
    """Environment variables of workers and beat. POD_NAME, POD_NAMESPACE and POD_UID are set by the operator."""
    env_from: EnvFromList | None = None
    """Secrets and ConfigMaps whose keys become environment variables of workers and beat."""
    service_account_name: ObjectName | None = None
    """ServiceAccount of workers and beat; one made by the operator, without any right, when absent."""
    pod_security: Literal["Compatible", "Restricted"] | None = None
    """Compatible (when absent): no privileges, but images that run as root still run. Restricted: also
    runAsNonRoot and a read-only root file system with a writable /tmp."""
    pod_labels: Labels | None = None
    """Labels added to every pod."""
    pod_annotations: Annotations | None = None
    """Annotations added to every pod."""
    topology_spread_constraints: Spread | None = None
    """How evenly the pods of each worker group are spread. When absent, over the nodes as far as possible; an empty
    list leaves it to the scheduler."""
    pod_template: PodTemplate | None = None
    """Anything else of the pods of workers and beat; containers are called `worker` and `beat`."""
    broker: Broker
    """Where Celery's messages go."""
    result_backend: ResultBackend | None = None
    """Where results go; the application's own setting when absent."""
    queues: Annotated[list[Queue], Field(max_length=256), list_map("name")] | None = None
    """Queues that need more than their name. They are added to the application's own task_queues, and take the place
    of those of their names there. RabbitMQ refuses to change a queue that exists: give a changed one another name.
    What it would refuse is not rolled out: see the condition QueuesMatch."""
    workers: Annotated[list[WorkerGroup], Field(min_length=1, max_length=100), list_map("name")]
    """The worker groups. A merge patch replaces the whole list; server-side apply and JSON patch do not."""
    beat: Beat | None = None
    """The beat process; none when absent."""
    flower: Flower | None = None
    """Flower, a web page with workers and tasks; none when absent."""
    client: Client | None = None
    """{}: a ConfigMap with the settings for processes that send tasks; none when absent."""
    monitoring: Monitoring | None = None
    """Who scrapes the metrics that Flower has of the application; nobody when absent."""
    network_policy: NetworkPolicies | None = None
    """{}: a NetworkPolicy for each component, which denies everything else; none when absent."""
    hooks: Hooks | None = None
    """What has to be done before something new is rolled out."""
    suspend: bool | None = None
    """True: workers and beat go to zero, each worker when it has finished its tasks, whoever sets their number
    otherwise; a managed Redis stays. When it is removed, every group gets the number back that it had."""
    paused: bool | None = None
    """True: the operator writes no child until it is removed. What runs keeps running."""


class ObjectMeta(ApiModel):
    """What the operator reads of an object's metadata."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    annotations: dict[str, str] | None = None
    deletion_timestamp: str | None = None


class CeleryCluster(ApiModel):
    """A Celery application on Kubernetes: worker groups, beat, broker and result backend, kept as declared."""

    model_config = ConfigDict(
        defer_build=False,  # at the start of the process, not in its first pass
        json_schema_extra=rules(
            Cel(
                f"self.metadata.name.size() <= {MAX_NAME_LENGTH} && "
                "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
                f"metadata.name must be a DNS label of at most {MAX_NAME_LENGTH} characters that begins with a "
                "letter: the names of all children are made from it",
            )
        ),
    )
    metadata: ObjectMeta
    spec: CeleryClusterSpec
    """What should run."""
    status: CeleryClusterStatus | None = None
    """What runs, written by the operator."""
