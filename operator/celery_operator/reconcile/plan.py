"""The plan of a pass: what to create, apply and delete, decided from a snapshot alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from celery_operator.desired import children, connections, following, hook_job, managed_redis, names
from celery_operator.desired.beat_statefulset import COMPONENT
from celery_operator.desired.metadata import (
    COMPONENT_LABEL,
    REFERENCES_HASH_ANNOTATION,
    RETAINED_ANNOTATION,
)
from celery_operator.desired.pod import Surroundings
from celery_operator.desired.strategic_merge import MergeError
from celery_operator.kube.objects import (
    CONFIG_MAP,
    DEPLOYMENT,
    JOB,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    STATEFUL_SET,
    Kind,
    Manifest,
    ObjectRef,
)
from celery_operator.observe.snapshot import Snapshot
from celery_operator.reconcile import (
    changes,
    claims,
    hooks,
    in_use,
    problems,
    queue_agreement,
    repair,
    replicas,
    rollout,
    strangers,
    suspension,
)
from celery_operator.reconcile.rollout import template_hash
from celery_operator.reconcile.steps import FIELD_MANAGER, Apply, Delete, Mark, Scaled
from celery_operator.reconcile.strangers import Stranger, owned

_RETRY_REFERENCES: Final = 5.0
_RETRY_TAKEN_NAME: Final = 30.0
_RETRY_SUSPEND: Final = 1.0
"""Seconds until a group is looked at again whose number somebody may have changed while it was suspended."""
_RETRY_LEAVING: Final = 1.0
"""Seconds until a name is looked at again whose former owner's object is being deleted."""
_BEAT_MAY_USE: Final = (PERSISTENT_VOLUME_CLAIM, SECRET, SERVICE, SERVICE_ACCOUNT, STATEFUL_SET)
"""Kinds of what beat's former pod template may need: nothing of it goes before that template does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """Why a pass writes nothing: `reason` for programs, `problems` for people, retried after `retry` seconds."""

    reason: str
    problems: tuple[str, ...]
    retry: float | None = None
    partly: bool = False
    """The problems are Flower's alone, and everything else was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a pass will do. Everything is tried as a dry run before anything is written."""

    applies: tuple[Apply, ...] = ()
    marks: tuple[Mark, ...] = ()
    """Written first: a pod that consumes again is no longer the cheapest when a number is lowered."""
    deletes: tuple[Delete, ...] = ()
    create_redis_secret: bool = False
    blocked: Blocked | None = None
    taken: tuple[str, ...] = ()
    """Children whose names belong to somebody else, in words."""
    leaving: tuple[str, ...] = ()
    """Children whose names are not free yet, because what had them is being deleted, in words."""
    withheld: tuple[Apply, ...] = ()
    """A change of beat's pods that waits for the workers, or of all pods that waits for a hook; it is tried as a dry
    run with the rest."""
    waits_for: tuple[str, ...] = ()
    """What a withheld change of beat waits for, in words."""
    hook: hooks.Wait | None = None
    """What all withheld changes wait for instead."""
    queue_wait: hooks.Wait | None = None
    """What some of them wait for before that: declared queues that agree with the broker's."""
    compare_queues: bool = False
    """The broker is to be asked for the declared queues."""
    scaled: tuple[Scaled, ...] = ()
    references_changed: bool = False
    """Pods are replaced because the data of a Secret or ConfigMap changed that they read at their start."""
    held: bool = False
    """Changes of the spec wait, because the cluster is paused."""
    requeue_after: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be written."""
        return not (self.applies or self.marks or self.deletes or self.create_redis_secret)


def make(snapshot: Snapshot) -> Plan:
    """The plan for a snapshot. Applying it and planning again gives an empty plan.

    After a Deployment's creation it takes one plan more: the one that stops sending its replicas.
    """
    cluster = snapshot.cluster
    found = problems.find(cluster)
    refused = Blocked(reason="InvalidSpec", problems=found) if found else None
    if cluster.spec.paused:
        held = refused is not None or _changes_wait(snapshot)
        return Plan(blocked=refused, held=held, marks=tuple(replicas.settled_marks(snapshot)))
    if refused is not None:
        return _only_scale(snapshot, refused)
    if snapshot.missing_references and not cluster.spec.suspend:  # no pod is to start that could miss them
        lines = snapshot.missing_references
        return _only_scale(snapshot, Blocked(reason="ReferenceMissing", problems=lines, retry=_RETRY_REFERENCES))
    stranger = _strange_secret(snapshot)
    if stranger is not None:
        return _with_strangers(_only_scale(snapshot), [stranger])
    try:
        desired, job = _desired(snapshot), list(_job(snapshot))
    except MergeError as error:
        return _only_scale(snapshot, Blocked(reason="InvalidSpec", problems=(str(error),)))
    return _compare(snapshot, desired, job)


def _only_scale(snapshot: Snapshot, blocked: Blocked | None = None) -> Plan:
    """A plan that writes nothing of the spec: what runs keeps running, and that includes scaling by its load."""
    steps = list(replicas.by_load(snapshot))
    scaled = tuple(replicas.scaled(snapshot, steps))
    return Plan(blocked=blocked, applies=tuple(steps), marks=tuple(replicas.marks(snapshot)), scaled=scaled)


def _changes_wait(snapshot: Snapshot) -> bool:
    """Whether a paused cluster's workers or beat differ from its spec. Told by what is stored, not by what was sent."""
    try:
        wanted = {ObjectRef.of(manifest): manifest for manifest in _desired(snapshot)}
    except MergeError:
        return True
    namespace = snapshot.cluster.metadata.namespace
    used = (ObjectRef(kind=CONFIG_MAP, namespace=namespace, name=name) for name in in_use.runtimes(snapshot))
    if any(ref not in snapshot.live for ref in used):
        return True  # the next pod could not start
    current = names.runtime(snapshot.cluster.metadata.name, snapshot.runtime.content_hash)
    for ref, manifest in wanted.items():
        live = snapshot.live.get(ref)
        if ref.kind == CONFIG_MAP and ref.name == current:
            continue  # a newer operator's runtime reaches pods with their next change, and is none by itself
        if live is None or template_hash(live) != template_hash(manifest):
            return True
        if ref.kind in (DEPLOYMENT, STATEFUL_SET) and live["spec"].get("replicas") != manifest["spec"]["replicas"]:
            return True
    return next(_deletes(snapshot, set(wanted)), None) is not None


