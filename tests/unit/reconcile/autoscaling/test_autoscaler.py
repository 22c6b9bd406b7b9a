"""What the autoscaler keeps from look to look, and when it asks for a pass; broker and workers are made up."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from celery_operator.api.cluster import CeleryCluster
from celery_operator.kube.objects import DEPLOYMENT, POD
from celery_operator.observe import kinds
from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Depth, Heartbeat, Reading
from celery_operator.observe.broker.hub import Wish
from celery_operator.observe.broker.reachability import REACHABLE
from celery_operator.observe.cache import ObjectCache
from celery_operator.observe.key import ClusterKey
from celery_operator.observe.worker_report import PodAddress, WorkerReport
from celery_operator.reconcile.autoscaling.autoscaler import Autoscaler
from celery_operator.reconcile.autoscaling.document import load_document
from celery_operator.reconcile.status import build as building
from celery_operator.reconcile.status.view import StatusView
from celery_operator.telemetry.metrics import Metrics
from tests.unit.desired.clusters import cluster

Json = dict[str, Any]
LENGTH: Json = {"autoscaling": {"minReplicas": 0, "maxReplicas": 9, "targetQueueLength": 2}}
LATENCY: Json = {
    "autoscaling": {"minReplicas": 0, "maxReplicas": 9, "targetLatency": "30s", "expectedTaskDuration": "1s"}
}


class Hub:
    """A broker whose readings the test gives."""

    def __init__(self, on_reading: Callable[[ClusterKey], None]) -> None:
        self.on_reading = on_reading
        self.last: Reading | None = None
        self.wish: Wish | None = None
        self.beats: dict[str, Heartbeat] = {}

    def use(self, key: ClusterKey, wish: Wish) -> None:
        self.wish = wish

    def forget(self, key: ClusterKey) -> None: ...

    def reading(self, key: ClusterKey) -> Reading | None:
        return self.last

    def heartbeats(self, key: ClusterKey) -> Mapping[str, Heartbeat]:
        return self.beats

    async def stop(self) -> None: ...


class Reports:
    """Workers that answer what the test says."""

    def __init__(self, on_start: Callable[[ClusterKey], None]) -> None:
        self.on_start = on_start
        self.said: dict[str, WorkerReport] = {}
        self.held: set[str] = set()
        self.watched: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self.often: set[str] = set()

    def watch(self, key: ClusterKey, pods: Mapping[str, PodAddress], *, often: Collection[str] = ()) -> None:
        self.watched = set(pods)
        self.often = set(often)

    def ask(self, uid: str, occasion: str) -> bool:
        self.asked.append((uid, occasion))
        return uid in self.watched

    def forget(self, key: ClusterKey) -> None: ...

    def get(self, uid: str) -> WorkerReport | None:
        return self.said.get(uid)

    def refuses(self, uid: str) -> str | None:
        return None

    def is_held(self, uid: str) -> bool:
        return uid in self.held

    def hold(self, address: PodAddress, boot_id: str, seconds: float) -> None:
        self.held.add(address.uid)

    def let_go(self, address: PodAddress) -> None:
        self.held.discard(address.uid)

    async def stop(self) -> None: ...


class Rig:
    """One CeleryCluster, its autoscaler, and the passes that it asked for."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.leading = True
        self.passes_fail = False
        self.address: BrokerAddress | None = BrokerAddress(url="redis://broker")
        self.cache = ObjectCache(kinds.CELERY_CLUSTER)
        self.metrics = Metrics()
        self.passes: list[ClusterKey] = []
        self._versions = iter(range(1, 10_000))
        self.scaler = Autoscaler(
            cache=self.cache,
            hub=self._make_hub,  # type: ignore[arg-type]
            reports=self._make_reports,  # type: ignore[arg-type]
            resolve=self._resolve,
            on_change=self.passes.append,
            leads=lambda: self.leading,
            observer=self.metrics.autoscaling,
            clock=lambda: self.now,
            now=self.wall,
            random=lambda: 0.5,
        )

    def wall(self) -> datetime:
        return datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=self.now - 1000.0)

    def _make_hub(self, on_reading: Callable[[ClusterKey], None]) -> Hub:
        self.hub = Hub(on_reading)
        return self.hub

    def _make_reports(self, on_start: Callable[[ClusterKey], None]) -> Reports:
        self.reports = Reports(on_start)
        return self.reports

    async def _resolve(self, key: ClusterKey) -> BrokerAddress | None:
        return self.address

    def watch(self, *groups: Json) -> None:
        """What a pass tells of a spec with these groups, each time of a new generation."""
        generation = next(self._versions)
        shop = cluster({"workers": [{"concurrency": 1, **group} for group in groups]})
        shop = shop.model_copy(update={"metadata": shop.metadata.model_copy(update={"generation": generation})})
        self.key = ClusterKey(namespace=shop.metadata.namespace, name=shop.metadata.name)
        self.put_cluster()
        self.watch_as(shop)

    def put_cluster(self, **body: Any) -> None:
        """The CeleryCluster as the API server has it."""
        self._put(kinds.CELERY_CLUSTER.api_version, kinds.CELERY_CLUSTER.kind, self.key.name, spec={}, **body)

    def watch_as(self, shop: CeleryCluster) -> None:
        self.shop = shop
        self.scaler.watch(self.key, shop)

    def _write_status(self) -> None:
        """What a pass leaves behind."""
        view = StatusView(
            cluster=self.shop,
            live=self.cache.children(self.key),
            pods=(),
            broker=REACHABLE,
            autoscaling=self.scaler.views(self.key),
        )
        previous = (self.cache.cluster(self.key) or {}).get("status") or {}
        self.put_cluster(status=building.build(view, previous, self.wall())[0])

    def deployment(self, group: str, replicas: int) -> None:
        """The group's Deployment, whose pods do not matter."""
        name = f"{self.key.name}-worker-{group}"
        status = {"observedGeneration": 1, "replicas": 0, "updatedReplicas": 0}
        self._put(DEPLOYMENT.api_version, DEPLOYMENT.kind, name, spec={"replicas": replicas}, status=status)

    def pod(self, group: str, name: str) -> None:
        """A pod of the group that is Ready and idle."""
        labels = {"app.kubernetes.io/component": "worker", "celery-operator.dev/worker-group": group}
        spec = {"containers": [{"name": "worker", "ports": [{"name": "probes", "containerPort": 9540}]}]}
        status = {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}
        self._put(POD.api_version, POD.kind, name, labels=labels, spec=spec, status=status)
        self.reports.said[f"uid-{name}"] = WorkerReport(
            at=self.now, boot_id="boot", slots=1, active=0, reserved=0, held=0, eta=0, processed=0,
            started=True, shutting_down=False, draining=False, drained=False,
        )  # fmt: skip

    def _put(self, api_version: str, kind: str, name: str, labels: Json | None = None, **body: Any) -> None:
        metadata = {
            "name": name,
            "namespace": self.key.namespace,
            "uid": f"uid-{name}",
            "generation": 1,
            "creationTimestamp": "2026-11-21T00:00:00Z",
            "resourceVersion": str(next(self._versions)),
            "labels": {"celery-operator.dev/cluster": self.key.name, **(labels or {})},
        }
        self.cache.put({"apiVersion": api_version, "kind": kind, "metadata": metadata, **body})

    def look(self, seconds: float = 2.0, **ready: int | Depth) -> None:
        """The next reading, by queue."""
        self.now += seconds
        depths = {name: found if isinstance(found, Depth) else Depth(ready=found) for name, found in ready.items()}
        self.hub.last = Reading(at=self.now, depths=depths)
        passes = len(self.passes)
        self.hub.on_reading(self.key)
        if len(self.passes) > passes and not self.passes_fail:
            self._write_status()

    def metric(self, name: str, **labels: str) -> float | None:
        """A sample of the metrics of one group."""
        known = {"namespace": self.key.namespace, "cluster": self.key.name}
        return self.metrics.registry.get_sample_value(f"celery_operator_{name}", {**known, **labels})


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.scaler.stop()


