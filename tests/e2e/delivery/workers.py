"""Workers in two kinds of deployment: a group of a CeleryCluster, and a plain Deployment as people write it by hand."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Final

from celery_operator.kube.objects import DEPLOYMENT, POD, Manifest
from celery_operator.observe.kinds import CELERY_CLUSTER
from tests.e2e import manifests
from tests.e2e.delivery.brokers import SECRET_NAME
from tests.e2e.release import WORKER_IMAGE
from tests.e2e.space import READY_SECONDS, Space
from tests.e2e.until import until

URL_FROM: Final = {"secretKeyRef": {"name": SECRET_NAME, "key": "url"}}
RESULTS_URL: Final = "redis://ledger:6379/1"
"""Results stay reachable while the broker is away: what is measured is delivery alone."""
ROLL_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """How many pods with how many slots each, and what the row needs of them."""

    replicas: int = 4
    concurrency: int = 2
    pool: str = "prefork"
    max_task_duration: str = "3m"
    grace_seconds: int | None = None
    """None: what the operator derives from maxTaskDuration; the plain Deployment has Kubernetes' 30 s in any case."""
    visibility_timeout: int | None = None
    """Of the operator's workers on Redis; None: what the operator derives."""
    shares_processes: bool = False
    """So that a test can kill the main process from inside its pod: as process 1 it would be immune."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Further fields of the worker group."""


class Workers(ABC):
    """The workers of one row."""

    deployment: str
    selector: str

    def __init__(self, space: Space, fleet: Fleet) -> None:
        self.space = space
        self.fleet = fleet

    @abstractmethod
    def apply(self) -> None:
        """Make them."""

    @abstractmethod
    def scale(self, replicas: int) -> None:
        """Ask for that many pods."""

    @abstractmethod
    def update(self, image: str) -> None:
        """Ask for another image."""

    def wait_ready(self) -> None:
        """Wait until every pod is there and every worker consumes."""
        self._wait_rolled(READY_SECONDS * 2)

    def has_rolled(self) -> bool:
        """Whether every pod is of the current template and available."""
        return _has_rolled(self.space.get(DEPLOYMENT, self.deployment))

    def wait_rolled(self) -> None:
        """Wait until every pod is of the current template and the others are gone."""
        self._wait_rolled(ROLL_SECONDS)
        replicas = self.space.get(DEPLOYMENT, self.deployment)["spec"]["replicas"]
        until(self.pods_with_leaving, lambda pods: len(pods) == replicas, within=ROLL_SECONDS, every=0.5)

    def pods(self) -> list[Manifest]:
        """The pods that are not on their way out."""
        return [pod for pod in self.pods_with_leaving() if "deletionTimestamp" not in pod["metadata"]]

    def pods_with_leaving(self) -> list[Manifest]:
        """The pods, those included that are on their way out."""
        return [pod for pod in self.space.objects(POD, self.selector) if _is_alive(pod)]

    def _wait_rolled(self, within: float) -> None:
        self.space.wait(DEPLOYMENT, self.deployment, _has_rolled, within=within)


class OperatedWorkers(Workers):
    """A CeleryCluster with one worker group."""

    deployment = "shop-worker-default"
    selector = "celery-operator.dev/cluster=shop,app.kubernetes.io/component=worker"

    def __init__(self, space: Space, fleet: Fleet, delivery: str) -> None:
        super().__init__(space, fleet)
        self.delivery = delivery

    def apply(self) -> None:
        """Apply the CeleryCluster."""
        timeout = self.fleet.visibility_timeout
        config = {"broker_transport_options": {"visibility_timeout": timeout}} if timeout else None
        self.space.apply(
            manifests.cluster(
                broker={"urlFrom": URL_FROM},
                resultBackend={"url": RESULTS_URL},
                taskDelivery=self.delivery,
                maxTaskDuration=self.fleet.max_task_duration,
                config=config,
                env=[manifests.LEDGER_ENV],
                workers=[self._group(self.fleet.replicas)],
            )
        )

    def scale(self, replicas: int) -> None:
        """Edit the group's replicas, and wait until the Deployment has them."""
        self.space.edit("shop", workers=[self._group(replicas)])
        self.space.wait(DEPLOYMENT, self.deployment, lambda found: found["spec"]["replicas"] == replicas)

    def update(self, image: str) -> None:
        """Edit the image, and wait until the Deployment has it."""
        self.space.edit("shop", image=image)
        self.space.wait(DEPLOYMENT, self.deployment, lambda found: _image(found) == image)

    def wait_ready(self) -> None:
        """Wait until the CeleryCluster is Ready."""
        self.space.wait_ready("shop", within=READY_SECONDS * 2)

    def wait_side_by_side(self) -> None:
        """Wait until a pod of the newest template is there."""
        self.space.wait(DEPLOYMENT, self.deployment, _has_begun_to_roll, within=ROLL_SECONDS)

    def statuses(self) -> list[dict[str, Any]]:
        """What the /status of each pod says that answers."""
        answers = [self.space.probe(pod, "/status") for pod in self.pods_with_leaving()]
        return [json.loads(text) for code, text in answers if code == 200]

    def warnings(self) -> str:
        """What the linter says in the CeleryCluster's status."""
        return "\n".join(self.space.get(CELERY_CLUSTER, "shop").get("status", {}).get("warnings") or [])

    def _group(self, replicas: int) -> dict[str, Any]:
        fleet = self.fleet
        fields = dict(fleet.extra)
        if fleet.grace_seconds is not None:
            fields["shutdown"] = {"gracePeriod": f"{fleet.grace_seconds}s"}
        if fleet.shares_processes:
            fields["podTemplate"] = {"spec": {"shareProcessNamespace": True}}
        if "autoscaling" not in fields:
            fields["replicas"] = replicas
        return manifests.worker(concurrency=fleet.concurrency, pool=fleet.pool, **fields)


