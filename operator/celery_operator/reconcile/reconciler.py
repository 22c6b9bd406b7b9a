"""The pass for one CeleryCluster: observe, plan, apply, status. It waits for nothing but the API server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import connections, names
from celery_operator.desired.runtime_configmap import Runtime
from celery_operator.kube.client import KubeClient
from celery_operator.kube.errors import ApiError, Unavailable
from celery_operator.kube.events import EventRecorder
from celery_operator.kube.objects import POD, SECRET, STATEFUL_SET, Manifest, ObjectRef
from celery_operator.observe import references
from celery_operator.observe.broker.reachability import Reachability
from celery_operator.observe.cache import ObjectCache, strip
from celery_operator.observe.key import ClusterKey
from celery_operator.observe.snapshot import Snapshot
from celery_operator.reconcile import plan as planning
from celery_operator.reconcile.apply import AppliedMemory, Applier, Rejected
from celery_operator.reconcile.plan import FIELD_MANAGER, Blocked, Plan
from celery_operator.reconcile.status import build as status_building
from celery_operator.reconcile.status.build import StatusEvent
from celery_operator.reconcile.status.view import StatusView

_LOG = logging.getLogger(__name__)

DEADLINE: Final = 30.0
"""Seconds for one pass."""
_WORK_DEADLINE: Final = 25.0
"""Seconds for looking and writing; the rest is for telling in the status that it was too slow."""
_RETRY_REJECTED: Final = 60.0
"""Seconds until a refused spec is tried again: an admission policy may have refused it, and have changed."""


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
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._cache = cache
        self._runtime = runtime
        self._events = events
        self._broker = broker
        self._now = now
        self._memory = AppliedMemory()
        self._applier = Applier(client, cache, self._memory)

    async def reconcile(self, key: ClusterKey) -> float | None:
        """One pass; the seconds until the next one is wanted, None if only a change can make one necessary.

        Raises ApiError and NotLeader for what a later try may cure.
        """
        async with asyncio.timeout(DEADLINE):
            manifest = self._cache.cluster(key)
            if manifest is None or "deletionTimestamp" in manifest["metadata"]:
                return None
            try:
                # Without the status: another version of the operator may have written it.
                cluster = CeleryCluster.model_validate({**manifest, "status": None})
            except ValidationError as error:
                await self._write_invalid(manifest, error)
                return None
            return await self._pass(manifest, cluster)

    def forget(self, key: ClusterKey) -> None:
        """Drop what is remembered of a CeleryCluster that is gone."""
        self._memory.forget(key)

    async def _pass(self, manifest: Manifest, cluster: CeleryCluster) -> float | None:
        plan, again, failure = Plan(), False, None
        try:
            async with asyncio.timeout(_WORK_DEADLINE):
                snapshot = await self._observe(cluster)
                plan = planning.make(snapshot)
                again = await self._applier.execute(cluster, plan)
        except Rejected as error:
            plan = replace(plan, blocked=Blocked(reason="InvalidSpec", problems=error.problems, retry=_RETRY_REJECTED))
        except ApiError as error:
            failure = error
        except TimeoutError:
            failure = Unavailable(f"the API server was too slow: not done within {_WORK_DEADLINE:g} s")
        if again:
            return 0.0
        await self._write_status(manifest, self._view(cluster, plan, failure))
        if failure is not None:
            raise failure
        return plan.blocked.retry if plan.blocked is not None else plan.requeue_after

    async def _observe(self, cluster: CeleryCluster) -> Snapshot:
        """Everything that the plan needs. Children that the cache does not have are read: they may be strangers."""
        metadata, spec = cluster.metadata, cluster.spec
        key = ClusterKey(namespace=metadata.namespace, name=metadata.name)
        children = self._cache.children(key)
        live = {ref: child for ref, child in children.items() if ref.kind != POD}
        redis_secret = await self._redis_secret(cluster, live)
        if redis_secret is not None:
            live[ObjectRef.of(redis_secret)] = redis_secret
        snapshot = Snapshot(
            cluster=cluster,
            live=live,
            pods=tuple(child for ref, child in children.items() if ref.kind == POD),
            runtime=self._runtime,
            missing_references=await references.missing(self._client, metadata.namespace, spec),
            redis_secret=redis_secret,
            applied=dict(self._memory.of(key)),
        )
        unknown = [ref for ref in planning.desired_refs(snapshot) if ref not in live]
        for ref, found in zip(unknown, await asyncio.gather(*map(self._client.get, unknown)), strict=True):
            if found is not None:
                live[ref] = strip(found)
        return snapshot

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
        children = self._cache.children(key)
        return StatusView(
            cluster=cluster,
            live=children,
            pods=tuple(child for ref, child in children.items() if ref.kind == POD),
            broker=self._broker(key),
            blocked=plan.blocked,
            taken=plan.taken,
            held=plan.held,
            failure=None if failure is None else f"the API server refused a change: {failure}; trying again",
        )

    async def _write_status(self, manifest: Manifest, view: StatusView) -> None:
        previous = manifest.get("status") or {}
        await self._publish(manifest, *status_building.build(view, previous, self._now()))

    async def _write_invalid(self, manifest: Manifest, error: ValidationError) -> None:
        """A stored object that the models refuse: only possible when the CRD is of another version than we."""
        problems = tuple(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)
        )
        previous: dict[str, Any] = manifest.get("status") or {}
        generation = int(manifest["metadata"].get("generation", 0))
        await self._publish(manifest, *status_building.unreadable(problems, previous, generation, self._now()))

    async def _publish(self, manifest: Manifest, status: dict[str, Any], events: tuple[StatusEvent, ...]) -> None:
        """The one status write of a pass, skipped when nothing changed, and the Events that go with it."""
        if status != manifest.get("status"):
            ref = ObjectRef.of(manifest)
            self._cache.put(await self._client.patch_status(ref, status, field_manager=FIELD_MANAGER))
        for event in events:
            await self._events.record(
                manifest, type=event.type, reason=event.reason, message=event.message, action=event.action
            )
