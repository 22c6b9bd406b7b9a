"""The operator as users install it: the chart of this checkout as a Helm release, its pods, logs and metrics."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
import uuid
from pathlib import Path
from typing import Any

from celery_operator.kube.objects import LEASE, POD, Manifest, ObjectRef
from tests.cluster import tool
from tests.e2e.api import Api
from tests.e2e.until import until
from tests.integration.kubectl import Kubectl

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "celery-operator"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
OPERATOR_IMAGE = f"celery-operator/operator:{VERSION}"
WORKER_IMAGE = f"celery-operator/worker:{VERSION}"
NAME = "celery-operator"
"""Of the release, its namespace, its Deployment, its ServiceAccount and its Lease."""
USER = f"system:serviceaccount:{NAME}:{NAME}"
PORT = 8080
INSTALL_TIMEOUT = 300.0
TAKE_OVER_SECONDS = 90.0
"""A Lease of 15 s that nobody released, a few tries to get it, and the start of a pod on a slow machine."""
_RUN = "tests/run"


class Release:
    """The release `celery-operator` of one cluster."""

    def __init__(self, api: Api, kubeconfig: Path) -> None:
        self.api = api
        self.kubeconfig = kubeconfig
        self.kubectl = Kubectl(tool("kubectl"), kubeconfig, namespace=NAME)
        self._helm = [str(tool("helm")), f"--kubeconfig={kubeconfig}", f"--namespace={NAME}"]

    def install(self, **values: Any) -> None:
        """Install it, or upgrade what is installed, always with new pods; ready and with a leader when this returns.

        `--take-ownership`: a CRD that kubectl left in the cluster becomes the release's.
        """
        run = uuid.uuid4().hex
        mark = {"podAnnotations": {_RUN: run}}
        options = ["--create-namespace", "--take-ownership", "--wait", f"--timeout={INSTALL_TIMEOUT:g}s"]
        self._run("upgrade", "--install", NAME, str(CHART), *options, "--values=-", values={**mark, **values})
        # Those of before may end later than the new ones are ready, and are in the logs until then.
        until(lambda: self._others(run), lambda others: not others, within=60)
        until(self.leader, within=TAKE_OVER_SECONDS)

    def uninstall(self) -> None:
        """Uninstall it and wait until its pods are gone; CRD and CeleryClusters stay."""
        self._run("uninstall", NAME, "--wait")
        until(lambda: not self.pods(), within=60)

    @property
    def is_installed(self) -> bool:
        """Whether a release of the name exists."""
        return NAME in self._run("list", "--short").split()

    def pods(self) -> list[Manifest]:
        """The operator's pods that are not on their way out."""
        found = self.api.objects(POD, NAME, f"app.kubernetes.io/name={NAME}")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def leader(self) -> str | None:
        """The name of the running pod that holds the Lease."""
        lease = self.api.get(ObjectRef(kind=LEASE, namespace=NAME, name=NAME))
        holder = lease["spec"].get("holderIdentity") if lease else None
        return holder if holder in {pod["metadata"]["name"] for pod in self.pods()} else None

    def delete_pod(self, name: str) -> None:
        """Take a pod away at once, without a grace period."""
        self.api.delete(ObjectRef(kind=POD, namespace=NAME, name=name), grace_seconds=0)

    def logs(self) -> str:
        """What every replica has logged so far."""

        def read() -> subprocess.CompletedProcess[str]:
            return self.kubectl.run("logs", f"deployment/{NAME}", "--all-pods", "--tail=-1")

        # A container that is just being started has none to show.
        return until(read, lambda done: done.returncode == 0, within=TAKE_OVER_SECONDS).stdout

    def metrics(self, pod: str) -> str:
        """A replica's metrics in Prometheus' text format."""
        answer = until(
            lambda: self.api.pod(NAME, pod, PORT, "/metrics"),
            lambda found: found.status_code == 200,
            within=TAKE_OVER_SECONDS,
        )
        return answer.text

    def metric(self, pod: str, name: str) -> float:
        """One sample without labels of a replica's metrics."""
        found = re.search(rf"^{name} (\S+)$", self.metrics(pod), re.MULTILINE)
        assert found, f"{pod} has no metric {name}"
        return float(found[1])

    def _others(self, run: str) -> list[str]:
        """The pods that another `install` made and that have not ended yet."""
        found = self.api.objects(POD, NAME, f"app.kubernetes.io/name={NAME}")
        return [
            pod["metadata"]["name"]
            for pod in found
            if (pod["metadata"].get("annotations") or {}).get(_RUN) != run
            and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
        ]

    def _run(self, *words: str, values: dict[str, Any] | None = None) -> str:
        given = None if values is None else json.dumps(values)
        done = subprocess.run([*self._helm, *words], input=given, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pods = self.kubectl.run("get", "pods", "-o", "wide").stdout
            log = self.kubectl.run("logs", f"deployment/{NAME}", "--all-pods", "--tail=5").stdout
            raise AssertionError(f"helm {' '.join(words)}: {done.stderr}\n{pods}{log}")
        return done.stdout
