"""Which Secrets and ConfigMaps a CeleryCluster's pods read, which are missing, and a hash of what each child reads.

They are read with `get` alone: the operator may neither list nor watch other people's Secrets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from celery_operator.api.cluster import CeleryCluster, CeleryClusterSpec
from celery_operator.api.connection import SecretSetting
from celery_operator.api.overrides import Overrides
from celery_operator.api.pod import EnvFromSource, EnvVar, PodTemplate, RequiredSecretKey
from celery_operator.desired import (
    beat_statefulset,
    component,
    connections,
    flower,
    names,
    pod,
    tls_files,
    worker_deployment,
)
from celery_operator.desired.digest import digest
from celery_operator.kube.objects import CONFIG_MAP, SECRET, Kind, Manifest, ObjectRef
from celery_operator.observe.key import ClusterKey

A_MOMENT: Final = 60.0
"""Seconds for which an optional object may be gone and still counts as it was: somebody is replacing it."""
_KEYED: Final = {"secretKeyRef": SECRET, "configMapKeyRef": CONFIG_MAP}
_WHOLE: Final = {"secretRef": SECRET, "configMapRef": CONFIG_MAP}
_ENVIRONMENT: Final = "spec.env"
"""What the paths of spec.env and spec.envFrom begin with."""
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
        problems = dict.fromkeys(reference.problem(manifest) for reference, manifest in found.items())
        salt = cluster.metadata.uid
        self._known[key] = self._now_known(salt, found, self._known.get(key, {}))
        return Readings(
            missing=tuple(problem for problem in problems if problem is not None),
            hashes={child: self._hash(cluster, key, child) for child in _readers(cluster, named)},
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

    def _hash(self, cluster: CeleryCluster, key: ClusterKey, child: str) -> str:
        known, salt = self._known[key].items(), cluster.metadata.uid
        entries = {reference.address: value.hash for reference, value in known if _reads(cluster, child, reference)}
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
    if spec.flower is not None:
        children.append(names.flower(own))
    return [child for child in children if any(_reads(cluster, child, reference) for reference in named)]


def _reads(cluster: CeleryCluster, child: str, reference: Reference) -> bool:
    """Whether the child's pods read it: the cluster's environment is nothing to a Flower without the application."""
    if reference.only is not None:
        return reference.only == child
    return not (_foreign(cluster, child) and reference.field.startswith(_ENVIRONMENT))


def _foreign(cluster: CeleryCluster, child: str) -> bool:
    """Whether the child is a Flower that does not run the application (see desired/flower.py)."""
    settings = cluster.spec.flower
    return child == names.flower(cluster.metadata.name) and settings is not None and not settings.load_application


def references(cluster: CeleryCluster) -> list[Reference]:
    """Everything that pods read at their start; the managed Redis' password is followed by its Secret's uid."""
    found = [
        *_of_connections(cluster.spec),
        *_of_environment(cluster),
        *_of_pod_templates(cluster),
        *_of_flower(cluster),
    ]
    # Where something of Flower's own is missing, Flower does not start, which is no reason to hold back workers.
    child = names.flower(cluster.metadata.name)
    return [replace(each, checked=False) if each.only == child else each for each in found]


def _of_connections(spec: CeleryClusterSpec) -> Iterator[Reference]:
    backend = spec.result_backend
    yield from _of_connection(connections.broker(spec), "spec.broker")
    if backend is not None and not backend.same_as_broker:
        yield from _of_connection(connections.result_backend(spec), "spec.resultBackend")
    elif backend is not None:
        yield from _of_settings(backend.transport_options_from, "spec.resultBackend.transportOptionsFrom")
    yield from _of_settings(spec.config_from, "spec.configFrom")


def _of_connection(connection: connections.Connection | None, path: str) -> Iterator[Reference]:
    if connection is None:
        return
    if connection.url_from is not None:
        yield _secret_key(connection.url_from, f"{path}.urlFrom")
    parts = connection.parts
    if parts is not None:
        for field, source in (("usernameFrom", parts.username_from), ("passwordFrom", parts.password_from)):
            if source is not None:
                yield _secret_key(source.secret_key_ref, f"{path}.parts.{field}")
    if connection.binding is not None:
        for key in connections.BINDING_KEYS:
            optional, field = key != connections.BINDING_TYPE, f"{path}.serviceBinding"
            yield Reference(kind=SECRET, name=connection.binding, key=key, field=field, optional=optional)
    if connection.tls is not None:
        for _, field, ref in tls_files.keys(connection.tls):
            yield _secret_key(ref, f"{path}.tls.{field}")
    for _, field, ref in connections.access_key(connection):
        yield _secret_key(ref, f"{path}.sqs.credentialsFrom.{field}")
    yield from _of_settings(connection.secret_options, f"{path}.transportOptionsFrom")


def _of_settings(settings: Iterable[SecretSetting] | None, path: str) -> Iterator[Reference]:
    for setting in settings or ():
        yield _secret_key(setting.secret_key_ref, f"{path}[{setting.name}]")


def _secret_key(ref: RequiredSecretKey, field: str) -> Reference:
    return Reference(kind=SECRET, name=ref.name, key=ref.key, field=field)


def _of_environment(cluster: CeleryCluster) -> Iterator[Reference]:
    """What the environments read: the cluster's for all children, but a variable that one replaces only for others."""
    spec, components = cluster.spec, list(_components(cluster))
    replaced = {variable.name for _, _, own in components for variable in own.env or []}
    yield from _of_variables((each for each in spec.env or [] if each.name not in replaced), "spec.env", None)
    yield from _of_sources(spec.env_from, "spec.envFrom", None)
    for child, path, own in components:
        mine = {variable.name for variable in own.env or []}
        shared = (each for each in spec.env or [] if each.name in replaced - mine)
        yield from _of_variables(shared, "spec.env", child)
        yield from _of_variables(own.env, f"{path}.env", child)
        yield from _of_sources(own.env_from, f"{path}.envFrom", child)
        reader = _Reader(component="", child=child)
        for where, level in (("spec", spec), (path, own)):
            for name, containers in (("initContainers", level.init_containers), ("sidecars", level.sidecars)):
                yield from reader.of_containers(component.manifest(containers or ()), f"{where}.{name}")


