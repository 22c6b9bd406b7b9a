"""Looks at every autoscaled group whenever its broker was read, and keeps what the pass is to write.

It writes nothing to Kubernetes itself. What it does do at once is to tell workers to drain and to consume again: that
is a lease, and harmless when it was a mistake.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from celery_operator.api.cluster import CeleryCluster
from celery_operator.api.workers import WorkerGroup
from celery_operator.desired import names
from celery_operator.desired.queues import consumed_by
from celery_operator.kube.objects import DEPLOYMENT, POD, Manifest, ObjectRef
from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Reading
from celery_operator.observe.broker.hub import BrokerHub, Wish
from celery_operator.observe.cache import ObjectCache
from celery_operator.observe.key import ClusterKey
from celery_operator.observe.snapshot import Target
from celery_operator.observe.worker_report import PodAddress
from celery_operator.observe.worker_reports import WorkerReports
from celery_operator.reconcile.autoscaling import observation, policy, queues
from celery_operator.reconcile.autoscaling.document import demand_of
from celery_operator.reconcile.autoscaling.group import Group, Look, Outcome
from celery_operator.reconcile.autoscaling.observation import Surroundings
from celery_operator.reconcile.autoscaling.stall import STALLED_SECONDS
from celery_operator.reconcile.autoscaling.view import GroupView
from celery_operator.reconcile.consumption import GRACE
from celery_operator.reconcile.lint_facts import AWAITED, NO_FACTS, Facts, facts_of
from celery_operator.reconcile.status import load

_LOG = logging.getLogger(__name__)

LEASE: Final = 30.0
"""Seconds for which a worker stays drained without another word from us."""
RESOLVE_PERIOD: Final = 30.0
"""Seconds between two looks at the Secret with the broker's URL."""
RESOLVE_RETRY: Final = 3.0
"""The same while there is no URL, or while the broker refuses what it holds."""
_JITTER: Final = 0.2
TELL_PERIOD: Final = 30.0
"""Seconds between two passes for nothing but other load figures in the status, and between two looks at the facts."""
_GATHER: Final = 0.05
"""Seconds in which further workers that begin to consume join the same look: less than the queue waits for events, so
that what they say of themselves is in the status that calls them ready."""
READING_AGE: Final = 20.0
"""Seconds that a reading says something about its broker: longer than the longest pause and the longest reading."""
_REFUSED: Final = "AuthenticationFailed"


class Observer(Protocol):
    """What looks tell a metrics registry."""

    def observe(self, namespace: str, cluster: str, view: GroupView, now: float) -> None: ...
    def forget(self, namespace: str, cluster: str, group: str | None = None) -> None: ...
    def drained(self, namespace: str, cluster: str, group: str, seconds: float) -> None: ...
    def wrong_pick(self, namespace: str, cluster: str, group: str) -> None: ...


@dataclass(slots=True)
class _Cluster:
    """What is remembered of one CeleryCluster."""

    model: CeleryCluster
    version: str
    since: float
    """When its workers began to be asked."""
    address: BrokerAddress | None = None
    groups: dict[str, Group] = field(default_factory=dict)
    views: dict[str, GroupView] = field(default_factory=dict)
    targets: dict[str, Target] = field(default_factory=dict)
    told_at: float = float("-inf")
    """When a pass for nothing but load figures was asked for."""
    facts: Facts = AWAITED
    facts_at: float = float("-inf")
    news: asyncio.TimerHandle | None = None
    """The look at workers that have just begun to consume."""
    resolve: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def end(self) -> None:
        """Cancel what would go on by itself."""
        if self.task is not None:
            self.task.cancel()
        if self.news is not None:
            self.news.cancel()