class PlainWorkers(Workers):
    """A Deployment that runs `celery worker` with Celery's and Kubernetes' defaults: 30 s of grace, no probes."""

    deployment = "plain"
    selector = "app=plain"

    def apply(self) -> None:
        """Apply the Deployment."""
        fleet = self.fleet
        command = ["celery", "-A", "celery_tasks.app", "worker", "--loglevel=INFO", f"--pool={fleet.pool}"]
        # The application says 1; this is Celery's default.
        command += [f"--concurrency={fleet.concurrency}", "--prefetch-multiplier=4", f"-Q{','.join(manifests.QUEUES)}"]
        container = {
            "name": "worker",
            "image": WORKER_IMAGE,
            "command": command,
            "env": [
                {"name": "CELERY_BROKER_URL", "valueFrom": URL_FROM},
                {"name": "CELERY_RESULT_BACKEND", "value": RESULTS_URL},
                manifests.LEDGER_ENV,
            ],
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
        pod = {
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "shareProcessNamespace": fleet.shares_processes,
            "terminationGracePeriodSeconds": 30,
            "containers": [container],
        }
        spec = {
            "replicas": fleet.replicas,
            "selector": {"matchLabels": {"app": "plain"}},
            "template": {"metadata": {"labels": {"app": "plain"}}, "spec": pod},
        }
        self.space.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "plain"}, "spec": spec})

    def scale(self, replicas: int) -> None:
        """`kubectl scale`."""
        self.space.kubectl("scale", "deployment/plain", f"--replicas={replicas}")

    def update(self, image: str) -> None:
        """`kubectl set image`."""
        self.space.kubectl("set", "image", "deployment/plain", f"worker={image}")

    def restart(self) -> None:
        """`kubectl rollout restart`."""
        self.space.kubectl("rollout", "restart", "deployment/plain")

    def wait_ready(self) -> None:
        """Wait until every worker has said that it is ready: without probes, Ready only means started."""
        super().wait_ready()
        self._wait_said_ready()

    def wait_rolled(self) -> None:
        """Wait until the old pods are gone and every new worker has said that it is ready."""
        super().wait_rolled()
        self._wait_said_ready()

    def _wait_said_ready(self) -> None:
        for pod in self.pods():
            name = pod["metadata"]["name"]
            until(
                lambda name=name: self.space.kubectl("logs", name, "--tail=-1"),  # type: ignore[misc]
                lambda log: " ready." in log,
                within=READY_SECONDS * 2,
                every=1.0,
            )


def make_workers(kind: str, space: Space, fleet: Fleet) -> Workers:
    """The workers of a deployment kind: `plain`, or a taskDelivery of the operator."""
    return PlainWorkers(space, fleet) if kind == "plain" else OperatedWorkers(space, fleet, kind)


def _has_rolled(found: Manifest) -> bool:
    status, wanted = found.get("status") or {}, found["spec"]["replicas"]
    counts = [int(status.get(name, 0)) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    is_seen = status.get("observedGeneration") == found["metadata"]["generation"]
    return bool(is_seen) and counts == [wanted] * 3


def _has_begun_to_roll(found: Manifest) -> bool:
    status = found.get("status") or {}
    is_seen = status.get("observedGeneration") == found["metadata"]["generation"]
    return bool(is_seen) and int(status.get("updatedReplicas", 0)) > 0


def _image(deployment: Manifest) -> str:
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


def _is_alive(pod: Manifest) -> bool:
    return (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
