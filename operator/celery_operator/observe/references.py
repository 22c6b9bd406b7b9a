"""Which Secrets and ConfigMaps a CeleryCluster needs, and which of them are missing.

They are read with `get` alone: the operator may neither list nor watch other people's Secrets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from celery_operator.api.cluster import CeleryClusterSpec
from celery_operator.desired import connections
from celery_operator.kube.client import KubeClient
from celery_operator.kube.objects import CONFIG_MAP, SECRET, Kind, Manifest, ObjectRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A Secret or ConfigMap that a field needs; `key` is None where the whole object is meant."""

    kind: Kind
    name: str
    key: str | None
    field: str

    def problem(self, found: Manifest | None) -> str | None:
        """What is wrong with the object that was found for this reference, in words; None if nothing is."""
        if found is None:
            return f"{self.kind.kind} {self.name!r} does not exist ({self.field})"
        if self.key is not None and self.key not in {**(found.get("data") or {}), **(found.get("binaryData") or {})}:
            return f"{self.kind.kind} {self.name!r} has no key {self.key!r} ({self.field})"
        return None


def required(spec: CeleryClusterSpec) -> list[Reference]:
    """The references without which a pod could not start; optional ones are left to the kubelet."""
    return [*_of_connections(spec), *_of_environment(spec)]


async def missing(client: KubeClient, namespace: str, spec: CeleryClusterSpec) -> tuple[str, ...]:
    """Every missing Secret, ConfigMap or key, one line each. Raises ApiError when the API server cannot tell."""
    needed = required(spec)
    targets = list(dict.fromkeys((reference.kind, reference.name) for reference in needed))
    refs = [ObjectRef(kind=kind, namespace=namespace, name=name) for kind, name in targets]
    found = dict(zip(targets, await asyncio.gather(*map(client.get, refs)), strict=True))
    problems = (reference.problem(found[reference.kind, reference.name]) for reference in needed)
    return tuple(problem for problem in problems if problem is not None)


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
        source = variable.value_from
        if source is None:
            continue
        for kind, ref in ((SECRET, source.secret_key_ref), (CONFIG_MAP, source.config_map_key_ref)):
            if ref is not None and not ref.optional:
                yield Reference(kind=kind, name=ref.name, key=ref.key, field=f"spec.env[{variable.name}]")
    for index, bulk in enumerate(spec.env_from or []):
        for kind, whole in ((SECRET, bulk.secret_ref), (CONFIG_MAP, bulk.config_map_ref)):
            if whole is not None and not whole.optional:
                yield Reference(kind=kind, name=whole.name, key=None, field=f"spec.envFrom[{index}]")
