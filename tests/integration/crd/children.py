"""Sends the children of a CeleryCluster to a real API server as a dry run, and says what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import children, connections, hook_job, managed_redis
from celery_operator.desired.pod import Surroundings
from celery_operator.kube import apply_body
from celery_operator.kube.errors import Invalid, error_for
from celery_operator.kube.objects import Kind, Manifest, ObjectRef
from celery_operator.reconcile.steps import FIELD_MANAGER
from tests.integration.crd.server import Server
from tests.unit.desired.clusters import RUNTIME

_AT_A_TIME = 8
"""Requests side by side, as a pass of the operator sends them."""


def built(cluster: CeleryCluster) -> list[Manifest]:
    """Every child of the cluster, with the Secret and the Job that are made once."""
    managed = connections.wants_managed_redis(cluster.spec)
    surroundings = Surroundings(runtime=RUNTIME, redis_secret_uid="secret-uid" if managed else None)
    hook = hook_job.wanted(cluster.spec)
    return [
        *children.build(cluster, surroundings),
        *([managed_redis.secret(cluster, "generated")] if managed else []),
        *([hook_job.build(cluster, hook, surroundings)] if hook is not None else []),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRuns:
    """Dry runs on one server."""

    server: Server
    _served: dict[Kind, bool] = field(default_factory=dict, repr=False)

    def problems(self, manifests: list[Manifest]) -> list[str]:
        """What the server says against any of the manifests, and what it would store otherwise than it was sent.

        Manifests of kinds that it does not know are left out. Raises AssertionError for an answer that is not about the
        object, because of which the operator would try again for ever.
        """
        known = [(ObjectRef.of(manifest), manifest) for manifest in manifests]
        known = [(ref, manifest) for ref, manifest in known if self._is_served(ref.kind)]
        with ThreadPoolExecutor(max_workers=_AT_A_TIME) as pool:
            answers = list(pool.map(lambda one: self._try(*one), known))
        return [text for (_, sent), answer in zip(known, answers, strict=True) for text in _problems(sent, answer)]

    def _try(self, ref: ObjectRef, manifest: Manifest) -> httpx.Response:
        words = {"dryRun": "All", "force": "true", "fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        headers = {"Content-Type": apply_body.CONTENT_TYPE}
        return self.server.http.patch(ref.path, content=apply_body.encode(manifest), params=words, headers=headers)

    def _is_served(self, kind: Kind) -> bool:
        if kind not in self._served:
            path = kind.path(namespace=self.server.namespace)
            self._served[kind] = self.server.http.get(path, params={"limit": 1}).status_code == 200
        return self._served[kind]


def _problems(sent: Manifest, answer: httpx.Response) -> Iterator[str]:
    """Refusals as the operator reads them, else numbers that the server cut because a field cannot hold them."""
    if answer.is_success:
        yield from _other_numbers(sent, answer.json(), sent["kind"])
        return
    refusal = error_for(answer.status_code, answer.reason_phrase, answer.headers, answer.content)
    assert isinstance(refusal, Invalid), refusal
    yield from refusal.causes or (refusal.message,)


def _other_numbers(sent: Any, stored: Any, path: str) -> Iterator[str]:
    if isinstance(sent, dict) and isinstance(stored, dict):
        for key in sent.keys() & stored.keys():
            yield from _other_numbers(sent[key], stored[key], f"{path}.{key}")
    elif isinstance(sent, list) and isinstance(stored, list):
        for number, pair in enumerate(zip(sent, stored, strict=False)):
            yield from _other_numbers(*pair, f"{path}[{number}]")
    elif isinstance(sent, int) and isinstance(stored, int) and sent != stored:
        yield f"{path}: {sent} was sent, and {stored} is stored"


def parsed(body: dict[str, Any]) -> CeleryCluster:
    """A CeleryCluster as the operator reads it from the API server's answer."""
    return CeleryCluster.model_validate(body)
