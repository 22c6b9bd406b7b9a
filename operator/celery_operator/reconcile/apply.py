"""The only place that writes children: dry run of everything, then every write in order."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import defaultdict
from typing import Final

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import managed_redis
from celery_operator.kube.client import KubeClient
from celery_operator.kube.errors import ApiError, Conflict, Invalid
from celery_operator.kube.objects import SECRET, Manifest, ObjectRef
from celery_operator.observe.cache import ObjectCache, live_digest, strip
from celery_operator.observe.key import ClusterKey
from celery_operator.observe.snapshot import Applied
from celery_operator.reconcile.plan import FIELD_MANAGER, Apply, Delete, Plan

_LOG = logging.getLogger(__name__)
_PASSWORD_BYTES: Final = 24


class Rejected(Exception):  # noqa: N818 - says what the API server did
    """The API server calls at least one child invalid; nothing was written. `problems` has a line for each."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class AppliedMemory:
    """What our last applies sent and got, so that an equal one is not sent again. Lost at a restart: harmless."""

    def __init__(self) -> None:
        self._clusters: defaultdict[ClusterKey, dict[tuple[ObjectRef, str], Applied]] = defaultdict(dict)

    def of(self, key: ClusterKey) -> dict[tuple[ObjectRef, str], Applied]:
        """The memory of one CeleryCluster, by object and field manager."""
        return self._clusters[key]

    def forget(self, key: ClusterKey) -> None:
        """Drop what is remembered of a CeleryCluster that is gone."""
        self._clusters.pop(key, None)


class Applier:
    """Carries out plans. Every result enters the cache at once, so that the next pass sees its own writes."""

    def __init__(self, client: KubeClient, cache: ObjectCache, memory: AppliedMemory) -> None:
        self._client = client
        self._cache = cache
        self._memory = memory

    async def execute(self, cluster: CeleryCluster, plan: Plan) -> bool:
        """Carry out the plan; True when another pass must follow at once.

        Raises Rejected when the API server refuses a child as invalid (then nothing was written), ApiError and
        NotLeader for everything else that a later try may cure.
        """
        await self._dry_run(plan.applies)
        if plan.create_redis_secret:
            await self._create_redis_secret(cluster)
            return True
        memory = self._memory.of(ClusterKey(namespace=cluster.metadata.namespace, name=cluster.metadata.name))
        for step in plan.applies:
            memory[step.ref, step.manager] = await self._apply(step)
        await self._delete(plan.deletes)
        return False

    async def _dry_run(self, applies: tuple[Apply, ...]) -> None:
        """Try everything at once, so that a slow API server costs one answer's time and not all of them."""
        steps = [step for step in applies if step.manager == FIELD_MANAGER]
        tries = (self._client.apply(step.manifest, field_manager=step.manager, dry_run=True) for step in steps)
        answers = await asyncio.gather(*tries, return_exceptions=True)
        problems = [
            f"{step.ref.kind.kind} {step.ref.name}: {cause}"
            for step, answer in zip(steps, answers, strict=True)
            if isinstance(answer, Invalid)
            for cause in answer.causes or (answer.message,)
        ]
        if problems:
            raise Rejected(tuple(problems))
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer

    async def _apply(self, step: Apply) -> Applied:
        result = strip(await self._client.apply(step.manifest, field_manager=step.manager))
        self._cache.put(result)
        _LOG.info("applied %s", step.ref, extra={"manager": step.manager})
        return Applied(desired=step.desired, live=live_digest(result))

    async def _delete(self, deletions: tuple[Delete, ...]) -> None:
        """Delete each; one that is refused keeps none of the others, and is raised at the end."""
        refused: list[ApiError] = []
        for deletion in deletions:
            try:
                await self._client.delete(deletion.ref, uid=deletion.uid)
                _LOG.info("deleted %s, which is no longer wanted", deletion.ref)
            except ApiError as error:
                if deletion.ref.kind == SECRET:
                    raise  # what else is left of the managed Redis is how the next pass finds its Secret
                refused.append(error)
        if refused:
            raise refused[0]

    async def _create_redis_secret(self, cluster: CeleryCluster) -> None:
        """Create the managed Redis' password once; a Secret that is there already is never rewritten."""
        manifest: Manifest = managed_redis.secret(cluster, secrets.token_hex(_PASSWORD_BYTES))
        try:
            await self._client.create(manifest, field_manager=FIELD_MANAGER)
        except Conflict as error:
            if not error.already_exists:
                raise
        _LOG.info("created the password of the managed Redis")
