"""The pass for one CeleryCluster: observe, plan, apply, status. It waits for nothing but the API server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Protocol

from pydantic import ValidationError

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import connections, names, queues
from celery_operator.desired.platform import Platform
from celery_operator.desired.runtime_configmap import Runtime
from celery_operator.kube.client import KubeClient
from celery_operator.kube.errors import ApiError, Unavailable
from celery_operator.kube.events import EventRecorder
from celery_operator.kube.objects import POD, SECRET, STATEFUL_SET, Manifest, ObjectRef
from celery_operator.lint.linter import Linter
from celery_operator.lint.rule import Finding
from celery_operator.observe.broker.queue_comparison import Comparison
from celery_operator.observe.broker.reachability import UNKNOWN, Reachability
from celery_operator.observe.cache import ObjectCache, strip
from celery_operator.observe.key import ClusterKey
from celery_operator.observe.references import Readings, ReferenceReader
from celery_operator.observe.snapshot import Snapshot, Target
from celery_operator.reconcile import deadlines, queue_agreement, scaling_events
from celery_operator.reconcile import plan as planning
from celery_operator.reconcile.apply import AppliedMemory, Applier, Rejected
from celery_operator.reconcile.autoscaling.view import GroupView
from celery_operator.reconcile.lint_facts import Facts
from celery_operator.reconcile.messenger import Messenger
from celery_operator.reconcile.neighbourhoods import Neighbourhoods
from celery_operator.reconcile.plan import Blocked, Plan
from celery_operator.reconcile.status import build as status_building
from celery_operator.reconcile.status import former_warnings, queues_match
from celery_operator.reconcile.status.build import StatusEvent
from celery_operator.reconcile.status.view import StatusView
from celery_operator.reconcile.status_writer import StatusWriter

DEADLINE: Final = 30.0
"""Seconds for one pass."""
_WORK_DEADLINE: Final = 25.0
"""Seconds for looking and writing; the rest is for telling in the status that it was too slow."""
_RETRY_REJECTED: Final = 60.0
"""Seconds until a refused spec is tried again: an admission policy may have refused it, and have changed."""
REFERENCES_PERIOD: Final = 30.0
"""Seconds between two looks at the Secrets and ConfigMaps that pods read: nobody tells of their changes."""
_JITTER: Final = 0.2

_ROTATED: Final = (
    "pods are replaced, each worker when it has finished its tasks, because the data changed that they read at their "
    "start from {}"
)
_UNKNOWN_SOURCE: Final = "a Secret or ConfigMap"
"""Where the change happened before this process looked for the first time."""


class Scaler(Protocol):
    """The autoscaler as a pass sees it."""

    def watch(self, key: ClusterKey, cluster: CeleryCluster) -> None: ...
    def knows(self, key: ClusterKey) -> bool: ...
    def forget(self, key: ClusterKey) -> None: ...
    def targets(self, key: ClusterKey) -> Mapping[str, Target]: ...
    def views(self, key: ClusterKey) -> Mapping[str, GroupView]: ...
    def facts(self, key: ClusterKey) -> Facts: ...


class Comparer(Protocol):
    """Who compares declared queues with a broker's, beside the passes."""

    def known(self, key: ClusterKey, identity: str) -> Comparison | None: ...
    def begin(self, key: ClusterKey, identity: str, declared: Sequence[Mapping[str, Any]]) -> None: ...
    def forget(self, key: ClusterKey) -> None: ...


