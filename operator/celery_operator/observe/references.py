"""Which Secrets and ConfigMaps a CeleryCluster's pods read, which are missing, and a hash of what each child reads.

They are read with `get` alone: the operator may neither list nor watch other people's Secrets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from celery_operator.api.cluster import CeleryCluster, CeleryClusterSpec
from celery_operator.api.pod import PodTemplate
from celery_operator.desired import beat_statefulset, connections, names, pod, worker_deployment
from celery_operator.desired.digest import digest
from celery_operator.kube.objects import CONFIG_MAP, SECRET, Kind, Manifest, ObjectRef
from celery_operator.observe.key import ClusterKey

A_MOMENT: Final = 60.0
"""Seconds for which an optional object may be gone and still counts as it was: somebody is replacing it."""
_KEYED: Final = {"secretKeyRef": SECRET, "configMapKeyRef": CONFIG_MAP}
_WHOLE: Final = {"secretRef": SECRET, "configMapRef": CONFIG_MAP}
_HASH_LENGTH: Final = 8
"""Hexadecimal digits, 32 bits: enough to notice a change, too few to confirm a guessed password by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A Secret or ConfigMap that a field names; `key` is None where the whole object is meant."""

    kind: Kind
    name: str
    key: str | None
    field: str
    optional: bool = False
    checked: bool = True
    """False where a missing object blocks nothing: what a pod template says besides may make up for it."""
    only: str | None = None
    """Name of the one child whose pods read it; None where all do."""

    @property
    def address(self) -> tuple[str, str, str]:
        """What is read, whatever field names it; no key has an empty name."""
        return self.kind.kind, self.name, self.key or ""

    def problem(self, found: Manifest | None) -> str | None:
        """What is wrong with the object that was found for this reference, in words; None if nothing is."""
        if self.optional or not self.checked:
            return None
        if found is None:
            return f"{self.kind.kind} {self.name!r} does not exist ({self.field})"
        if self.content(found) is None:
            return f"{self.kind.kind} {self.name!r} has no key {self.key!r} ({self.field})"
        return None

    def content(self, found: Manifest | None) -> Any:
        """The data that is read, encoded as the API server sends it; None where there is none."""
        if found is None:
            return None
        data = {**(found.get("data") or {}), **(found.get("binaryData") or {})}
        return data if self.key is None else data.get(self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What was found. `missing` has a line for every Secret, ConfigMap or key without which no pod could start."""

    missing: tuple[str, ...] = ()
    hashes: Mapping[str, str] = field(default_factory=dict)
    """By child: of the data that its pods read, salted with the CeleryCluster's uid. Only of children that read any."""
    changed: tuple[str, ...] = ()
    """`Kind name` of the objects whose data differ from when they were last taken over (see `took_over`)."""


class Reads(Protocol):
    """The one verb that is needed of `kube.client.KubeClient`."""

    async def get(self, ref: ObjectRef) -> Manifest | None: ...