async def test_a_target_does_not_outlive_the_spec_that_it_was_decided_for(rig: Rig) -> None:
    rig.watch({"name": "web", "queues": ["web"], **LENGTH})
    rig.deployment("web", 5)
    rig.look(web=0)
    assert rig.scaler.targets(rig.key)["web"].replicas == 5
    rig.watch({"name": "web", "queues": ["web"], "externalScaling": {}})
    assert rig.scaler.targets(rig.key) == {}


async def test_a_solo_worker_that_never_rests_is_busy_and_its_tasks_take_their_time(rig: Rig) -> None:
    """Its heartbeats come between its tasks and say 0 active: tasks would take no time, and one pod do for all."""
    rig.watch({"name": "web", "queues": ["web"], "pool": "solo", **LATENCY}, {"name": "other", "queues": ["other"]})
    rig.deployment("web", 1)
    rig.pod("web", "web-1")
    rig.pod("other", "other-1")
    rig.pod("other", "other-2")
    rig.hub.beats["other@other-1"] = Heartbeat(nodename="other@other-1", at=rig.now, active=0, processed=0)
    for task in range(100):  # one after the other, each of three seconds
        beat = Heartbeat(nodename="web@web-1", at=rig.now, active=0, processed=task)
        rig.hub.beats["web@web-1"] = beat
        for at in (1.0, 1.0, 1.0):
            rig.reports.said["uid-web-1"] = replace(rig.reports.said["uid-web-1"], at=rig.now, active=1, processed=task)
            rig.look(at, web=400, other=0)
    view = rig.scaler.views(rig.key)["web"]
    assert view.load is not None
    assert [worker.busy_slots for worker in view.load.workers] == [1]
    assert view.service_seconds == pytest.approx(3.0, rel=0.1)
    assert rig.scaler.targets(rig.key)["web"].replicas == 9
    assert rig.reports.often == {"uid-web-1", "uid-other-2"}, "nor is the latter heard at all"


