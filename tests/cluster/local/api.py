"""A very small client of the API server for the tooling itself: start-up must not wait for a big library's import."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.cluster.errors import ClusterError


class Api:
    """Requests with the client certificate of a kubeconfig whose data is inline."""

    def __init__(self, kubeconfig: Path, *, timeout_seconds: float = 5) -> None:
        content = json.loads(kubeconfig.read_text())
        cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._context = ssl.create_default_context(cadata=authority)
        with tempfile.NamedTemporaryFile() as pair:
            for part in ("client-certificate-data", "client-key-data"):
                pair.write(base64.b64decode(user[part]))
            pair.flush()
            self._context.load_cert_chain(pair.name)
        self._host = urlsplit(cluster["server"]).netloc
        self._timeout = timeout_seconds

    def request(
        self, method: str, path: str, body: dict[str, Any] | None = None, content_type: str = "application/json"
    ) -> tuple[int, Any]:
        """The status code and the decoded answer (text where it is not JSON). Raises OSError when nobody answers."""
        connection = http.client.HTTPSConnection(self._host, timeout=self._timeout, context=self._context)
        try:
            data = json.dumps(body) if body is not None else None
            connection.request(method, path, body=data, headers={"Content-Type": content_type} if data else {})
            answer = connection.getresponse()
            text = answer.read().decode()
        except http.client.HTTPException as broken:
            raise OSError(str(broken)) from broken
        finally:
            connection.close()
        return answer.status, json.loads(text) if text.startswith("{") else text

    def create(self, path: str, body: dict[str, Any]) -> None:
        """Create an object; one of that name that exists already is left alone."""
        status, answer = self.request("POST", path, body)
        if status not in (200, 201, 202, 409):
            raise ClusterError(f"the API server refused {body['kind']} {body['metadata']['name']}: {answer}")

    def ready(self) -> bool:
        """Whether the API server answers /readyz with 200."""
        try:
            return self.request("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def ready_nodes(self) -> set[str]:
        """Names of the nodes that are Ready."""
        status, answer = self.request("GET", "/api/v1/nodes")
        if status != 200:
            return set()
        return {
            node["metadata"]["name"]
            for node in answer["items"]
            if any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", []))
        }


def wait_for(what: str, seconds: float, condition: Callable[[], bool], why_not: Callable[[], str] = str) -> None:
    """Ask every 50 ms until `condition` holds; raises ClusterError with `why_not()` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ClusterError(f"{what} did not happen within {seconds:.0f} s; {why_not()}")
        time.sleep(0.05)
