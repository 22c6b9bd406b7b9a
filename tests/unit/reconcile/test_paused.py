"""A pass over a paused cluster: nothing is written but what is told, and nobody stays drained."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from kubernetes.aio.client import Configuration

from celery_operator.kube.client import KubeClient
from celery_operator.kube.errors import Invalid
from celery_operator.kube.events import EventRecorder
from celery_operator.kube.objects import Manifest, ObjectRef
from celery_operator.observe import kinds
from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.hub import BrokerHub
from celery_operator.observe.broker.queue_comparer import QueueComparer
from celery_operator.observe.broker.reachability import REACHABLE
from celery_operator.observe.cache import ObjectCache
from celery_operator.observe.key import ClusterKey
from celery_operator.observe.references import ReferenceReader
from celery_operator.observe.worker_report import PodAddress
from celery_operator.observe.worker_reports import WorkerReports
from celery_operator.reconcile.autoscaling.autoscaler import Autoscaler
from celery_operator.reconcile.messenger import Messenger
from celery_operator.reconcile.reconciler import Reconciler
from celery_operator.telemetry.metrics import Metrics
from tests.unit.desired.clusters import RUNTIME, manifest

KEY = ClusterKey(namespace="team", name="shop")
SCALING = {"autoscaling": {"minReplicas": 1, "maxReplicas": 9, "targetQueueLength": 2}}
WORKERS = [{"name": "web", "queues": ["web"], **SCALING}]
REFUSED = {"workers": WORKERS, "config": {"broker_url": "redis://x"}}
TAKEN = {"auth": {"external": True}, "ingress": {"host": "taken.example.com"}}
UNREADABLE = {"workers": WORKERS, "broker": {"url": ["redis://a", "redis://b"]}}
"""As a later version of the CRD may allow it."""
POD = PodAddress(uid="uid-web-1", name="web-1", host="127.0.0.1", port=1)


class Server(KubeClient):
    """An API server as roughly as a pass needs it, which notes what it is told."""

    def __init__(self) -> None:
        super().__init__(Configuration())
        self.writes: list[str] = []
        self.crd_lacks: frozenset[str] = frozenset()
        """Fields of the status that an older CRD has not."""
        self.refused_kind = ""
        self.objects: dict[ObjectRef, Manifest] = {}
        self._versions = itertools.count(1)

    async def get(self, ref: ObjectRef) -> Manifest | None:
        return self.objects.get(ref)

    async def create(self, manifest: Manifest, *, field_manager: str) -> Manifest:
        return self.put("create", manifest)

    async def apply(self, manifest: Manifest, *, field_manager: str, dry_run: bool = False, **_: Any) -> Manifest:
        if manifest["kind"] == self.refused_kind:
            raise Invalid("the host is already defined", status=400)
        return manifest if dry_run else self.put("apply", manifest)

    async def replace_status(
        self, ref: ObjectRef, status: dict[str, Any], *, field_validation: str = "Strict", **_: Any
    ) -> Manifest:
        lacking = self.crd_lacks & status.keys()
        if lacking and field_validation == "Strict":
            problems = ", ".join(f'unknown field "status.{name}"' for name in sorted(lacking))
            message = f' "" is invalid: patch: Invalid value: "{{...}}": strict decoding error: {problems}'
            raise Invalid(message, status=422, reason="Invalid")
        known = {name: value for name, value in status.items() if name not in lacking}
        return self.put("patch_status", {**self.objects[ref], "status": known})

    def put(self, verb: str, sent: Manifest) -> Manifest:
        """Merge metadata and spec into what is there."""
        ref = ObjectRef.of(sent)
        self.writes.append(f"{verb} {ref.kind.kind}")
        known = self.objects.get(ref, {"metadata": {"uid": f"uid-{ref.name}"}, "spec": {}})
        metadata = {**known["metadata"], **sent["metadata"], "resourceVersion": str(next(self._versions))}
        self.objects[ref] = {**known, **sent, "metadata": metadata, "spec": {**known["spec"], **sent.get("spec", {})}}
        return self.objects[ref]


class Pass:
    """The real reconciler and autoscaler; the broker is nowhere, and the one pod does not answer."""

    def __init__(self, comparer: QueueComparer | None = None) -> None:
        self.server = Server()
        self.metrics = Metrics()
        self.cache = ObjectCache(kinds.CELERY_CLUSTER)
        self.reports = WorkerReports(clock=time.monotonic, random=random.random)
        self.scaler = Autoscaler(
            cache=self.cache,
            hub=lambda on_reading: BrokerHub(clock=time.monotonic, random=random.random, on_reading=on_reading),
            reports=lambda _: self.reports,
            resolve=_nowhere,
            on_change=lambda _: None,
            leads=lambda: True,
            observer=Metrics().autoscaling,
            clock=time.monotonic,
            now=_now,
            random=random.random,
        )
        self.reconciler = Reconciler(
            client=self.server,
            cache=self.cache,
            runtime=RUNTIME,
            events=EventRecorder(self.server, instance="test"),
            references=ReferenceReader(self.server, clock=time.monotonic),
            messenger=Messenger(now=_now, on_outcome=lambda _: None),
            scaler=self.scaler,
            observer=self.metrics,
            broker=lambda _: REACHABLE,
            queues=comparer or QueueComparer(resolve=_nowhere, on_change=lambda _: None, clock=time.monotonic),
            now=_now,
            clock=time.monotonic,
            random=random.random,
        )
        self._generation = 3

    async def over(self, **spec: Any) -> list[str]:
        """One pass over this spec, as an edit makes it; what was written."""
        self._generation += 1
        cluster = manifest(spec)
        cluster["metadata"]["generation"] = self._generation
        self.server.objects.pop(ObjectRef.of(cluster), None)
        self.cache.put(self.server.put("edit", cluster))
        self.server.writes.clear()
        await self.reconciler.reconcile(KEY)
        return list(self.server.writes)

    def drain_one(self) -> None:
        """What a look does before a scale-in."""
        labels = {
            "celery-operator.dev/cluster": "shop",
            "celery-operator.dev/worker-group": "web",
            "app.kubernetes.io/component": "worker",
        }
        metadata = {"name": POD.name, "namespace": "team", "uid": POD.uid, "resourceVersion": "1", "labels": labels}
        containers = [{"name": "worker", "ports": [{"name": "probes", "containerPort": POD.port}]}]
        status = {"phase": "Running", "podIP": POD.host}
        self.cache.put(
            {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers}}
            | {"status": status}
        )
        self.reports.hold(POD, "boot", 30.0)


async def _nowhere(_: ClusterKey) -> BrokerAddress | None:
    return None


def _now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def passes() -> AsyncIterator[Pass]:
    made = Pass()
    yield made
    await made.scaler.stop()
    await made.server.close()


@pytest.mark.parametrize("spec", [{"workers": WORKERS}, REFUSED, UNREADABLE], ids=["good", "refused", "unreadable"])
async def test_a_pause_ends_the_autoscaling_and_undoes_its_drains(passes: Pass, spec: dict[str, Any]) -> None:
    assert "create Deployment" in await passes.over(workers=WORKERS)
    passes.drain_one()
    assert passes.scaler.knows(KEY)
    assert passes.reports.is_held(POD.uid)
    written = await passes.over(**spec, paused=True)
    assert not passes.scaler.knows(KEY)
    assert not passes.reports.is_held(POD.uid)
    assert set(written) <= {"patch_status CeleryCluster", "create Event"}
    assert "patch_status CeleryCluster" in written


@pytest.mark.parametrize("spec", [REFUSED, UNREADABLE], ids=["refused", "unreadable"])
async def test_what_scales_goes_on_by_the_former_spec_while_the_new_one_is_no_good(
    passes: Pass, spec: dict[str, Any]
) -> None:
    await passes.over(workers=WORKERS)
    passes.drain_one()
    await passes.over(**spec)
    assert passes.scaler.knows(KEY)
    assert passes.reports.is_held(POD.uid)


async def test_what_is_refused_of_flower_alone_keeps_the_rest_of_the_spec_from_nobody(
    passes: Pass, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[int] = []
    await passes.over(workers=WORKERS)
    passes.server.refused_kind = "Ingress"
    monkeypatch.setattr(passes.scaler, "watch", lambda _, cluster: watched.append(len(cluster.spec.workers)))
    new = {"name": "mail", "queues": ["mail"], **SCALING}
    assert "create Deployment" in await passes.over(workers=[*WORKERS, new], flower=TAKEN)
    assert watched == [2], "who would give the new group its pods otherwise?"
    await passes.over(workers=[*WORKERS, new], flower=TAKEN, suspend=True)
    status = (passes.cache.cluster(KEY) or {})["status"]
    conditions = {each["type"]: (each["status"], each["message"]) for each in status["conditions"]}
    assert conditions["Suspended"][0] == "True", "a script waits for it"
    assert "already defined; everything but Flower is applied" in conditions["SpecValid"][1]


async def test_a_rotated_password_is_told_of_while_something_of_flower_is_refused(passes: Pass) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "broker", "namespace": "team"}}
    broker = {"urlFrom": {"secretKeyRef": {"name": "broker", "key": "url"}}}
    passes.server.put("create", {**secret, "data": {"url": "Zm9ybWVy"}})
    await passes.over(broker=broker, flower={**TAKEN, "ingress": {"host": "free.example.com"}})
    passes.server.refused_kind = "Ingress"
    await passes.over(broker=broker, flower=TAKEN)
    passes.server.put("rotate", {**secret, "data": {"url": "cm90YXRlZA=="}})
    passes.server.writes.clear()
    await passes.reconciler.reconcile(KEY)
    assert passes.server.writes.count("apply Deployment") == 1, "the workers', not Flower's"
    await passes.reconciler.reconcile(KEY)
    assert passes.metrics.registry.get_sample_value("celery_operator_references_changed_total") == 1.0
    events = (each for ref, each in passes.server.objects.items() if ref.kind.kind == "Event")
    (told,) = (each["note"] for each in events if each["reason"] == "ReferencesChanged")
    assert told.endswith("from Secret broker")


async def test_scaling_begins_again_when_the_pause_ends(passes: Pass) -> None:
    await passes.over(workers=WORKERS, paused=True)
    assert not passes.scaler.knows(KEY)
    assert "create Deployment" in await passes.over(workers=WORKERS)
    assert passes.scaler.knows(KEY)


async def test_what_the_status_no_longer_has_is_removed_once(passes: Pass) -> None:
    """Figures of a load that nobody looks at any more."""
    await passes.over(workers=WORKERS, paused=True)
    cluster = dict(passes.cache.cluster(KEY) or {})
    passes.cache.put(passes.server.put("edit", {**cluster, "status": {**cluster["status"], "loadTime": "2026-01-01"}}))
    passes.server.writes.clear()
    await passes.reconciler.reconcile(KEY)
    await passes.reconciler.reconcile(KEY)
    assert passes.server.writes == ["patch_status CeleryCluster"]
    assert "loadTime" not in (passes.cache.cluster(KEY) or {})["status"]


async def test_an_older_crd_freezes_no_status_and_is_told_of_once(passes: Pass) -> None:
    passes.server.crd_lacks = frozenset({"summary"})
    await passes.over(workers=WORKERS, paused=True)
    told = [each for ref, each in passes.server.objects.items() if ref.kind.kind == "Event"]
    (message,) = [each["note"] for each in told if each["reason"] == "CRDOutdated"]
    assert "lacks status.summary, which is left out; apply the CRD of the operator's version" in message
    status = (passes.cache.cluster(KEY) or {})["status"]
    assert status["conditions"]
    assert "summary" not in status
    passes.server.writes.clear()
    await passes.reconciler.reconcile(KEY)
    assert passes.server.writes == [], "what the CRD lacks is no difference"
    passes.server.crd_lacks = frozenset()
    await passes.over(workers=WORKERS, paused=True)
    assert "summary" in (passes.cache.cluster(KEY) or {})["status"]


async def test_the_first_pass_of_a_new_leader_knows_the_neighbours(passes: Pass) -> None:
    other = manifest({"workers": WORKERS})
    other["metadata"].update(name="other", uid="uid-other")
    passes.cache.put(passes.server.put("edit", other))
    passes.reconciler.learn_neighbours()
    await passes.over(workers=WORKERS)
    warnings = (passes.cache.cluster(KEY) or {})["status"]["warnings"]
    assert any(line.endswith("[shared-queues]") for line in warnings)
