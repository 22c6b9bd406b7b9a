"""The API server by plain HTTP through `kubectl proxy`: objects, watches, and what pods and Services answer."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from celery_operator.kube.objects import Kind, Manifest, ObjectRef, register

PERSISTENT_VOLUME = register(
    Kind(api_version="v1", kind="PersistentVolume", plural="persistentvolumes", namespaced=False)
)
REPLICA_SET = register(Kind(api_version="apps/v1", kind="ReplicaSet", plural="replicasets"))
SUBJECT_RULES = Kind(
    api_version="authorization.k8s.io/v1",
    kind="SelfSubjectRulesReview",
    plural="selfsubjectrulesreviews",
    namespaced=False,
)
_READ_TIMEOUT = 60.0
_LATER = (409, 429, 500, 502, 503, 504)
"""Another writer was faster, or the API server, etcd behind it or the proxy before it has no time or was away."""
_LATER_SECONDS = 30.0
_AGAIN_SECONDS = 0.5


class Api:
    """One connection to the API server with all rights. Unexpected answers raise AssertionError with their text."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._http = httpx.Client(base_url=base_url, timeout=_READ_TIMEOUT, trust_env=False)

    def get(self, ref: ObjectRef) -> Manifest | None:
        """The object, None when there is none."""
        answer = self._ask("GET", ref.path)
        return None if answer.status_code == 404 else _manifest(answer)

    def objects(self, kind: Kind, namespace: str | None = None, selector: str = "") -> list[Manifest]:
        """The objects of a namespace, or of all of them."""
        answer = _manifest(self._ask("GET", kind.path(namespace=namespace), params={"labelSelector": selector}))
        return [{**item, "apiVersion": kind.api_version, "kind": kind.kind} for item in answer.get("items") or []]

    def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply, as `kubectl apply --server-side` does."""
        return _manifest(
            self._ask(
                "PATCH",
                ObjectRef.of(manifest).path,
                params={"fieldManager": "e2e", "force": "true", "fieldValidation": "Strict"},
                content=json.dumps(manifest),
                headers={"Content-Type": "application/apply-patch+yaml"},
            )
        )

    def merge_patch(self, ref: ObjectRef, patch: Manifest) -> Manifest:
        """A JSON merge patch: lists are replaced, None removes."""
        headers = {"Content-Type": "application/merge-patch+json"}
        return _manifest(self._ask("PATCH", ref.path, content=json.dumps(patch), headers=headers))

    def delete(self, ref: ObjectRef, *, grace_seconds: int | None = None) -> None:
        """Delete an object; `grace_seconds=0` is the `--force` of kubectl. One that is gone already is fine."""
        options: Manifest = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        answer = self._ask("DELETE", ref.path, content=json.dumps(options))
        assert answer.status_code in (200, 202, 404), answer.text

    def rules_of(self, user: str, namespace: str) -> list[dict[str, Any]]:
        """What a user may do in a namespace, as `kubectl auth can-i --list` asks the API server."""
        review = {
            "apiVersion": SUBJECT_RULES.api_version,
            "kind": SUBJECT_RULES.kind,
            "spec": {"namespace": namespace},
        }
        answer = _manifest(
            self._ask("POST", SUBJECT_RULES.path(), content=json.dumps(review), headers={"Impersonate-User": user})
        )
        return list(answer["status"]["resourceRules"])

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask for objects, and again while "later" is the answer: each request of this class may be repeated."""
        deadline = time.monotonic() + _LATER_SECONDS
        while True:
            answer = self._http.request(method, path, **options)
            if answer.status_code not in _LATER or time.monotonic() > deadline:
                return answer
            time.sleep(_AGAIN_SECONDS)

    def pod(self, namespace: str, name: str, port: int, path: str) -> httpx.Response:
        """What a pod's port answers to a GET."""
        return self._http.get(f"/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy{path}")

    def service_url(self, namespace: str, name: str, port: int) -> str:
        """The base URL of a Service, for any HTTP client on this machine."""
        return f"{self.base_url}/api/v1/namespaces/{namespace}/services/{name}:{port}/proxy"

    @contextlib.contextmanager
    def watch(self, kind: Kind, namespace: str, selector: str) -> Iterator[Iterator[dict[str, Any]]]:
        """The events from now on, those of the objects that are there first; reading waits for the next one."""
        params = {"watch": "true", "labelSelector": selector}
        with self._http.stream("GET", kind.path(namespace=namespace), params=params, timeout=None) as stream:
            yield (json.loads(line) for line in stream.iter_lines())


def _manifest(answer: httpx.Response) -> Manifest:
    assert answer.is_success, f"{answer.request.method} {answer.request.url.path}: {answer.text}"
    decoded: Manifest = answer.json()
    decoded.get("metadata", {}).pop("managedFields", None)  # nobody reads them here, and errors show the rest
    return decoded


@contextlib.contextmanager
def served(kubectl: Path, kubeconfig: Path) -> Iterator[Api]:
    """The API of a cluster, for as long as the context lasts."""
    command = [str(kubectl), f"--kubeconfig={kubeconfig}", "proxy", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as proxy:
        try:
            assert proxy.stdout is not None
            said = proxy.stdout.readline()
            address = re.search(r"127\.0\.0\.1:\d+", said)
            assert address, f"kubectl proxy did not start: {said}"
            yield Api(f"http://{address[0]}")
        finally:
            proxy.terminate()
