"""A tiny API server in memory: enough of server-side apply to carry plans out and to plan again."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import following, managed_redis
from celery_operator.desired.runtime_configmap import Runtime
from celery_operator.kube.objects import DEPLOYMENT, SECRET, STATEFUL_SET, Kind, Manifest, ObjectRef
from celery_operator.observe.broker.queue_comparison import Comparison
from celery_operator.observe.cache import live_digest, strip
from celery_operator.observe.snapshot import Applied, Snapshot
from celery_operator.reconcile import plan as planning
from celery_operator.reconcile.plan import Plan
from celery_operator.reconcile.steps import FIELD_MANAGER, Apply
from tests.unit.desired.clusters import RUNTIME

Path = tuple[str, ...]
_IDENTITY = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}


class World:
    """Objects with their field managers, and what the operator remembers of its applies."""

    def __init__(self) -> None:
        self.objects: dict[ObjectRef, Manifest] = {}
        self.pods: list[Manifest] = []
        self.applied: dict[tuple[ObjectRef, str], Applied] = {}
        self.missing: tuple[str, ...] = ()
        self.references: dict[str, str] = {}
        self.runtime: Runtime = RUNTIME
        self.queues: Comparison | None = Comparison(identity="all are as declared")
        self._owners: dict[ObjectRef, dict[Path, set[str]]] = {}
        self._count = 100

    def snapshot(self, cluster: CeleryCluster) -> Snapshot:
        """What the reconciler would observe."""
        secret = self.objects.get(ref(SECRET, f"{cluster.metadata.name}-redis"))
        return Snapshot(
            cluster=cluster,
            live={key: strip(copy.deepcopy(live)) for key, live in self.objects.items()},
            pods=tuple(self.pods),
            runtime=self.runtime,
            missing_references=self.missing,
            references_hashes=dict(self.references),
            redis_secret=secret,
            applied=dict(self.applied),
            queues=self.queues,
        )

    def plan(self, cluster: CeleryCluster) -> Plan:
        """The plan for the present state."""
        return planning.make(self.snapshot(cluster))

    def execute(self, cluster: CeleryCluster, plan: Plan) -> None:
        """Carry a plan out as apply.py does."""
        if plan.create_redis_secret:
            self.create(managed_redis.secret(cluster, "generated"))
            return
        for step in plan.applies:
            self._apply(step)
        for deletion in plan.deletes:
            assert self.objects[deletion.ref]["metadata"]["uid"] == deletion.uid
            del self.objects[deletion.ref]

    def settle(self, cluster: CeleryCluster, *, withholding: bool = False) -> int:
        """Plan, execute and roll out until nothing is left to do; the number of passes that wrote.

        ``withholding``: some templates wait for what does not come by itself.
        """
        for number in range(8):
            plan = self.plan(cluster)
            if plan.is_empty and (withholding or not plan.withheld):
                return number
            self.execute(cluster, plan)
            self.roll_out()
        raise AssertionError(f"still not settled: {plan}")

    def roll_out(self) -> None:
        """What Kubernetes does meanwhile: every Deployment gets all pods of its newest template."""
        for key, live in self.objects.items():
            if key.kind == DEPLOYMENT and "replicas" in live["spec"]:
                pods = live["spec"]["replicas"]
                counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas", "readyReplicas"), pods)
                live["status"] = {"observedGeneration": live["metadata"].get("generation", 0), **counts}

    def create(self, manifest: Manifest) -> Manifest:
        """An object that somebody creates as it is."""
        live = copy.deepcopy(manifest)
        live.setdefault("metadata", {})["uid"] = f"uid-{self._next()}"
        live["metadata"]["resourceVersion"] = str(self._next())
        self.objects[ObjectRef.of(live)] = live
        return live

    def _apply(self, step: Apply) -> None:
        known = self.objects.get(step.ref)
        # What a plan creates may have been created by an earlier step of it: the scale manager's comes second.
        assert known is None or step.uid == known["metadata"]["uid"] or step.manager != FIELD_MANAGER
        assert known is not None or step.uid is None, "nothing is there that has this uid"
        live = known or self.create(
            {key: copy.deepcopy(step.manifest[key]) for key in ("apiVersion", "kind")}
            | {"metadata": {key: step.manifest["metadata"][key] for key in ("name", "namespace")}}
        )
        owners = self._owners.setdefault(step.ref, {})
        sent = dict(leaves(step.manifest))
        for path in [path for path, managers in owners.items() if step.manager in managers and path not in sent]:
            owners[path].discard(step.manager)
            if not owners[path]:
                del owners[path]
                _remove(live, path)
        for path, value in sent.items():
            if path not in _IDENTITY:
                owners.setdefault(path, set()).add(step.manager)
            before = copy.deepcopy(live.get("spec"))
            _set(live, path, copy.deepcopy(value))
            if live.get("spec") != before:
                live["metadata"]["generation"] = live["metadata"].get("generation", 0) + 1
        if step.ref.kind.kind == "Deployment":
            live["spec"].setdefault("replicas", 1)
        live["metadata"]["resourceVersion"] = str(self._next())
        result = strip(copy.deepcopy(live))
        template = result["spec"]["template"] if step.ref.kind in (DEPLOYMENT, STATEFUL_SET) else None
        self.applied[step.ref, step.manager] = Applied(
            desired=step.desired,
            live=live_digest(result),
            follows=None if template is None else following.read(template),
        )

    def _next(self) -> int:
        self._count += 1
        return self._count


def ref(kind: Kind, name: str) -> ObjectRef:
    """An object of the test's namespace."""
    return ObjectRef(kind=kind, namespace="team", name=name)


def leaves(value: Any, path: Path = ()) -> list[tuple[Path, Any]]:
    """The fields of a manifest; lists count as one field, as if all were atomic."""
    if not isinstance(value, Mapping) or not value:
        return [(path, value)]
    return [leaf for key, inner in value.items() for leaf in leaves(inner, (*path, key))]


def _set(target: Manifest, path: Path, value: Any) -> None:
    for key in path[:-1]:
        target = target.setdefault(key, {})
    target[path[-1]] = value


def _remove(target: Manifest, path: Path) -> None:
    for key in path[:-1]:
        target = target.get(key, {})
    target.pop(path[-1], None)


def writers(plan: Plan) -> set[tuple[str, str]]:
    """Who writes what in a plan: kind and name with the field manager's own part."""
    return {
        (f"{step.ref.kind.kind} {step.ref.name}", "all" if step.manager == FIELD_MANAGER else "scale")
        for step in plan.applies
    }