async def test_a_solo_worker_that_rests_in_between_has_not_done_each_task_twice(rig: Rig) -> None:
    """What its heartbeats tell of a task comes when that has ended, and its end is told by the next answer."""
    rig.watch({"name": "web", "queues": ["web"], "pool": "solo", **LATENCY})
    rig.deployment("web", 1)
    rig.pod("web", "web-1")
    for second in range(1_800):  # a task of 20 s every 30 s; asked every 5 s, from 3 s after its begin on
        task, into = divmod(second, 30)
        if into >= 20:
            rig.hub.beats["web@web-1"] = Heartbeat(nodename="web@web-1", at=rig.now, active=0, processed=task + 1)
        if into % 5 == 3:
            said, busy = rig.reports.said["uid-web-1"], int(into < 20)
            rig.reports.said["uid-web-1"] = replace(said, at=rig.now, active=busy, processed=task + 1)
        rig.look(1.0, web=0)
    assert rig.scaler.views(rig.key)["web"].service_seconds == pytest.approx(20.0, rel=0.1)


async def test_the_expected_duration_counts_whenever_it_is_given(rig: Rig) -> None:
    rig.watch({"name": "web", "queues": ["web"], "replicas": 1})
    rig.deployment("web", 1)
    rig.look(web=0)
    rig.watch({"name": "web", "queues": ["web"], **LATENCY})
    rig.look(web=30)
    view = rig.scaler.views(rig.key)["web"]
    assert view.service_seconds == 1.0
    assert view.decision is not None
    assert view.decision.want <= 4
    longer = {"autoscaling": {**LATENCY["autoscaling"], "expectedTaskDuration": "60s"}}
    rig.watch({"name": "web", "queues": ["web"], **longer})
    rig.look(web=1)
    assert rig.scaler.views(rig.key)["web"].service_seconds == 60.0


async def test_an_operator_that_starts_while_a_group_is_at_zero_expects_pods_as_large_as_their_cpu(rig: Rig) -> None:
    """`concurrency: auto`: nobody can be asked, and pods of one slot each would be four times as many."""
    large = {"concurrency": "auto", "resources": {"limits": {"cpu": 4}}, "queues": ["web"]}
    slow = {"autoscaling": {**LATENCY["autoscaling"], "expectedTaskDuration": "60s"}}  # a slot for each task
    rig.watch({"name": "web", **large, **slow}, {"name": "small", "queues": ["web"], "replicas": 36})
    rig.deployment("web", 0)
    rig.look(web=24)
    view = rig.scaler.views(rig.key)["web"]
    assert view.load is not None
    assert view.load.slots_per_worker == 4
    assert view.load.queues[0].share == 0.5, "9 pods of 4 slots and 36 of one"
    assert rig.scaler.targets(rig.key)["web"].replicas == 3, "12 of the tasks"


