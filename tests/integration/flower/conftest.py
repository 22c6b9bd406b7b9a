"""One small fleet for all tests here: a broker, two workers that send events, and Flower as its child starts it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import children, runtime_configmap
from celery_operator.desired.pod import Surroundings
from tests.integration.flower.browser import Browser
from tests.integration.flower.child import FlowerChild
from tests.integration.runtime.conftest import python_of
from tests.integration.runtime.pods import Pod, send
from tests.integration.servers import RedisServer, wait_until
from tests.unit.desired.clusters import manifest

Manifest = dict[str, Any]

USER, PASSWORD = "anna", "s3cret"
WORKERS = ("shop-worker-default-6d5c9b7f4-q2x8v", "shop-worker-default-6d5c9b7f4-zk7tm")
NODES = tuple(f"default@{name}" for name in WORKERS)
_SPEC: Manifest = {
    "app": "shop",
    "broker": {"urlFrom": {"secretKeyRef": {"name": "shop-broker", "key": "url"}}},
    "workers": [{"name": "default", "replicas": 2, "concurrency": 2, "taskEvents": True}],
    "flower": {
        "auth": {"basicFrom": {"secretKeyRef": {"name": "shop-flower", "key": "auth"}}},
        "env": [{"name": "FLOWER_TASK_RUNTIME_METRIC_BUCKETS", "value": "0.1,60"}],
    },
}
"""Of the CeleryCluster `shop` in the namespace `team`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What runs."""

    broker: RedisServer
    flower: FlowerChild
    cluster: Manifest

    def ask(self, path: str) -> str:
        """A page of Flower's, for somebody who has logged in."""
        return httpx.get(self.flower.url + path, auth=(USER, PASSWORD), timeout=60.0, trust_env=False).text

    def run_tasks(self) -> None:
        """Send a task that succeeds and one that fails, for lack of an argument."""
        send(self.broker.url(), "shop.record", "done")
        send(self.broker.url(), "shop.record")


def rendered(cluster: Manifest) -> list[Manifest]:
    """The children that the operator makes of a CeleryCluster."""
    model = CeleryCluster.model_validate(cluster)
    return list(children.build(model, Surroundings(runtime=runtime_configmap.load())))


def deployment(cluster: Manifest) -> Manifest:
    """Flower's Deployment."""
    (found,) = (
        child
        for child in rendered(cluster)
        if (child["kind"], child["metadata"]["name"]) == ("Deployment", "shop-flower")
    )
    return found


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Workers that consume, and a Flower that hears them: it answers before, and what nobody hears is gone."""
    folder = tmp_path_factory.mktemp("fleet")
    with RedisServer(folder=folder / "broker", password="p@ss:w/0%rd#1?") as broker:
        cluster = manifest(_SPEC)
        python = python_of("celery-5.7")
        workers = [
            Pod(folder=folder, python=python, broker=broker.url(), name=name, env={"LEDGER_URL": broker.url(1)})
            for name in WORKERS
        ]
        flower = FlowerChild(
            folder=folder / "flower",
            python=python_of("flower"),
            template=deployment(cluster)["spec"]["template"],
            # As `echo` leaves it, with a line break at the end.
            secrets={"shop-broker": {"url": broker.url()}, "shop-flower": {"auth": f"{USER}:{PASSWORD}\n"}},
        )
        try:
            for worker in workers:
                worker.start("-E")
            for worker in workers:
                worker.wait_for("/readyz", timeout=120.0)
            one = Fleet(broker=broker, flower=flower.start(), cluster=cluster)
            wait_until(lambda: all(node in one.ask("/workers?json=1") for node in NODES), timeout=90.0, what="events")
            yield one
        finally:
            for process in (flower, *workers):
                process.kill()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A browser with an empty profile."""
    with Browser(folder=tmp_path / "browser") as one:
        yield one