def desired_refs(snapshot: Snapshot) -> list[ObjectRef]:
    """The objects whose live state the plan compares with; none where the spec cannot be built at all."""
    if problems.find(snapshot.cluster):
        return []
    try:
        refs = [ObjectRef.of(manifest) for manifest in _served(snapshot, _current(snapshot))]
    except MergeError:
        return []
    job = hooks.ref(snapshot)
    return refs if job is None else [*refs, job]


def _current(snapshot: Snapshot) -> Surroundings:
    """With the runtime that this operator ships."""
    secret_uid, wants_redis = None, connections.wants_managed_redis(snapshot.cluster.spec)
    if wants_redis:
        secret_uid = "pending" if snapshot.redis_secret is None else str(snapshot.redis_secret["metadata"]["uid"])
    return Surroundings(
        runtime=snapshot.runtime,
        redis_secret_uid=secret_uid,
        leaves_redis=not wants_redis and in_use.managed_redis(snapshot),
        references_hashes=snapshot.references_hashes,
        platform=snapshot.platform,
    )


def _desired(snapshot: Snapshot) -> list[Manifest]:
    """The children, with what follows as it is for those of which nothing else changes: that alone rolls nothing."""
    current = _current(snapshot)
    manifests = _build(snapshot, current)
    kept = {}
    for manifest in manifests:
        ref = ObjectRef.of(manifest)
        live = snapshot.live.get(ref)
        if live is None or ref.kind not in (DEPLOYMENT, STATEFUL_SET) or not owned(snapshot.cluster, live):
            continue
        found, applied = following.read(live["spec"]["template"]), snapshot.applied.get((ref, FIELD_MANAGER))
        if found is None or template_hash(live) != template_hash(manifest):
            continue
        keep = following.to_keep(found, None if applied is None else applied.follows)
        if keep in (None, following.read(manifest["spec"]["template"])) or not _exists(snapshot, keep.volume):
            continue
        kept[ref.name] = keep
    return _build(snapshot, replace(current, kept=kept)) if kept else manifests


def _build(snapshot: Snapshot, surroundings: Surroundings) -> list[Manifest]:
    """The children; a Deployment that scales by its load or by somebody else's hand keeps its number of pods."""
    manifests = _served(snapshot, surroundings)
    claims.settle(snapshot, manifests)
    replicas.settle(snapshot, manifests)
    hooks.note(snapshot, manifests)
    suspension.settle(snapshot, manifests, wait=hooks.decide(snapshot).pending is not None)
    return manifests


def _served(snapshot: Snapshot, surroundings: Surroundings) -> list[Manifest]:
    """The children whose kinds the API server knows; the rest are told of by FlowerAvailable."""
    manifests = children.build(snapshot.cluster, surroundings)
    missing = snapshot.platform.missing
    return [manifest for manifest in manifests if ObjectRef.of(manifest).kind not in missing] if missing else manifests


