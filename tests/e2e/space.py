"""One namespace of the cluster as a test sees it: what it applies, what becomes of it, and the tasks it runs there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from celery_operator.kube.objects import DEPLOYMENT, NAMESPACE, POD, Kind, Manifest, ObjectRef
from celery_operator.observe.kinds import CELERY_CLUSTER
from tests.cluster import tool
from tests.demo.producer import Producer
from tests.e2e import manifests
from tests.e2e.api import Api
from tests.e2e.until import until
from tests.integration.kubectl import Kubectl

READY_SECONDS = 180.0
"""How long pods may take to be Ready on a machine with little to give."""
PATIENCE_SECONDS = 120.0
"""How long a change that needs no new pod may take there: a bound for what hangs, and no promise."""
PROBE_PORT = 9540

PodSecurity = str
"""`restricted`, `baseline` or `privileged`: the Pod Security level that a namespace enforces."""


class Space:
    """One namespace."""

    def __init__(self, api: Api, kubeconfig: Path, name: str) -> None:
        self.api = api
        self.kubeconfig = kubeconfig
        self.name = name
        self.kubectl = Kubectl(tool("kubectl"), kubeconfig, namespace=name)

    def create(self, pod_security: PodSecurity) -> None:
        """Create the namespace."""
        labels = {"pod-security.kubernetes.io/enforce": pod_security}
        self.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name, "labels": labels}})

    def remove(self) -> None:
        """Delete the namespace; nobody waits for the end."""
        self.api.delete(ObjectRef(kind=NAMESPACE, namespace=None, name=self.name))

    def ref(self, kind: Kind, name: str) -> ObjectRef:
        """The address of an object of the namespace."""
        return ObjectRef(kind=kind, namespace=self.name, name=name)

    def apply(self, *objects: Manifest) -> None:
        """Apply objects in the namespace, in this order."""
        for manifest in objects:
            self.api.apply({**manifest, "metadata": {**manifest["metadata"], "namespace": self.name}})

    def edit(self, cluster: str, **spec: Any) -> None:
        """Merge into a CeleryCluster's spec; lists are replaced, None removes."""
        self.api.merge_patch(self.ref(CELERY_CLUSTER, cluster), {"spec": spec})

    def delete(self, kind: Kind, name: str, *, grace_seconds: int | None = None) -> None:
        """Delete an object."""
        self.api.delete(self.ref(kind, name), grace_seconds=grace_seconds)

    def get(self, kind: Kind, name: str) -> Manifest:
        """An object that must exist."""
        found = self.api.get(self.ref(kind, name))
        assert found is not None, f"there is no {kind.kind} {name!r}"
        return found

    def objects(self, kind: Kind, selector: str = "") -> list[Manifest]:
        """The objects of a kind."""
        return self.api.objects(kind, self.name, selector)

    def wait(
        self, kind: Kind, name: str, holds: Callable[[Manifest], object] = bool, *, within: float = PATIENCE_SECONDS
    ) -> Manifest:
        """Wait until an object exists and a condition holds for it."""
        found = until(lambda: self.api.get(self.ref(kind, name)), lambda value: value and holds(value), within=within)
        assert found is not None
        return found

    def wait_condition(
        self,
        cluster: str,
        type_: str,
        status: str,
        reason: str | None = None,
        *,
        within: float = PATIENCE_SECONDS,
        says: str = "",
    ) -> dict[str, Any]:
        """Wait for a condition of a CeleryCluster, computed for its current generation."""

        def holds(found: Manifest) -> bool:
            one = condition(found, type_)
            return (
                one.get("observedGeneration") == found["metadata"]["generation"]
                and one["status"] == status
                and (reason is None or one["reason"] == reason)
                and says in one["message"]
            )

        return condition(self.wait(CELERY_CLUSTER, cluster, holds, within=within), type_)

    def wait_ready(self, cluster: str, within: float = READY_SECONDS) -> None:
        """Wait until a CeleryCluster is Ready with its current spec."""
        self.wait_condition(cluster, "Ready", "True", within=within)

    def pods(self, cluster: str, component: str) -> list[Manifest]:
        """The pods of a component (worker, beat, redis) that are not on their way out."""
        selector = f"celery-operator.dev/cluster={cluster},app.kubernetes.io/component={component}"
        return [pod for pod in self.objects(POD, selector) if "deletionTimestamp" not in pod["metadata"]]

    def probe(self, pod: Manifest, path: str) -> tuple[int, str]:
        """Code and text that the runtime in a pod answers; 504 where nobody does, as in a pod that is ending."""
        try:
            answer = self.api.pod(self.name, pod["metadata"]["name"], PROBE_PORT, path)
        except httpx.TransportError as error:
            return 504, str(error)
        return answer.status_code, answer.text

    def said(self, pod: Manifest, path: str) -> tuple[int, str]:
        """What the runtime itself answers, whatever it is; waits while only somebody on the way to it says something.

        For a pod that is to stay: the runtime speaks plain text, and the API server's proxy in JSON.
        """
        return until(lambda: self.probe(pod, path), _is_of_the_runtime, within=PATIENCE_SECONDS)

    def status_of(self, pod: Manifest) -> dict[str, Any]:
        """The runtime's /status document, of a pod that serves it or is about to."""
        _, text = until(lambda: self.probe(pod, "/status"), lambda found: found[0] == 200, within=PATIENCE_SECONDS)
        decoded: dict[str, Any] = json.loads(text)
        return decoded

    def events(self, cluster: str) -> list[Manifest]:
        """The Events about a CeleryCluster, oldest first."""
        uid = self.get(CELERY_CLUSTER, cluster)["metadata"]["uid"]
        answer = json.loads(self.kubectl("get", "events.events.k8s.io", "-o", "json"))
        about = [event for event in answer["items"] if event["regarding"].get("uid") == uid]
        return sorted(about, key=lambda event: str(event.get("eventTime")))

    def start_producer(
        self, cluster: str, *, env: list[dict[str, Any]] | None = None, with_ledger: bool = False
    ) -> Producer:
        """Deploy the producer for a cluster; submits tasks when this returns. Close it."""
        self.apply(*manifests.producer(cluster, env=env, with_ledger=with_ledger))
        self.wait_available("producer")
        return Producer(self.api.service_url(self.name, "producer", 8000))

    def wait_available(self, deployment: str, within: float = READY_SECONDS) -> None:
        """Wait until a Deployment of our own has its pods."""
        self.wait(
            DEPLOYMENT, deployment, lambda found: (found.get("status") or {}).get("availableReplicas"), within=within
        )

    def ledger_report(self) -> dict[str, Any]:
        """The ledger's verdict; needs a producer with the ledger."""
        words = ("exec", "deployment/producer", "--", "python", "-m", "celery_tasks.ledger", "report")
        # It says nothing there where the ledger, or the pod, cannot be reached; 1 is what it ends with on bad news.
        done = until(lambda: self.kubectl.run(*words), lambda found: found.stdout, within=PATIENCE_SECONDS)
        decoded: dict[str, Any] = json.loads(done.stdout)
        return decoded


def _is_of_the_runtime(answer: tuple[int, str]) -> bool:
    code, text = answer
    return code < 500 or (code == 503 and not text.startswith(("{", "error trying to reach service")))


def condition(cluster: Manifest, type_: str) -> dict[str, Any]:
    """A condition of a CeleryCluster; empty where it is not set."""
    found = (cluster.get("status") or {}).get("conditions") or []
    return next((dict(one) for one in found if one["type"] == type_), {})


def identities(pods: list[Manifest]) -> dict[str, tuple[str, int]]:
    """Uid and restart count of pods by name: equal before and after, nothing was restarted or replaced."""
    return {
        pod["metadata"]["name"]: (
            pod["metadata"]["uid"],
            sum(container["restartCount"] for container in pod["status"].get("containerStatuses") or []),
        )
        for pod in pods
    }