class ReferenceReader:
    """Reads the references of all CeleryClusters: one request for each object, and no more than a hash is kept.

    `clock` gives seconds; it tells an optional object that is being replaced from one that is gone.
    """

    def __init__(self, client: Reads, *, clock: Callable[[], float]) -> None:
        self._client = client
        self._clock = clock
        self._known: dict[ClusterKey, dict[Reference, _Known]] = {}
        self._taken_over: dict[ClusterKey, dict[Reference, _Known]] = {}

    async def read(self, cluster: CeleryCluster) -> Readings:
        """Read everything that the spec names. Raises ApiError when the API server cannot tell."""
        named = references(cluster)
        key = ClusterKey(namespace=cluster.metadata.namespace, name=cluster.metadata.name)
        if not named:
            self.forget(key)
            return Readings()
        targets = list(dict.fromkeys((reference.kind, reference.name) for reference in named))
        refs = [ObjectRef(kind=kind, namespace=key.namespace, name=name) for kind, name in targets]
        answers = dict(zip(targets, await asyncio.gather(*map(self._client.get, refs)), strict=True))
        found = {reference: answers[reference.kind, reference.name] for reference in named}
        problems = (reference.problem(manifest) for reference, manifest in found.items())
        salt = cluster.metadata.uid
        self._known[key] = self._now_known(salt, found, self._known.get(key, {}))
        return Readings(
            missing=tuple(problem for problem in problems if problem is not None),
            hashes={child: self._hash(key, salt, child) for child in _readers(cluster, named)},
            changed=self._changed(key),
        )

    def took_over(self, key: ClusterKey) -> None:
        """Say that the CeleryCluster's pods have, or are about to get, what was read last."""
        if key in self._known:
            self._taken_over[key] = self._known[key]

    def forget(self, key: ClusterKey) -> None:
        """Drop what is remembered of a CeleryCluster that is gone."""
        self._known.pop(key, None)
        self._taken_over.pop(key, None)

    def _now_known(
        self, salt: str, found: Mapping[Reference, Manifest | None], before: Mapping[Reference, _Known]
    ) -> dict[Reference, _Known]:
        now = self._clock()
        known: dict[Reference, _Known] = {}
        hashes: dict[tuple[str, str, str], str] = {}
        for reference, manifest in found.items():
            content, former = reference.content(manifest), before.get(reference)
            if content is not None:
                address = reference.address  # many children may read the same megabyte
                hashes[address] = hashes.get(address) or digest([salt, content], length=64)
                known[reference] = _Known(hash=hashes[address], seen_at=now)
            elif former is not None and (not reference.optional or now - former.seen_at <= A_MOMENT):
                known[reference] = former  # no pod could start without a required one, so none is replaced
        return known

    def _hash(self, key: ClusterKey, salt: str, child: str) -> str:
        known = self._known[key].items()
        entries = {reference.address: value.hash for reference, value in known if reference.only in (None, child)}
        return digest([salt, sorted([*address, value] for address, value in entries.items())], length=_HASH_LENGTH)

    def _changed(self, key: ClusterKey) -> tuple[str, ...]:
        known, former = self._known[key], self._taken_over.get(key)
        if former is None:
            return ()
        return tuple(
            sorted(
                {
                    f"{reference.kind.kind} {reference.name}"
                    for reference in known.keys() | former.keys()
                    if _hash_of(known, reference) != _hash_of(former, reference)
                }
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The hash of a reference's data, and when it was there for the last time."""

    hash: str
    seen_at: float


def _hash_of(known: Mapping[Reference, _Known], reference: Reference) -> str | None:
    found = known.get(reference)
    return None if found is None else found.hash


def _readers(cluster: CeleryCluster, named: list[Reference]) -> list[str]:
    """The children whose pods read anything."""
    spec, own = cluster.spec, cluster.metadata.name
    children = [names.worker(own, group.name) for group in spec.workers]
    if spec.beat is not None:
        children.append(names.beat(own))
    readers = {reference.only for reference in named}
    return children if None in readers else [child for child in children if child in readers]


def references(cluster: CeleryCluster) -> list[Reference]:
    """Everything that pods read at their start; the managed Redis' password is followed by its Secret's uid."""
    return [*_of_connections(cluster.spec), *_of_environment(cluster.spec), *_of_pod_templates(cluster)]


def _of_connections(spec: CeleryClusterSpec) -> Iterator[Reference]:
    for path, connection in (
        ("spec.broker.urlFrom", connections.broker(spec)),
        ("spec.resultBackend.urlFrom", connections.result_backend(spec)),
    ):
        if connection is not None and connection.url_from is not None:
            secret = connection.url_from
            yield Reference(kind=SECRET, name=secret.name, key=secret.key, field=path)


def _of_environment(spec: CeleryClusterSpec) -> Iterator[Reference]:
    for variable in spec.env or []:
        source, path = variable.value_from, f"spec.env[{variable.name}]"
        if source is None:
            continue
        for kind, ref in ((SECRET, source.secret_key_ref), (CONFIG_MAP, source.config_map_key_ref)):
            if ref is not None:
                yield Reference(kind=kind, name=ref.name, key=ref.key, field=path, optional=ref.optional is True)
    for index, bulk in enumerate(spec.env_from or []):
        for kind, whole in ((SECRET, bulk.secret_ref), (CONFIG_MAP, bulk.config_map_ref)):
            if whole is not None:
                path, optional = f"spec.envFrom[{index}]", whole.optional is True
                yield Reference(kind=kind, name=whole.name, key=None, field=path, optional=optional)


def _of_pod_templates(cluster: CeleryCluster) -> Iterator[Reference]:
    """What the containers of users' pod templates read: free-form, so that what is missing is left to the kubelet."""
    spec, own = cluster.spec, cluster.metadata.name
    for group in spec.workers:
        worker = _Reader(component=worker_deployment.COMPONENT, child=names.worker(own, group.name))
        yield from worker.references(spec.pod_template, "spec.podTemplate")
        yield from worker.references(group.pod_template, f"spec.workers[{group.name}].podTemplate")
    if spec.beat is not None:
        beat = _Reader(component=beat_statefulset.COMPONENT, child=names.beat(own))
        yield from beat.references(spec.pod_template, "spec.podTemplate")
        yield from beat.references(spec.beat.pod_template, "spec.beat.podTemplate")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """A child whose pods are made from a pod template."""

    component: str
    child: str

    def references(self, template: PodTemplate | None, path: str) -> Iterator[Reference]:
        """What its containers of the template read; containers of other components are none of its own."""
        body = {} if template is None else template.spec or {}
        others = pod.COMPONENTS - {self.component}
        containers = [each for each in _objects(body.get("containers")) if each.get("name") not in others]
        for container in (*_objects(body.get("initContainers")), *containers):
            for variable in _objects(container.get("env")):
                yield from self._free_form(variable.get("valueFrom"), _KEYED, path, keyed=True)
            for source in _objects(container.get("envFrom")):
                yield from self._free_form(source, _WHOLE, path, keyed=False)

    def _free_form(self, source: Any, kinds: Mapping[str, Kind], path: str, *, keyed: bool) -> Iterator[Reference]:
        for name, kind in kinds.items():
            ref = source.get(name) if isinstance(source, dict) else None
            if not isinstance(ref, dict) or not isinstance(ref.get("name"), str):
                continue
            key = ref.get("key") if keyed else None
            if not keyed or isinstance(key, str):
                yield Reference(
                    kind=kind,
                    name=ref["name"],
                    key=key,
                    field=path,
                    optional=ref.get("optional") is True,
                    checked=False,
                    only=self.child,
                )


def _objects(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