def _exists(snapshot: Snapshot, volume: dict[str, Any]) -> bool:
    name = volume["configMap"]["name"]
    return ObjectRef(kind=CONFIG_MAP, namespace=snapshot.cluster.metadata.namespace, name=name) in snapshot.live


def _strange_secret(snapshot: Snapshot) -> Stranger | None:
    """What to say when the managed Redis' password is somebody else's Secret: then no pod may be wired to it."""
    secret = snapshot.redis_secret
    wanted = connections.wants_managed_redis(snapshot.cluster.spec)
    if secret is None or not wanted or owned(snapshot.cluster, secret):
        return None
    return strangers.describe(snapshot.cluster, secret)


def _with_strangers(plan: Plan, found: list[Stranger]) -> Plan:
    """The plan with what it says of names that are not free, and looks at them again in time."""
    taken = tuple(stranger.message for stranger in found if not stranger.leaving)
    leaving = tuple(stranger.message for stranger in found if stranger.leaving)
    retry = _RETRY_LEAVING if leaving else _RETRY_TAKEN_NAME if taken else None
    return replace(plan, taken=taken, leaving=leaving, requeue_after=retry)


def _compare(snapshot: Snapshot, desired: list[Manifest], job: list[Apply]) -> Plan:
    applies: list[Apply] = []
    found: list[Stranger] = []
    wanted, strange = set[ObjectRef](), set[ObjectRef]()
    mine, held = list[Manifest](), list[Manifest]()
    for manifest in desired:
        ref = ObjectRef.of(manifest)
        wanted.add(ref)
        live = snapshot.live.get(ref)
        if live is not None and not owned(snapshot.cluster, live):
            found.append(strangers.describe(snapshot.cluster, live))
            strange.add(ref)
        elif strangers.newly_used(snapshot.cluster, manifest, live, strange):  # what others need comes first
            held.append(manifest)
            applies += [step for step in changes.applies(snapshot, ref, manifest, live) if _is_scaling(snapshot, step)]
        else:
            mine.append(manifest)
            applies += changes.applies(snapshot, ref, manifest, live)
    hook = hooks.decide(snapshot)
    found += [] if hook.stranger is None else [hook.stranger]
    waits_for = _beat_waits_for(snapshot, mine) if hook.pending is None else ()
    waiting = {_beat(snapshot)} if waits_for else set()
    if hook.pending is not None:
        waiting = {ObjectRef.of(manifest) for manifest in mine if hooks.concerns(manifest)}
    # Before a hook is run as well: what it migrates would be of use to nobody but the pods that are held.
    hold = queue_agreement.decide(snapshot, mine, frozenset(() if hook.create else waiting))
    waiting |= hold.refs
    now = [step for step in applies if step.ref not in waiting or _is_scaling(snapshot, step)]
    held += [manifest for manifest in mine if ObjectRef.of(manifest) in waiting and hooks.concerns(manifest)]
    now += _around_templates(snapshot, held)
    starts = hook.create and hold.wait is None
    now += [step for step in job if starts and not strangers.newly_used(snapshot.cluster, step.manifest, None, strange)]
    unwanted = tuple(_deletes(snapshot, wanted, keep=_BEAT_MAY_USE if waits_for else ()))
    if hook.pending is not None or hold.wait is not None:
        # What is no longer wanted goes with what takes its place; but no workload of a former spec outlives suspend.
        at_zero = snapshot.cluster.spec.suspend
        unwanted = tuple(each for each in unwanted if at_zero and hooks.concerns(snapshot.live[each.ref]))
    plan = Plan(
        applies=tuple(now),
        marks=tuple(replicas.settled_marks(snapshot)),
        deletes=(*unwanted, *hook.deletes),
        create_redis_secret=connections.wants_managed_redis(snapshot.cluster.spec) and snapshot.redis_secret is None,
        withheld=tuple(step for step in applies if step.ref in waiting and step.manager == FIELD_MANAGER),
        waits_for=waits_for,
        hook=hook.pending,
        queue_wait=hold.wait,
        compare_queues=hold.compare,
        scaled=tuple(replicas.scaled(snapshot, now)),
        references_changed=any(_references_changed(snapshot, step) for step in now),
    )
    return _looked_at_again(snapshot, _with_strangers(plan, found))


def _looked_at_again(snapshot: Snapshot, plan: Plan) -> Plan:
    """The plan, with another pass where what it waits for brings no event of its own."""
    if snapshot.cluster.spec.suspend and any(step.resource_version is not None for step in plan.applies):
        return replace(plan, requeue_after=_RETRY_SUSPEND)
    differs = snapshot.queues is not None and snapshot.queues.differences
    if plan.requeue_after is None and (plan.queue_wait is not None or differs):
        return replace(plan, requeue_after=queue_agreement.AGAIN)
    return plan


