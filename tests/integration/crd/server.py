"""A plain HTTPS client of the API server that a kubeconfig names: nothing between the test and the answer."""

from __future__ import annotations

import base64
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from celery_operator.api import API_VERSION, PLURAL

MANAGER = "celery-operator-tests"
TIMEOUT_SECONDS = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the API server said: its status code, the object or Status it sent, and its warnings."""

    code: int
    body: dict[str, Any]
    warnings: tuple[str, ...]

    @property
    def refusals(self) -> list[str]:
        """`field: message` of everything that was refused."""
        causes = self.body.get("details", {}).get("causes", [])
        return [f"{cause.get('field', '')}: {cause['message']}" for cause in causes]


def client(kubeconfig: Path) -> httpx.Client:
    """A client of the current context's server, with its client certificate or token."""
    config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    context = _named(config["contexts"], config["current-context"])["context"]
    cluster = _named(config["clusters"], context["cluster"])["cluster"]
    user = _named(config["users"], context["user"])["user"]
    with tempfile.TemporaryDirectory() as folder:
        files = {
            key: _file(source, key, kubeconfig.parent, Path(folder))
            for source, key in (
                (cluster, "certificate-authority"),
                (user, "client-certificate"),
                (user, "client-key"),
            )
        }
        tls = ssl.create_default_context(cafile=files["certificate-authority"])
        if files["client-certificate"] is not None:
            tls.load_cert_chain(files["client-certificate"], files["client-key"])
    headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
    return httpx.Client(base_url=cluster["server"], verify=tls, headers=headers, timeout=TIMEOUT_SECONDS)


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def _file(source: Mapping[str, str], key: str, beside: Path, folder: Path) -> Path | None:
    """The file that a kubeconfig names or carries under `key`; None when it does neither."""
    if f"{key}-data" in source:
        path = folder / key
        path.write_bytes(base64.b64decode(source[f"{key}-data"]))
        return path
    return beside / source[key] if key in source else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The CeleryClusters of one namespace. Nothing is stored by the methods whose name begins with `try`."""

    http: httpx.Client
    namespace: str
    created: list[str] = field(default_factory=list)

    def url(self, name: str = "") -> str:
        """The path of the collection, or of one object."""
        return f"/apis/{API_VERSION}/namespaces/{self.namespace}/{PLURAL}" + (f"/{name}" if name else "")

    def call(self, method: str, url: str, body: Any = None, **parameters: str) -> Answer:
        """One request; `body` is JSON, which is YAML too."""
        kinds = {"PATCH": "application/merge-patch+json", "APPLY": "application/apply-patch+yaml"}
        answer = self.http.request(
            "PATCH" if method == "APPLY" else method,
            url,
            json=body,
            params=parameters,
            headers={"Content-Type": kinds.get(method, "application/json")},
        )
        return Answer(
            code=answer.status_code,
            # The document of an API that is about to be published is empty for a moment.
            body=answer.json() if answer.content else {},
            warnings=tuple(answer.headers.get_list("Warning")),
        )

    def try_create(self, manifest: Mapping[str, Any], validation: str = "Strict") -> Answer:
        """What creating it would answer."""
        return self.call("POST", self.url(), manifest, dryRun="All", fieldValidation=validation)

    def try_status(self, name: str, status: Any) -> Answer:
        """What writing that status of an existing object would answer."""
        return self.call(
            "PATCH", f"{self.url(name)}/status", {"status": status}, dryRun="All", fieldValidation="Strict"
        )

    def create(self, manifest: Mapping[str, Any]) -> Answer:
        """Create it; the fixture deletes it."""
        answer = self.call("POST", self.url(), manifest, fieldValidation="Strict", fieldManager=MANAGER)
        self.created.append(manifest["metadata"]["name"])
        return answer

    def apply(self, manifest: Mapping[str, Any], manager: str) -> Answer:
        """Server-side apply it as `manager`, without force; the fixture deletes it."""
        name = manifest["metadata"]["name"]
        self.created.append(name)
        return self.call("APPLY", self.url(name), manifest, fieldManager=manager, fieldValidation="Strict")