async def test_a_group_that_only_shows_its_decisions_takes_no_more_of_a_queue_than_its_pods_can(rig: Rig) -> None:
    shown = {"autoscaling": {**LENGTH["autoscaling"], "maxReplicas": 90, "dryRun": True}}
    rig.watch({"name": "next", "queues": ["web"], **shown}, {"name": "web", "queues": ["web"], **LENGTH})
    rig.deployment("next", 1)
    rig.deployment("web", 0)
    rig.look(web=18)
    rig.look(web=18)
    assert rig.scaler.targets(rig.key)["web"].replicas == 9, "all but one in ten, and not one in eleven"


async def test_a_removed_group_has_no_metrics_and_nobody_drained(rig: Rig) -> None:
    rig.watch({"name": "web", "queues": ["web"], **LENGTH}, {"name": "old", "queues": ["old"], **LENGTH})
    rig.deployment("web", 1)
    rig.deployment("old", 1)
    rig.pod("old", "old-1")
    rig.look(web=0, old=7)
    rig.reports.held.add("uid-old-1")
    assert rig.metric("backlog", group="old", state="due") == 7
    rig.watch({"name": "web", "queues": ["web"], **LENGTH})
    rig.look(web=0)
    assert rig.metric("backlog", group="old", state="due") is None
    assert rig.metric("reading_age_seconds", group="old") is None
    assert rig.metric("backlog", group="web", state="due") == 0
    assert not rig.reports.held


async def test_a_paused_cluster_lets_everybody_go(rig: Rig) -> None:
    rig.watch({"name": "web", "queues": ["web"], **LENGTH})
    rig.pod("web", "web-1")
    rig.reports.held.add("uid-web-1")
    rig.watch_as(cluster({"workers": [{"name": "web", "queues": ["web"], **LENGTH}], "paused": True}))
    assert not rig.reports.held
    assert not rig.scaler.knows(rig.key)


async def test_unacked_messages_are_asked_for_steadily(rig: Rig) -> None:
    """As long as somebody may have left some: an answer every other time would be another decision every time."""
    rig.watch({"name": "web", "queues": ["web"], **LENGTH})
    rig.deployment("web", 1)
    await asyncio.sleep(0)
    asked = []
    rig.look(web=0)
    for _ in range(200):
        assert rig.hub.wish is not None
        rig.look(web=Depth(ready=0, unacked=3 if rig.hub.wish.unacked else None))
        asked.append(rig.hub.wish.unacked)
    assert sum(one != two for one, two in itertools.pairwise(asked)) <= 2
    assert len(rig.passes) < 20


async def test_a_pass_that_fails_is_left_to_the_queue(rig: Rig) -> None:
    rig.passes_fail = True
    rig.watch({"name": "web", "queues": ["web"], **LENGTH})
    rig.deployment("web", 1)
    rig.look(web=100)
    rig.passes.clear()
    for _ in range(30):
        rig.look(web=100)
    assert len(rig.passes) <= 3


async def test_who_does_not_lead_looks_at_nothing(rig: Rig) -> None:
    rig.watch({"name": "web", "queues": ["web"], **LENGTH})
    rig.deployment("web", 1)
    rig.leading = False
    rig.look(web=100)
    assert rig.scaler.targets(rig.key) == {}


async def test_figures_are_told_now_and_then(rig: Rig) -> None:
    rig.watch({"name": "web", "queues": ["web"], "replicas": 1})
    rig.deployment("web", 1)
    rig.look(web=0)
    rig.passes.clear()
    for waiting in range(1, 61):
        rig.look(web=waiting)
    assert 3 <= len(rig.passes) <= 5
    rig.passes.clear()
    for _ in range(60):
        rig.look(web=60)
    assert len(rig.passes) <= 1


async def test_figures_that_a_pass_could_not_write_yet_are_told_when_their_time_has_come(rig: Rig) -> None:
    """A pass for something else wrote the status a moment ago: what is left of the change must not be lost."""
    rig.watch({"name": "web", "queues": ["web"], "replicas": 1})
    rig.deployment("web", 1)
    rig.look(web=0)
    written = rig.cache.cluster(rig.key)
    assert written is not None
    younger = (rig.wall() + timedelta(seconds=20)).strftime("%Y-%m-%dT%H:%M:%SZ")
    rig.put_cluster(status={**written["status"], "loadTime": younger})
    rig.passes.clear()
    for _ in range(24):
        rig.look(web=15)
    assert not rig.passes
    for _ in range(15):
        rig.look(web=15)
    assert len(rig.passes) == 1
    told = rig.cache.cluster(rig.key)
    assert told is not None
    assert told["status"]["workers"][0]["backlog"] == 15


