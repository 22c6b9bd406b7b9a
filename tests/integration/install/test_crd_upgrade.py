"""The chart's CRD over that of an older release, by Helm as users do it, with a CeleryCluster that is stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration.install.helm import Helm
from tests.integration.install.releases import UNKNOWN_COLUMN, Releases
from tests.integration.kubectl import Kubectl
from tests.integration.servers import wait_until
from tests.integration.waiting import eventually

Json = dict[str, Any]
PATIENCE_SECONDS: Final = 90.0
STORED: Final[Json] = {
    "image": "example.com/shop:1",
    "app": "shop.celery",
    "broker": {"redis": {}},
    "workers": [
        {"name": "web", "queues": ["web"], "replicas": 2, "podTemplate": {"metadata": {"labels": {"team": "shop"}}}},
        {"name": "mail", "queues": ["mail"], "resources": {"limits": {"memory": "1Gi"}}},
    ],
    "beat": {"schedule": [{"name": "tidy", "task": "shop.tidy", "every": "1h"}]},
}
STATUS: Final[Json] = {"observedGeneration": 1, "summary": {"workers": "3/3"}}
NEW: Final[Json] = {
    **STORED,
    "flower": {},
    "workers": [
        STORED["workers"][0],
        {**STORED["workers"][1], "autoscaling": {"minReplicas": 1, "maxReplicas": 4, "targetQueueLength": 10}},
    ],
}
AGAINST_A_RULE: Final[Json] = {**STORED, "tolerations": [{"key": "gpu", "operator": "Exists", "value": "yes"}]}


class Stored:
    """One object of the kind on the API server."""

    def __init__(self, kubectl: Kubectl, releases: Releases) -> None:
        self._kubectl = kubectl
        self._releases = releases

    def create(self) -> None:
        self._kubectl(
            "create", "--validate=strict", "-f", "-", stdin=json.dumps(self._releases.cluster("shop", STORED))
        )
        status = json.dumps({"status": STATUS})
        self._kubectl("patch", self._name, "--subresource=status", "--type=merge", "-p", status)

    @property
    def _name(self) -> str:
        return f"{self._releases.resource}/shop"

    def note(self, summary: str) -> None:
        """As an operator does, which writes the status alone."""
        status = json.dumps({"status": {"summary": {"workers": summary}}})
        self._kubectl("patch", self._name, "--subresource=status", "--type=merge", "-p", status)

    def read(self) -> Json:
        """As it is stored, and everything that the API server says of it."""
        found: Json = json.loads(self._kubectl("get", self._name, "-o", "json", "--show-managed-fields"))
        return found

    def refusal(self, manifest: Json, *words: str) -> str:
        """Why the API server does not take the object in place of what is stored; nothing where it does."""
        given = ("replace", "--validate=strict", "-f", "-", *words)
        done = self._kubectl.run(*given, stdin=json.dumps(manifest))
        return done.stderr if done.returncode else ""

    def refusal_of(self, spec: Json) -> str:
        """The same of another spec, without writing it."""
        return self.refusal({**self.read(), "spec": spec}, "--dry-run=server")

    def table(self) -> str:
        return self._kubectl("get", self._releases.resource)


@pytest.fixture
def releases(helm: Helm, kubeconfig: Path, namespace: str, kubectl: Kubectl, tmp_path: Path) -> Iterator[Releases]:
    """The older release, installed, and its CRD served."""
    made = Releases(helm, tmp_path, kubeconfig=kubeconfig, namespace=namespace)
    try:
        made.install(made.older)
        kubectl("wait", "--for=create", f"crd/{made.resource}", "--timeout=90s")
        kubectl("wait", "--for=condition=Established", f"crd/{made.resource}", "--timeout=90s")
        yield made
    finally:
        made.uninstall()
        kubectl.run("delete", "crd", made.resource, "--ignore-not-found", "--timeout=90s")


@pytest.fixture
def stored(releases: Releases, kubectl: Kubectl) -> Stored:
    """A CeleryCluster that was written under the older release."""
    made = Stored(kubectl, releases)
    wait_until(
        lambda: kubectl.run("get", releases.resource).returncode == 0,
        timeout=PATIENCE_SECONDS,
        interval=0.2,
        what="the older kind is served",
    )
    made.create()
    return made


async def until(refusal: Callable[[], str], holds: Callable[[str], bool]) -> None:
    """Wait until the API server serves what was applied, by what it says of an object."""

    async def read() -> str:
        return refusal()

    await eventually(read, holds, within=PATIENCE_SECONDS, every=0.2)


async def upgrade(releases: Releases, stored: Stored) -> None:
    releases.upgrade(releases.current)
    await until(lambda: stored.refusal_of(NEW), lambda said: said == "")


async def test_an_upgrade_of_the_crd_keeps_what_is_stored_and_brings_what_is_new(
    releases: Releases, stored: Stored
) -> None:
    before = stored.read()
    unknown = ('unknown field "spec.flower"', 'unknown field "spec.workers[1].autoscaling"')
    await until(lambda: stored.refusal_of(NEW), lambda said: all(field in said for field in unknown))
    assert stored.refusal_of(AGAINST_A_RULE) == ""
    assert UNKNOWN_COLUMN.upper() not in stored.table()

    await upgrade(releases, stored)

    assert stored.read() == before, "not even written anew"
    assert (before["spec"], before["status"]) == (STORED, STATUS)
    assert stored.refusal(before) == "", "what was valid is valid"
    assert "operator Exists bears every value" in stored.refusal_of(AGAINST_A_RULE)
    assert UNKNOWN_COLUMN.upper() in stored.table()
    assert stored.refusal({**stored.read(), "spec": NEW}) == ""
    assert stored.read()["spec"] == NEW


async def test_a_rollback_and_an_uninstallation_keep_what_is_stored(
    releases: Releases, stored: Stored, kubectl: Kubectl
) -> None:
    before = stored.read()
    await upgrade(releases, stored)
    releases.rollback()
    await until(lambda: stored.refusal_of(NEW), lambda said: "unknown field" in said)
    assert stored.read() == before
    releases.uninstall()
    assert kubectl("get", "crd", releases.resource, "-o", "jsonpath={.metadata.deletionTimestamp}") == ""
    assert stored.read() == before


async def test_a_rollback_takes_what_the_older_crd_does_not_know_for_good(releases: Releases, stored: Stored) -> None:
    """The API server leaves it out when it reads, and so with the next write, even of the status alone."""
    await upgrade(releases, stored)
    assert stored.refusal({**stored.read(), "spec": NEW}) == ""
    releases.rollback()
    await until(lambda: stored.refusal_of(NEW), lambda said: "unknown field" in said)
    assert stored.read()["spec"] == STORED
    stored.note("2/3")
    await upgrade(releases, stored)
    assert stored.read()["spec"] == STORED