class Autoscaler:
    """Serves all CeleryClusters with groups that scale by their load, or whose load somebody else asks for."""

    def __init__(
        self,
        *,
        cache: ObjectCache,
        hub: Callable[[Callable[[ClusterKey], None]], BrokerHub],
        reports: Callable[[Callable[[ClusterKey], None]], WorkerReports],
        resolve: Callable[[ClusterKey], Awaitable[BrokerAddress | None]],
        on_change: Callable[[ClusterKey], None],
        leads: Callable[[], bool],
        observer: Observer,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        random: Callable[[], float],
    ) -> None:
        self._cache = cache
        self._hub = hub(self._look)
        self._reports = reports(self._worker_started)
        self._resolve = resolve
        self._on_change = on_change
        self._leads = leads
        self._observer = observer
        self._clock = clock
        self._now = now
        self._random = random
        self._clusters: dict[ClusterKey, _Cluster] = {}

    def watch(self, key: ClusterKey, cluster: CeleryCluster) -> None:
        """Follow this cluster as its spec now is; a paused one, and one without such groups, no longer."""
        if cluster.spec.paused or not any(policy.watched(group) for group in cluster.spec.workers):
            self.forget(key)
            return
        version = f"{cluster.metadata.uid}/{cluster.metadata.generation}"
        known = self._clusters.get(key)
        if known is None:
            known = self._clusters[key] = _Cluster(model=cluster, version=version, since=self._clock())
            known.task = asyncio.create_task(self._follow(key, known), name=f"autoscaler {key}")
        elif known.version != version:
            known.model, known.version = cluster, version
            known.targets.clear()  # decided for another spec
            self._drop_groups(key, known)
            known.resolve.set()

    def forget(self, key: ClusterKey) -> None:
        """End everything for this cluster; pods that are drained are told to consume again."""
        known = self._clusters.pop(key, None)
        if known is None:
            return
        known.end()
        for pods in observation.pods_by_group(self._pods(key)).values():
            self._let_go(pods)
        self._hub.forget(key)
        self._reports.forget(key)
        self._observer.forget(key.namespace, key.name)

    def pod_ready(self, key: ClusterKey, pod: Manifest, since: str) -> None:
        """A pod has turned Ready: ask it what it is, once for each time, so that the status knows it from then on."""
        known = self._clusters.get(key)
        if known is not None and not self._reports.ask(pod["metadata"]["uid"], since):
            self._watch_pods(key, known, observation.pods_by_group(self._pods(key)))  # the first question comes at once

    def _worker_started(self, key: ClusterKey) -> None:
        known = self._clusters.get(key)
        if known is None:
            return
        known.facts_at = float("-inf")
        if known.news is None or known.news.when() <= asyncio.get_running_loop().time():
            known.news = asyncio.get_running_loop().call_later(_GATHER, self._look_at_news, key)

    def _look_at_news(self, key: ClusterKey) -> None:
        if self._hub.reading(key) is not None:  # else the first one is about to come
            self._look(key)

    def _drop_groups(self, key: ClusterKey, known: _Cluster) -> None:
        """Forget groups that are looked at no longer; whoever is drained there consumes again."""
        pods = observation.pods_by_group(self._pods(key))
        for gone in known.views.keys() - {group.name for group in _watched(known.model)}:
            known.groups.pop(gone, None)
            known.views.pop(gone, None)
            self._let_go(pods.get(gone, ()))
            self._observer.forget(key.namespace, key.name, gone)

    def _let_go(self, pods: Iterable[Manifest]) -> None:
        for pod in pods:
            where, uid = observation.address(pod), pod["metadata"]["uid"]
            if where is not None and observation.is_drained(self._reports.get(uid), self._reports.is_held(uid)):
                self._reports.let_go(where)

    def targets(self, key: ClusterKey) -> Mapping[str, Target]:
        """What the pass has to write, by group."""
        known = self._clusters.get(key)
        return {} if known is None else dict(known.targets)

    def views(self, key: ClusterKey) -> Mapping[str, GroupView]:
        """What is known, by group."""
        known = self._clusters.get(key)
        return {} if known is None else dict(known.views)

    def facts(self, key: ClusterKey) -> Facts:
        """What the linter may know of workers and broker, at most TELL_PERIOD old; empty where nobody looks."""
        known = self._clusters.get(key)
        return NO_FACTS if known is None else known.facts

    def knows(self, key: ClusterKey, group: str | None = None) -> bool:
        """Whether the cluster, or this group of it, is looked at, though perhaps not yet."""
        known = self._clusters.get(key)
        return known is not None and (group is None or any(each.name == group for each in _watched(known.model)))

    def reading(self, key: ClusterKey) -> Reading | None:
        """The last reading of the cluster's broker, as long as it says something about now; None where nobody reads."""
        known = self._clusters.get(key)
        found = None if known is None or known.address is None else self._hub.reading(key)
        return found if found is not None and self._clock() - found.at <= READING_AGE else None

    async def stop(self) -> None:
        """End all tasks. Drains run out by themselves, or the next leader takes them over."""
        tasks = [known.task for known in self._clusters.values() if known.task is not None]
        for known in self._clusters.values():
            known.end()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._hub.stop()
        await self._reports.stop()

    async def _follow(self, key: ClusterKey, known: _Cluster) -> None:
        """Keep the broker's address current, as a rotated Secret may change it at any time."""
        while True:
            known.resolve.clear()
            try:
                known.address = await self._resolve(key)
            except Exception as error:  # noqa: BLE001 - whatever the API server answers: the last address stays
                _LOG.warning("the broker's address of %s cannot be read: %s", key, type(error).__name__)
            self._watch_pods(key, known, observation.pods_by_group(self._pods(key)))
            if known.address is not None:
                self._hub.use(key, self._wish(key, known, known.address))
            elif known.facts == AWAITED and self._clock() - known.since >= GRACE:
                known.facts = NO_FACTS  # nothing is read or asked without an address, and it may never come
                self._on_change(key)
            waiting = known.address is None or _refused(self._hub.reading(key))
            period = RESOLVE_RETRY if waiting else RESOLVE_PERIOD
            with_jitter = period * (1 + _JITTER * (2 * self._random() - 1))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(with_jitter):
                    await known.resolve.wait()

    def _wish(self, key: ClusterKey, known: _Cluster, address: BrokerAddress) -> Wish:
        """What is to be read, how often, and whether a group may be about to go to zero."""
        views = [view for group in _watched(known.model) if (view := known.views.get(group.name)) is not None]
        fast = any(view.policy is not None and view.replicas == 0 for view in views)
        others = {group.name for group in known.model.spec.workers if group.external_scaling is not None}
        unacked = any(_needs_unacked(view, elsewhere=view.group in others) for view in views)
        wanted = frozenset(name for group in _watched(known.model) for name in consumed_by(known.model.spec, group))
        return Wish(address=address, queues=wanted, fast=fast, unacked=unacked)

    def _pods(self, key: ClusterKey) -> list[Manifest]:
        return [child for ref, child in self._cache.children(key).items() if ref.kind == POD]

    def _watch_pods(
        self, key: ClusterKey, known: _Cluster, by_group: Mapping[str, list[Manifest]]
    ) -> dict[str, PodAddress]:
        """Have all workers of the cluster asked what they do; where they are, by uid."""
        wanted = {group.name for group in _watched(known.model)}
        unheard, beats = _busy_unheard(known.model), self._hub.heartbeats(key)
        found: dict[str, PodAddress] = {}
        often: set[str] = set()
        for group, pods in by_group.items():
            for pod in pods if group in wanted else ():
                where = observation.address(pod)
                if where is not None:
                    found[where.uid] = where
                    # Nobody's heartbeats may be heard, or one worker was started without.
                    if group in unheard or f"{group}@{where.name}" not in beats:
                        often.add(where.uid)
        self._reports.watch(key, found, often=often)
        return found

    def _look(self, key: ClusterKey) -> None:
        """One look at all groups of a cluster; synchronous, and cheap."""
        known = self._clusters.get(key)
        manifest = self._cache.cluster(key)
        if known is None or manifest is None or "deletionTimestamp" in manifest["metadata"] or not self._leads():
            return
        pods = observation.pods_by_group(self._pods(key))
        everyone = self._watch_pods(key, known, pods)
        around = Surroundings(
            now=self._clock(),
            wall=self._now(),
            reading=self._hub.reading(key),
            heartbeats=self._hub.heartbeats(key),
            report=self._reports.get,
            held=frozenset(uid for uid in everyone if self._reports.is_held(uid)),
            refuses=self._reports.refuses,
            busy_unheard=_busy_unheard(known.model),
        )
        changed = False
        for group in _watched(known.model):
            changed = self._look_at(key, known, group, pods, around) or changed
        if around.now - known.facts_at >= TELL_PERIOD:
            known.facts_at, former = around.now, known.facts
            known.facts = facts_of(
                known.address,
                around,
                pods,
                former.broker,
                stalled=_idle(known.views, around.now - STALLED_SECONDS),
                idle=_idle(known.views, around.now),
                asked_long=around.now - known.since >= GRACE,
            )
            changed = changed or known.facts != former
        if known.address is not None:
            self._hub.use(key, self._wish(key, known, known.address))
        if _refused(around.reading):
            known.resolve.set()  # the password may have been rotated
        if not changed and around.now - known.told_at >= TELL_PERIOD:
            changed = load.due(known.model, known.views, manifest.get("status") or {}, around.wall)
            known.told_at = around.now if changed else known.told_at
        if changed:
            self._on_change(key)

    def _look_at(
        self,
        key: ClusterKey,
        known: _Cluster,
        group: WorkerGroup,
        pods: Mapping[str, list[Manifest]],
        around: Surroundings,
    ) -> bool:
        """One group; whether the pass has something to do for it."""
        name = names.worker(key.name, group.name)
        deployment = self._cache.get(ObjectRef(kind=DEPLOYMENT, namespace=key.namespace, name=name))
        if deployment is None:
            known.targets.pop(group.name, None)
            return False
        memory = known.groups.get(group.name)
        if memory is None:
            status = (self._cache.cluster(key) or {}).get("status") or {}
            memory = known.groups[group.name] = Group.starting(load.task_seconds(status, group.name))
        look = Look(
            group=group.name,
            queues=consumed_by(known.model.spec, group),
            policy=None if known.model.spec.suspend else policy.policy(group),
            slots=queues.slots(group, around, pods.get(group.name, ())),
            expected_slots=policy.expected_slots(group),
            prior=policy.prior(group),
            deployment=deployment,
            pods=tuple(pods.get(group.name, ())),
            sharing=queues.sharing(known.model, group, known.views),
            around=around,
            dry_run=policy.dry_run(group),
            suspended=bool(known.model.spec.suspend),
        )
        outcome = memory.look(look)
        self._carry_out(key, group.name, outcome, around.held)
        before, known.views[group.name] = known.views.get(group.name), outcome.view
        former, known.targets[group.name] = known.targets.get(group.name), outcome.target
        return _worth_a_pass(before, outcome, former, deployment)

    def _carry_out(self, key: ClusterKey, group: str, outcome: Outcome, held: frozenset[str]) -> None:
        """Tell the workers, and count."""
        for where, boot_id in outcome.hold:
            if where.uid not in held:
                self._reports.hold(where, boot_id, LEASE)
        for where in outcome.let_go:
            self._reports.let_go(where)
        for pod in outcome.lost:
            _LOG.warning("pod %s/%s was not to go, and went instead of a drained one", key.namespace, pod)
            self._observer.wrong_pick(key.namespace, key.name, group)
        for seconds in outcome.drained_after:
            self._observer.drained(key.namespace, key.name, group, seconds)
        self._observer.observe(key.namespace, key.name, outcome.view, self._clock())