def _components(cluster: CeleryCluster) -> Iterator[tuple[str, str, Overrides]]:
    """The children with settings of their own: name, path in the spec, settings."""
    spec, own = cluster.spec, cluster.metadata.name
    for group in spec.workers:
        yield names.worker(own, group.name), f"spec.workers[{group.name}]", group
    if spec.beat is not None:
        yield names.beat(own), "spec.beat", spec.beat
    if spec.flower is not None and spec.flower.load_application:
        # Run as a worker is; what it reads beside that is in _of_flower.
        yield names.flower(own), "spec.flower", Overrides()


def _of_variables(variables: Iterable[EnvVar] | None, path: str, only: str | None) -> Iterator[Reference]:
    for variable in variables or ():
        source, field_ = variable.value_from, f"{path}[{variable.name}]"
        if source is None:
            continue
        for kind, ref in ((SECRET, source.secret_key_ref), (CONFIG_MAP, source.config_map_key_ref)):
            if ref is not None:
                optional = ref.optional is True
                yield Reference(kind=kind, name=ref.name, key=ref.key, field=field_, optional=optional, only=only)


def _of_sources(sources: Iterable[EnvFromSource] | None, path: str, only: str | None) -> Iterator[Reference]:
    for index, bulk in enumerate(sources or ()):
        for kind, whole in ((SECRET, bulk.secret_ref), (CONFIG_MAP, bulk.config_map_ref)):
            if whole is not None:
                field_, optional = f"{path}[{index}]", whole.optional is True
                yield Reference(kind=kind, name=whole.name, key=None, field=field_, optional=optional, only=only)


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
    if spec.flower is not None:
        reader = _Reader(component=flower.COMPONENT, child=names.flower(own))
        if spec.flower.load_application:
            yield from reader.references(spec.pod_template, "spec.podTemplate")
        yield from reader.references(spec.flower.pod_template, "spec.flower.podTemplate")


def _of_flower(cluster: CeleryCluster) -> Iterator[Reference]:
    """What Flower alone reads."""
    settings = cluster.spec.flower
    if settings is not None:
        own = names.flower(cluster.metadata.name)
        yield from _of_variables(flower.variables(cluster, settings), "spec.flower.env", own)


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
        yield from self.of_containers([*_objects(body.get("initContainers")), *containers], path)

    def of_containers(self, containers: list[dict[str, Any]], path: str) -> Iterator[Reference]:
        """What these containers read."""
        for container in containers:
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