class PassObserver(Protocol):
    """What passes tell a metrics registry."""

    def references_changed(self) -> None: ...
    def rollout_held(self) -> None: ...
    def found(self, namespace: str, cluster: str, findings: Sequence[Finding]) -> None: ...
    def told(self, namespace: str, cluster: str, conditions: Sequence[Mapping[str, str]]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a plan. `failure` is what the API server answered to a write that may succeed later."""

    plan: Plan
    again: bool = False
    failure: ApiError | None = None
    reads_references: bool = False
    changed: tuple[str, ...] = ()
    """`Kind name` of Secrets and ConfigMaps whose data changed."""


class Reconciler:
    """Runs passes. One object serves all CeleryClusters; it keeps nothing but what the cache and memory hold."""

    def __init__(
        self,
        *,
        client: KubeClient,
        cache: ObjectCache,
        runtime: Runtime,
        events: EventRecorder,
        broker: Callable[[ClusterKey], Reachability],
        queues: Comparer,
        references: ReferenceReader,
        messenger: Messenger,
        scaler: Scaler,
        observer: PassObserver,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        random: Callable[[], float],
        platform: Callable[[], Platform] = Platform,
        on_neighbours: Callable[[ClusterKey], None] = lambda _: None,
        results: Callable[[ClusterKey], Reachability] = lambda _: UNKNOWN,
    ) -> None:
        """``on_neighbours``: told of a CeleryCluster that needs a pass, because another one on its broker changed."""
        self._client = client
        self._cache = cache
        self._runtime = runtime
        self._events = events
        self._broker = broker
        self._results = results
        self._queues = queues
        self._references = references
        self._messenger = messenger
        self._scaler = scaler
        self._observer = observer
        self._now = now
        self._clock = clock
        self._random = random
        self._platform = platform
        self._waiting: set[ClusterKey] = set()
        self._memory = AppliedMemory()
        self._linter = Linter(lambda broker: self._neighbourhoods.changed(broker))
        self._neighbourhoods = Neighbourhoods(members=self._linter.on, on_change=on_neighbours)
        self._applier = Applier(client, cache, self._memory)
        self._status = StatusWriter(client, cache, events)

    def learn_neighbours(self) -> None:
        """To be called before the first pass of all: else it would tell that warnings about neighbours are over."""
        for key in self._cache.clusters():
            manifest = self._cache.cluster(key)
            if manifest is not None and "deletionTimestamp" not in manifest["metadata"]:
                with contextlib.suppress(ValidationError):  # its own pass tells of it
                    self._linter.learn(CeleryCluster.model_validate({**manifest, "status": None}))

    async def reconcile(self, key: ClusterKey) -> float | None:
        """One pass; the seconds until the next one is wanted, None if only a change can make one necessary.

        Raises ApiError and NotLeader for what a later try may cure.
        """
        self.tell_deadlines(key)  # first of all, and whatever the spec is worth: it concerns tasks that run now
        async with asyncio.timeout(DEADLINE):
            manifest = self._cache.cluster(key)
            if manifest is None or "deletionTimestamp" in manifest["metadata"]:
                return None
            try:
                # Without the status: another version of the operator may have written it.
                cluster = CeleryCluster.model_validate({**manifest, "status": None})
            except ValidationError as error:
                if manifest["spec"].get("paused") is True:
                    self._scaler.forget(key)
                await self._write_invalid(manifest, error)
                return None
            return await self._pass(manifest, cluster)

    def tell_deadlines(self, key: ClusterKey) -> None:
        """Tell pods with a shortened grace period what is left of it, beside a pass that may be running."""
        self._messenger.tell(key, deadlines.find(self._pods(key)))

    def forget(self, key: ClusterKey) -> None:
        """Drop what is remembered of a CeleryCluster that is gone; of its deadlines when its last pod is gone, too."""
        if not self._pods(key):
            self._messenger.forget(key)
        self._memory.forget(key)
        self._references.forget(key)
        self._queues.forget(key)
        self._scaler.forget(key)
        self._waiting.discard(key)
        self._status.forget(key)
        self._linter.forget(key.namespace, key.name)
        self._observer.found(key.namespace, key.name, ())
        self._observer.told(key.namespace, key.name, ())

    async def _pass(self, manifest: Manifest, cluster: CeleryCluster) -> float | None:
        key = ClusterKey.of_cluster(manifest)
        outcome = await self._carry_out(cluster)
        if outcome.again:
            return 0.0
        plan, failure = outcome.plan, outcome.failure
        if cluster.spec.paused or plan.blocked is None or plan.blocked.partly or not self._scaler.knows(key):
            self._scaler.watch(key, cluster)  # a refused spec changes nothing else, and the former one goes on
        if failure is None:
            await self._tell_of(outcome, manifest)
        await scaling_events.record(self._events, self._cache, manifest, plan.scaled, self._scaler.views(key))
        view = self._view(cluster, plan, failure)
        self._observer.found(key.namespace, key.name, view.findings)
        await self._write_status(manifest, view)
        if failure is not None:
            raise failure
        newest = self._cache.cluster(key)
        if newest is not None and newest["metadata"]["generation"] != manifest["metadata"]["generation"]:
            return 0.0  # an edit that came with the answer to the status, so that its own event tells nothing new
        wait = plan.blocked.retry if plan.blocked is not None else plan.requeue_after
        if not outcome.reads_references:
            return wait
        look_again = REFERENCES_PERIOD * (1 + _JITTER * (2 * self._random() - 1))
        return look_again if wait is None else min(wait, look_again)

    async def _carry_out(self, cluster: CeleryCluster) -> Outcome:
        plan, readings = Plan(), Readings()
        try:
            async with asyncio.timeout(_WORK_DEADLINE):
                readings = await self._references.read(cluster)
                snapshot = await self._observe(cluster, readings)
                plan = planning.make(snapshot)
                self._compare_queues(snapshot, plan)
                again = await self._applier.execute(cluster, plan)
        except Rejected as error:
            known, changed = bool(readings.hashes), readings.changed
            return Outcome(plan=_rejected(plan, error, changed), reads_references=known, changed=changed)
        except ApiError as error:
            return Outcome(plan=plan, failure=error)
        except TimeoutError:
            too_slow = Unavailable(f"the API server was too slow: not done within {_WORK_DEADLINE:g} s")
            return Outcome(plan=plan, failure=too_slow)
        return Outcome(plan=plan, again=again, reads_references=bool(readings.hashes), changed=readings.changed)

    async def _tell_of(self, outcome: Outcome, manifest: Manifest) -> None:
        """Count what the plan began, and record why pods are replaced although nobody edited the spec."""
        key, plan = ClusterKey.of_cluster(manifest), outcome.plan
        followed = plan.blocked is None or plan.blocked.partly
        if followed and not manifest["spec"].get("paused"):
            self._references.took_over(key)
        beat_waits = bool(plan.withheld and plan.waits_for)
        if beat_waits and key not in self._waiting:
            self._observer.rollout_held()
        (self._waiting.add if beat_waits else self._waiting.discard)(key)
        status = manifest.get("status") or {}
        same_spec = status.get("observedGeneration") == manifest["metadata"].get("generation")
        if plan.references_changed and followed and same_spec:
            self._observer.references_changed()
            await self._events.record(
                manifest,
                type="Normal",
                reason="ReferencesChanged",
                message=_ROTATED.format(", ".join(outcome.changed) or _UNKNOWN_SOURCE),
                action="RollOut",
            )

    async def _observe(self, cluster: CeleryCluster, readings: Readings) -> Snapshot:
        """Everything that the plan needs. Children that the cache does not have are read: they may be strangers."""
        metadata = cluster.metadata
        key = ClusterKey(namespace=metadata.namespace, name=metadata.name)
        live = {ref: child for ref, child in self._cache.children(key).items() if ref.kind != POD}
        redis_secret = await self._redis_secret(cluster, live)
        if redis_secret is not None:
            live[ObjectRef.of(redis_secret)] = redis_secret
        snapshot = Snapshot(
            cluster=cluster,
            live=live,
            pods=self._pods(key),
            runtime=self._runtime,
            platform=self._platform(),
            missing_references=readings.missing,
            references_hashes=readings.hashes,
            redis_secret=redis_secret,
            applied=dict(self._memory.of(key)),
            queues=self._known_queues(cluster),
        )
        unknown = [ref for ref in planning.desired_refs(snapshot) if ref not in live]
        for ref, found in zip(unknown, await asyncio.gather(*map(self._client.get, unknown)), strict=True):
            if found is not None:
                live[ref] = strip(found)
        # Last: a look while this pass waited may have let the pods go that a former one meant.
        return replace(snapshot, targets=self._scaler.targets(key))

    def _known_queues(self, cluster: CeleryCluster) -> Comparison | None:
        if not queues.comparable(cluster.spec):
            return None
        key = ClusterKey(namespace=cluster.metadata.namespace, name=cluster.metadata.name)
        return self._queues.known(key, queue_agreement.identity(cluster.spec))

    def _compare_queues(self, snapshot: Snapshot, plan: Plan) -> None:
        """Ask the broker where the plan wants it, and where a difference was told that nobody knows of any more."""
        spec, metadata = snapshot.cluster.spec, snapshot.cluster.metadata
        key = ClusterKey(namespace=metadata.namespace, name=metadata.name)
        status = (self._cache.cluster(key) or {}).get("status") or {}
        outdated = snapshot.queues is None or snapshot.queues.stale
        if plan.compare_queues or (outdated and queues.comparable(spec) and _is_false(status, queues_match.NAME)):
            self._queues.begin(key, queue_agreement.identity(spec), queue_agreement.declared(spec))

    async def _redis_secret(self, cluster: CeleryCluster, live: Mapping[ObjectRef, Manifest]) -> Manifest | None:
        """The managed Redis' Secret without what it keeps secret.

        Where no managed Redis is wanted any more it is looked for as long as the StatefulSet is still there.
        """
        name = names.redis(cluster.metadata.name)
        namespace = cluster.metadata.namespace
        leftover = ObjectRef(kind=STATEFUL_SET, namespace=namespace, name=name) in live
        if not connections.wants_managed_redis(cluster.spec) and not leftover:
            return None
        found = await self._client.get(ObjectRef(kind=SECRET, namespace=namespace, name=name))
        return None if found is None else {key: value for key, value in found.items() if key != "data"}

    def _view(self, cluster: CeleryCluster, plan: Plan, failure: ApiError | None) -> StatusView:
        """The world after the pass, from the cache: what was written has entered it."""
        key = ClusterKey(namespace=cluster.metadata.namespace, name=cluster.metadata.name)
        facts = self._scaler.facts(key)
        findings = self._linter.findings(cluster, facts.fleet, facts.broker)
        if facts.awaited:
            status = (self._cache.cluster(key) or {}).get("status") or {}
            findings = former_warnings.kept(cluster, status, findings)
        return StatusView(
            cluster=cluster,
            live=self._cache.children(key),
            pods=self._pods(key),
            broker=self._broker(key),
            results=self._results(key),
            blocked=plan.blocked,
            taken=plan.taken,
            leaving=plan.leaving,
            waits_for=plan.waits_for if plan.withheld else (),
            held=plan.held,
            hook=plan.hook,
            queues=self._known_queues(cluster),
            queue_wait=plan.queue_wait,
            autoscaling=self._scaler.views(key),
            fleet=facts.fleet,
            consumption=facts.consumption,
            awaited=facts.awaited,
            findings=findings,
            missing_kinds=self._platform().missing,
            now_monotonic=self._clock(),
            failure=None if failure is None else f"the API server refused a change: {failure}; trying again",
        )

    def _pods(self, key: ClusterKey) -> tuple[Manifest, ...]:
        return tuple(child for ref, child in self._cache.children(key).items() if ref.kind == POD)

    async def _write_status(self, manifest: Manifest, view: StatusView) -> None:
        previous = manifest.get("status") or {}
        await self._tell(manifest, *status_building.build(view, previous, self._now()))

    async def _write_invalid(self, manifest: Manifest, error: ValidationError) -> None:
        """A stored object that the models refuse: only possible when the CRD is of another version than we."""
        problems = tuple(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)
        )
        previous: dict[str, Any] = manifest.get("status") or {}
        generation = int(manifest["metadata"].get("generation", 0))
        await self._tell(manifest, *status_building.unreadable(problems, previous, generation, self._now()))

    async def _tell(self, manifest: Manifest, status: dict[str, Any], events: tuple[StatusEvent, ...]) -> None:
        key = ClusterKey.of_cluster(manifest)
        self._observer.told(key.namespace, key.name, status["conditions"])
        await self._status.publish(manifest, status, events)


def _is_false(status: Mapping[str, Any], condition: str) -> bool:
    found = (each for each in status.get("conditions") or () if each.get("type") == condition)
    return any(each.get("status") == "False" for each in found)


def _rejected(plan: Plan, error: Rejected, changed: tuple[str, ...]) -> Plan:
    """What became of a plan that the API server refused. ``changed``: of what pods read, since the last pass."""
    if error.partly:
        retry = min(_RETRY_REJECTED, plan.requeue_after or _RETRY_REJECTED)  # what else it waits for comes no later
        problems = (*error.problems, "everything but Flower is applied")
        blocked = Blocked(reason="InvalidSpec", problems=problems, retry=retry, partly=True)
        told = plan.references_changed and bool(changed)  # Flower's own pods wait, which each try would tell of
        return replace(plan, blocked=blocked, references_changed=told)
    blocked = Blocked(reason="InvalidSpec", problems=error.problems, retry=_RETRY_REJECTED)
    # It waits for no queues, whatever it would wait for: each try would tell of a wait that leads nowhere.
    return replace(plan, blocked=blocked, queue_wait=None)
