"""Which Secrets and ConfigMaps a CeleryCluster's pods read, which of them are missing, and a hash of what is in them.

They are read with `get` alone: the operator may neither list nor watch other people's Secrets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from celery_operator.api.cluster import CeleryCluster, CeleryClusterSpec
from celery_operator.desired import connections
from celery_operator.desired.digest import digest
from celery_operator.kube.objects import CONFIG_MAP, SECRET, Kind, Manifest, ObjectRef
from celery_operator.observe.key import ClusterKey

A_MOMENT: Final = 60.0
"""Seconds for which an optional object may be gone and still counts as it was: somebody is replacing it."""
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

    @property
    def address(self) -> tuple[str, str, str]:
        """What is read, whatever field names it; no key has an empty name."""
        return self.kind.kind, self.name, self.key or ""

    def problem(self, found: Manifest | None) -> str | None:
        """What is wrong with the object that was found for this reference, in words; None if nothing is."""
        if self.optional:
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
    hash: str | None = None
    """Of the referenced data, salted with the CeleryCluster's uid; None where nothing is referenced."""


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

    async def read(self, cluster: CeleryCluster) -> Readings:
        """Read everything that the spec names. Raises ApiError when the API server cannot tell."""
        named = references(cluster.spec)
        key = ClusterKey(namespace=cluster.metadata.namespace, name=cluster.metadata.name)
        if not named:
            self.forget(key)
            return Readings()
        targets = list(dict.fromkeys((reference.kind, reference.name) for reference in named))
        refs = [ObjectRef(kind=kind, namespace=key.namespace, name=name) for kind, name in targets]
        answers = dict(zip(targets, await asyncio.gather(*map(self._client.get, refs)), strict=True))
        found = {reference: answers[reference.kind, reference.name] for reference in named}
        problems = (reference.problem(manifest) for reference, manifest in found.items())
        return Readings(
            missing=tuple(problem for problem in problems if problem is not None),
            hash=self._hash(key, cluster.metadata.uid, found),
        )

    def forget(self, key: ClusterKey) -> None:
        """Drop what is remembered of a CeleryCluster that is gone."""
        self._known.pop(key, None)

    def _hash(self, key: ClusterKey, salt: str, found: Mapping[Reference, Manifest | None]) -> str:
        now, before = self._clock(), self._known.get(key, {})
        known: dict[Reference, _Known] = {}
        for reference, manifest in found.items():
            content, former = reference.content(manifest), before.get(reference)
            if content is not None:
                known[reference] = _Known(hash=digest([salt, content], length=64), seen_at=now)
            elif former is not None and (not reference.optional or now - former.seen_at <= A_MOMENT):
                known[reference] = former  # without a required one nothing is written anyway
        self._known[key] = known
        entries = {reference.address: value.hash for reference, value in known.items()}
        return digest([salt, sorted([*address, value] for address, value in entries.items())], length=_HASH_LENGTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The hash of a reference's data, and when it was there for the last time."""

    hash: str
    seen_at: float


def references(spec: CeleryClusterSpec) -> list[Reference]:
    """Everything that pods read at their start; the managed Redis' password is followed by its Secret's uid."""
    return [*_of_connections(spec), *_of_environment(spec), *_of_pod_templates(spec)]


def _of_connections(spec: CeleryClusterSpec) -> Iterator[Reference]:
    for field, connection in (
        ("spec.broker.urlFrom", connections.broker(spec)),
        ("spec.resultBackend.urlFrom", connections.result_backend(spec)),
    ):
        if connection is not None and connection.url_from is not None:
            secret = connection.url_from
            yield Reference(kind=SECRET, name=secret.name, key=secret.key, field=field)


def _of_environment(spec: CeleryClusterSpec) -> Iterator[Reference]:
    for variable in spec.env or []:
        source, field = variable.value_from, f"spec.env[{variable.name}]"
        if source is None:
            continue
        for kind, ref in ((SECRET, source.secret_key_ref), (CONFIG_MAP, source.config_map_key_ref)):
            if ref is not None:
                yield Reference(kind=kind, name=ref.name, key=ref.key, field=field, optional=ref.optional is True)
    for index, bulk in enumerate(spec.env_from or []):
        for kind, whole in ((SECRET, bulk.secret_ref), (CONFIG_MAP, bulk.config_map_ref)):
            if whole is not None:
                field, optional = f"spec.envFrom[{index}]", whole.optional is True
                yield Reference(kind=kind, name=whole.name, key=None, field=field, optional=optional)


def _of_pod_templates(spec: CeleryClusterSpec) -> Iterator[Reference]:
    """What the containers of users' pod templates read: free-form, so that what is missing is left to the kubelet."""
    templates = [("spec.podTemplate", spec.pod_template)]
    templates += [(f"spec.workers[{group.name}].podTemplate", group.pod_template) for group in spec.workers]
    if spec.beat is not None:
        templates.append(("spec.beat.podTemplate", spec.beat.pod_template))
    for field, template in templates:
        body = {} if template is None else template.spec or {}
        for container in (*_objects(body.get("initContainers")), *_objects(body.get("containers"))):
            for variable in _objects(container.get("env")):
                source = variable.get("valueFrom")
                yield from _free_form(
                    source, {"secretKeyRef": SECRET, "configMapKeyRef": CONFIG_MAP}, field, keyed=True
                )
            for source in _objects(container.get("envFrom")):
                yield from _free_form(source, {"secretRef": SECRET, "configMapRef": CONFIG_MAP}, field, keyed=False)


def _free_form(source: Any, kinds: Mapping[str, Kind], field: str, *, keyed: bool) -> Iterator[Reference]:
    for name, kind in kinds.items():
        ref = source.get(name) if isinstance(source, dict) else None
        if not isinstance(ref, dict) or not isinstance(ref.get("name"), str):
            continue
        key = ref.get("key") if keyed else None
        if not keyed or isinstance(key, str):
            yield Reference(kind=kind, name=ref["name"], key=key, field=field, optional=True)


def _objects(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