async def test_a_suspended_cluster_shows_its_load_and_decides_nothing(rig: Rig) -> None:
    """Who is on call wants to know what piles up; whoever was drained is let go first."""
    rig.watch({"name": "web", "queues": ["web"], **LENGTH})
    rig.deployment("web", 2)
    rig.pod("web", "web-1")
    rig.reports.held.add("uid-web-1")
    shop = cluster({"workers": [{"name": "web", "queues": ["web"], **LENGTH}], "suspend": True})
    rig.watch_as(shop.model_copy(update={"metadata": shop.metadata.model_copy(update={"generation": 77})}))
    rig.look(web=500)
    assert not rig.reports.held
    assert rig.scaler.targets(rig.key)["web"].replicas is None
    seen = rig.scaler.views(rig.key)["web"]
    assert (seen.suspended, seen.decision) == (True, None)
    assert rig.metric("backlog", group="web", state="due") == 500


async def test_a_new_leader_takes_over_what_tasks_take_and_tells_of_it_by_the_figures(rig: Rig) -> None:
    rig.watch({"name": "web", "queues": ["web"], **LATENCY})
    rig.deployment("web", 1)
    status = {"workers": [{"name": "web", "taskDuration": "20s"}]}
    rig.put_cluster(status=status)
    rig.look(web=30)
    assert rig.scaler.views(rig.key)["web"].service_seconds == 20.0
    rig.passes.clear()
    for _ in range(120):
        rig.look(web=30)
    assert len(rig.passes) <= 2, "nothing new to write"


async def test_who_scales_otherwise_is_told_to_keep_one_until_nothing_is_taken(rig: Rig) -> None:
    rig.watch({"name": "web", "queues": ["web"], "externalScaling": {}})
    rig.deployment("web", 1)
    rig.pod("web", "web-1")
    await asyncio.sleep(0)

    def want(unacked: int | None) -> object:
        rig.look(web=Depth(ready=0, unacked=unacked))
        return load_document(rig.scaler.views(rig.key)["web"], rig.now)["want"]

    assert want(None) == 1
    assert rig.hub.wish is not None
    assert rig.hub.wish.unacked, "it is asked for then"
    assert want(3) == 1
    assert want(0) == 0


@pytest.mark.parametrize(("fixed", "last"), [(1, 0), (0, 1)])
async def test_what_a_group_that_names_no_queues_holds_keeps_no_other_group_awake(
    rig: Rig, fixed: int, last: int
) -> None:
    """Nobody asks its workers what they hold. Where it has any, they bring back what a lost worker held, too."""
    rig.watch({"name": "all", "replicas": fixed}, {"name": "burst", "queues": ["celery"], **LENGTH})
    rig.deployment("burst", 1)
    rig.pod("burst", "burst-1")
    await asyncio.sleep(0)
    for _ in range(100):
        rig.pod("burst", "burst-1")
        rig.look(celery=Depth(ready=0, unacked=5))
    decision = rig.scaler.views(rig.key)["burst"].decision
    assert decision is not None
    assert decision.desired == last


async def test_nobody_asks_what_is_taken_for_a_group_of_a_fixed_size(rig: Rig) -> None:
    rig.watch({"name": "web", "queues": ["web"], "replicas": 1})
    rig.deployment("web", 1)
    rig.pod("web", "web-1")
    await asyncio.sleep(0)
    rig.look(web=0)
    assert rig.hub.wish is not None
    assert not rig.hub.wish.unacked


async def test_the_last_reading_is_given_away_as_long_as_it_says_something_about_now(rig: Rig) -> None:
    rig.watch({"name": "web", "queues": ["web"], "replicas": 1})
    rig.deployment("web", 1)
    assert rig.scaler.reading(rig.key) is None
    await asyncio.sleep(0)
    rig.look(web=0)
    assert rig.scaler.reading(rig.key) == rig.hub.last
    rig.now += 25
    assert rig.scaler.reading(rig.key) is None
    assert rig.scaler.reading(ClusterKey(namespace="shop", name="other")) is None
