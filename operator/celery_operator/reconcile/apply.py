"""The only place that writes children: dry run of everything, then every write in order."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import following, managed_redis, names
from celery_operator.desired.following import Kept
from celery_operator.kube.client import KubeClient
from celery_operator.kube.errors import ApiError, Conflict, Invalid, NotFound
from celery_operator.kube.objects import DEPLOYMENT, SECRET, STATEFUL_SET, Manifest, ObjectRef
from celery_operator.observe.cache import ObjectCache, live_digest, strip
from celery_operator.observe.key import ClusterKey
from celery_operator.observe.snapshot import Applied
from celery_operator.reconcile.plan import Plan
from celery_operator.reconcile.steps import FIELD_MANAGER, SCALE_MANAGER, Apply, Delete, Mark

_LOG = logging.getLogger(__name__)
_PASSWORD_BYTES: Final = 24
_TRIED: Final = "dry run"
"""Stands for the field manager where what was sent last is no apply but the try of a withheld one."""


class Rejected(Exception):  # noqa: N818 - says what the API server did
    """The API server calls at least one child invalid; nothing was written. `problems` has a line for each.

    `partly`: only Flower's children are, of which none was written; everything else was.
    """

    def __init__(self, problems: tuple[str, ...], *, partly: bool = False) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems
        self.partly = partly


class _Outdated(Exception):  # noqa: N818 - says what the plan is
    """Another object, or none, is where the plan saw one; the cache knows by now."""


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
        """Carry out the plan; True when another pass must follow at once, because the world is another one now.

        First of all what follows the load: no spec that is refused may stop that.

        Raises Rejected when the API server refuses a child as invalid (then nothing was written), ApiError and
        NotLeader for everything else that a later try may cure.
        """
        try:
            return await self._execute(cluster, plan)
        except _Outdated as error:
            _LOG.info("planning again: %s", error)
            return True

    async def _execute(self, cluster: CeleryCluster, plan: Plan) -> bool:
        memory = self._memory.of(ClusterKey(namespace=cluster.metadata.namespace, name=cluster.metadata.name))
        by_load = {scaled.ref for scaled in plan.scaled}
        first = [step for step in plan.applies if step.manager == SCALE_MANAGER and step.ref in by_load]
        refused = await self._mark_all(plan.marks)
        # A pod of the group that works may still be the cheapest then.
        held = {scaled.ref for scaled in plan.scaled if scaled.after < scaled.before and scaled.group in refused}
        await self._write_all((step for step in first if step.ref not in held), memory)
        tried = {(step.ref, _TRIED): Applied(desired=step.desired, live="") for step in plan.withheld}
        flowers = [step for step in plan.applies if step.ref.name == names.flower(cluster.metadata.name)]
        rest = [step for step in plan.applies if step not in first and step not in flowers]
        if rest or any(memory.get(key) != value for key, value in tried.items()):
            await self._dry_run((*rest, *plan.withheld))
        memory.update(tried)
        if plan.create_redis_secret:
            await self._create_redis_secret(cluster)
            return True
        await self._write_all(rest, memory)
        await self._delete(plan.deletes)
        if flowers:  # last and for themselves: what is wrong with them holds back no worker
            try:
                await self._dry_run(tuple(flowers))
            except Rejected as error:
                raise Rejected(error.problems, partly=True) from error
            await self._write_all(flowers, memory)
        if refused:
            raise next(iter(refused.values()))
        return False

    async def _write_all(self, steps: Iterable[Apply], memory: dict[tuple[ObjectRef, str], Applied]) -> None:
        for step in steps:
            applied = await self._write(step)
            if applied is not None:
                memory[step.ref, step.manager] = applied

    async def _dry_run(self, applies: tuple[Apply, ...]) -> None:
        """Try everything at once, so that a slow API server costs one answer's time and not all of them."""
        steps = [step for step in applies if step.manager == FIELD_MANAGER]
        tries = (self._client.apply(_bound(step), field_manager=step.manager, dry_run=True) for step in steps)
        answers = await asyncio.gather(*tries, return_exceptions=True)
        for step, answer in zip(steps, answers, strict=True):
            if isinstance(answer, Conflict | Invalid):
                await self._check(step)
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

    async def _write(self, step: Apply) -> Applied | None:
        """Create or apply; None where the next pass has to apply again to own what was created."""
        creates = step.uid is None and step.manager == FIELD_MANAGER
        try:
            if creates:
                result = await self._client.create(step.manifest, field_manager=step.manager)
            else:
                result = await self._client.apply(_bound(step, self._cache), field_manager=step.manager)
        except Conflict:
            await self._check(step)
            if step.resource_version is not None:
                _LOG.info("%s changed since it was looked at; its scale-in is decided again", step.ref)
                return None
            raise
        _LOG.info("%s %s", "created" if creates else "applied", step.ref, extra={"manager": step.manager})
        owned = True
        try:
            result = await self._client.own_by_apply(result, field_manager=step.manager)
        except Invalid as error:
            owned = False
            _LOG.debug("%s changed while it was created: %s", step.ref, error)
        result = strip(result)
        self._cache.put(result)
        if not owned:
            return None
        return Applied(desired=step.desired, live=live_digest(result), follows=_follows(result))

    async def _mark_all(self, marks: Sequence[Mark]) -> dict[str, ApiError]:
        """Annotate each pod; refusals by group, which hold back its lower number alone and are to be raised at the end.

        What is raised is tried again: the next plan has these marks, too, as long as they are wanted.
        """
        answers = await asyncio.gather(*map(self._mark, marks), return_exceptions=True)
        refused = {}
        for mark, answer in zip(marks, answers, strict=True):
            if isinstance(answer, ApiError):
                refused[mark.group] = answer
            elif isinstance(answer, BaseException):
                raise answer
        return refused

    async def _mark(self, mark: Mark) -> None:
        """Annotate a pod, unless it is gone or another one."""
        metadata = {"uid": mark.mark.uid, "annotations": dict(mark.mark.annotations)}
        try:
            result = await self._client.merge_patch(mark.ref, {"metadata": metadata}, field_manager=FIELD_MANAGER)
        except (NotFound, Conflict, Invalid) as error:
            _LOG.info("%s was not marked: %s", mark.ref, error)
            return
        self._cache.put({**result, "apiVersion": mark.ref.kind.api_version, "kind": mark.ref.kind.kind})

    async def _check(self, step: Apply) -> None:
        """After a refusal: raise _Outdated when it was only about another object than the plan meant."""
        known, found = self._cache.get(step.ref), await self._client.get(step.ref)
        if found is not None:
            self._cache.put(found)
        elif known is not None:
            self._cache.drop(known)
        if _uid(found) != step.uid and step.manager == FIELD_MANAGER:
            raise _Outdated(f"{step.ref} is {'gone' if found is None else 'another object'} by now")

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


def _bound(step: Apply, cache: ObjectCache | None = None) -> Manifest:
    """The manifest with the uid of the object that it is meant for, so that it changes no other one."""
    uid = step.uid
    if uid is None and cache is not None:
        uid = _uid(cache.get(step.ref))  # created a moment ago, by this very plan
    bound = {} if uid is None else {"uid": uid}
    if step.resource_version is not None:
        bound["resourceVersion"] = step.resource_version
    return {**step.manifest, "metadata": {**step.manifest["metadata"], **bound}}


def _follows(live: Manifest) -> Kept | None:
    template = live["spec"]["template"] if ObjectRef.of(live).kind in (DEPLOYMENT, STATEFUL_SET) else None
    return None if template is None else following.read(template)


def _uid(live: Manifest | None) -> str | None:
    return None if live is None else str(live["metadata"]["uid"])
