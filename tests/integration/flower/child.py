"""Flower's container as a process: the command, arguments and environment of the Deployment that the operator makes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from celery_operator.desired import flower
from tests.integration.runtime.pods import mount
from tests.integration.servers import Process, free_port

Secrets = Mapping[str, Mapping[str, str]]
"""Data of Secrets by their name."""


class FlowerChild(Process):
    """The container of a rendered pod template. What differs from the cluster: the port, and where files are."""

    def __init__(self, *, folder: Path, python: Path, template: Mapping[str, Any], secrets: Secrets) -> None:
        super().__init__(name="flower", folder=folder)
        self.port = free_port()
        (self._container,) = template["spec"]["containers"]
        self._python = python
        self._secrets = secrets

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> FlowerChild:
        """Start it and wait until the container's own readiness probe is content."""
        program, launcher, component = self._container["command"]
        assert (program, Path(launcher).name) == ("python", "launch.py")
        (named,) = self._container["ports"]
        ours, here = f"--port={named['containerPort']}", f"--port={self.port}"
        assert ours in self._container["args"]
        arguments = [here if word == ours else word for word in self._container["args"]]
        self.folder.mkdir(parents=True, exist_ok=True)
        self.launch([str(self._python), str(mount(self.folder)), component, *arguments], env=self._environment())
        path = self._container["readinessProbe"]["httpGet"]["path"]
        self.wait_ready(lambda: self.answers(path), timeout=120.0)
        return self

    def answers(self, path: str) -> bool:
        """Whether a page that asks nobody who they are is there."""
        try:
            return httpx.get(self.url + path, timeout=5.0, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def _environment(self) -> dict[str, str]:
        """The container's variables, and those that its image or the kubelet would set."""
        own = {"metadata.name": "shop-flower", "metadata.namespace": "team", "metadata.uid": "uid-of-flower"}
        found = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        for variable in self._container["env"]:
            source = variable.get("valueFrom") or {}
            if key := source.get("secretKeyRef"):
                found[variable["name"]] = self._secrets[key["name"]][key["key"]]
            elif field := source.get("fieldRef"):
                found[variable["name"]] = own[field["fieldPath"]]
            else:
                found[variable["name"]] = re.sub(r"\$\((\w+)\)", lambda word: found[word[1]], variable["value"])
        assert json.loads(found["CELERY_OPERATOR_SETTINGS"])["component"] == flower.COMPONENT
        return {**found, "CELERY_OPERATOR_TERMINATION_LOG": str(self.folder / "termination-log")}

    def __enter__(self) -> FlowerChild:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