def _beat_waits_for(snapshot: Snapshot, desired: list[Manifest]) -> tuple[str, ...]:
    """What a change of beat's pods has to wait for: its new code may send tasks that only new workers know.

    Nothing, where beat does not exist yet, or where nothing changes that it shares with the workers: its schedule
    can be mended whatever has become of them, and a rotated password reaches it at once.
    """
    beat = _beat(snapshot)
    live = snapshot.live.get(beat)
    wanted = next((manifest for manifest in desired if ObjectRef.of(manifest) == beat), None)
    if live is None or wanted is None or template_hash(live) == template_hash(wanted):
        return ()
    if rollout.shared(live, COMPONENT) == rollout.shared(wanted, COMPONENT):
        return ()
    return rollout.unfinished(desired, snapshot.live)


def _around_templates(snapshot: Snapshot, waiting: list[Manifest]) -> Iterator[Apply]:
    """What is left to do for workloads while their pod templates wait: drift, a second beat above all."""
    for manifest in waiting:
        ref = ObjectRef.of(manifest)
        live = snapshot.live.get(ref)
        if live is None:
            continue
        wanted = manifest if ref.kind != DEPLOYMENT else changes.without_replicas(manifest)
        if ref.kind == STATEFUL_SET and live["spec"].get("replicas", 1) == 0:
            wanted = {**wanted, "spec": {**wanted["spec"], "replicas": 0}}  # suspended: it starts with the new template
        kept = repair.around_template(live, wanted)
        if kept is not None:
            yield from changes.if_changed(snapshot, ref, kept, live, FIELD_MANAGER)


def _is_scaling(snapshot: Snapshot, step: Apply) -> bool:
    """Whether a step changes the number of a Deployment that exists: that waits for nothing."""
    return step.manager != FIELD_MANAGER and step.ref in snapshot.live


def _job(snapshot: Snapshot) -> Iterator[Apply]:
    """The hook's Job, made once and never applied again: its template cannot be changed."""
    hook = hook_job.wanted(snapshot.cluster.spec)
    if hook is not None:
        manifest = hook_job.build(snapshot.cluster, hook, _current(snapshot))
        ref, desired = ObjectRef.of(manifest), changes.digest_of(manifest)
        yield Apply(manifest=manifest, uid=None, ref=ref, manager=FIELD_MANAGER, desired=desired)


def _beat(snapshot: Snapshot) -> ObjectRef:
    metadata = snapshot.cluster.metadata
    return ObjectRef(kind=STATEFUL_SET, namespace=metadata.namespace, name=names.beat(metadata.name))


def _references_changed(snapshot: Snapshot, step: Apply) -> bool:
    """Whether this apply replaces pods because of what they read; to note it for the first time is no change."""
    live = snapshot.live.get(step.ref)
    if live is None or step.ref.kind not in (DEPLOYMENT, STATEFUL_SET) or step.manager != FIELD_MANAGER:
        return False
    before = _references_hash(live)
    return before is not None and before != _references_hash(step.manifest)


def _references_hash(manifest: Manifest) -> str | None:
    annotations = manifest["spec"]["template"].get("metadata", {}).get("annotations") or {}
    value = annotations.get(REFERENCES_HASH_ANNOTATION)
    return None if value is None else str(value)


def _deletes(snapshot: Snapshot, wanted: set[ObjectRef], keep: tuple[Kind, ...] = ()) -> Iterator[Delete]:
    """Owned children that nobody wants any more, but none of the kinds in `keep`, and no Job: see `hooks`.

    What a pod still uses and retained claims stay.
    """
    runtimes, accounts = in_use.runtimes(snapshot), in_use.service_accounts(snapshot)
    wants_redis = connections.wants_managed_redis(snapshot.cluster.spec)
    needs_redis = not wants_redis and in_use.managed_redis(snapshot)
    # Secrets first: what else is left of the managed Redis is how the next pass would find them.
    for ref, live in sorted(snapshot.live.items(), key=lambda item: item[0].kind != SECRET):
        metadata = live["metadata"]
        if ref in wanted or ref.kind in (JOB, POD, *keep):
            continue
        if not owned(snapshot.cluster, live) or "deletionTimestamp" in metadata:
            continue
        if ref.kind == SECRET and wants_redis and ref.name == names.redis(snapshot.cluster.metadata.name):
            continue
        if RETAINED_ANNOTATION in (metadata.get("annotations") or {}):
            continue
        if (ref.kind == CONFIG_MAP and ref.name in runtimes) or (ref.kind == SERVICE_ACCOUNT and ref.name in accounts):
            continue
        if needs_redis and metadata.get("labels", {}).get(COMPONENT_LABEL) == managed_redis.COMPONENT:
            continue
        yield Delete(ref=ref, uid=metadata["uid"])