def _needs_unacked(view: GroupView, *, elsewhere: bool) -> bool:
    """Whether it decides something what workers hold. ``elsewhere``: somebody else decides, and reads our figures."""
    if view.decision is not None:
        return view.decision.needs_unacked
    found = demand_of(view) if elsewhere and view.replicas > 0 else None
    return found is not None and found.at_rest


def _idle(views: Mapping[str, GroupView], by: float) -> frozenset[str]:
    """Groups that have taken nothing since that moment, or longer, although tasks wait."""
    since = {name: view.stalled_since for name, view in views.items()}
    return frozenset(name for name, at in since.items() if at is not None and at <= by)


def _refused(reading: Reading | None) -> bool:
    return reading is not None and reading.problem is not None and reading.problem.reason == _REFUSED


def _watched(cluster: CeleryCluster) -> list[WorkerGroup]:
    return [group for group in cluster.spec.workers if policy.watched(group)]


def _busy_unheard(cluster: CeleryCluster) -> frozenset[str]:
    return frozenset(group.name for group in cluster.spec.workers if policy.busy_unheard(group))


def _worth_a_pass(before: GroupView | None, outcome: Outcome, former: Target | None, deployment: Manifest) -> bool:
    """Whether something is to be written: another number, a mark, or another state to be told in the status."""
    target, view = outcome.target, outcome.view
    if target.marks or target.replicas not in (None, deployment["spec"].get("replicas", 1)):
        return former != target  # what a pass could not write, the queue tries again in its own time
    if before is None or before.problem != view.problem or (before.decision is None) != (view.decision is None):
        return True
    return before.decision is not None and view.decision is not None and before.decision.reason != view.decision.reason
