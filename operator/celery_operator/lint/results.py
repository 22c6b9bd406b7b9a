"""Whether and where results are kept, as far as a spec tells."""

from __future__ import annotations

from celery_operator.api.cluster import CeleryClusterSpec
from celery_operator.desired import celery_settings


def scheme(spec: CeleryClusterSpec) -> str | None:
    """What the result backend's URL begins with; None where the spec does not tell."""
    backend = spec.result_backend
    if backend is None:
        return None
    if backend.redis is not None or (backend.same_as_broker and spec.broker.redis is not None):
        return "redis"
    if backend.same_as_broker:
        source = spec.broker.url if spec.broker.parts is None else f"{spec.broker.parts.scheme}://"
    else:
        source = backend.url if backend.parts is None else f"{backend.parts.scheme}://"
    return None if source is None else source.partition(":")[0]


def are_kept(spec: CeleryClusterSpec) -> bool:
    """Whether results stay somewhere until they expire: not with rpc://, and not where they are thrown away."""
    backend = spec.result_backend
    if backend is not None and backend.disabled:
        return False
    return scheme(spec) != "rpc" and not celery_settings.value(spec, "task_ignore_result")
