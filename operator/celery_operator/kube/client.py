"""The one way to the Kubernetes API: typed verbs over `kubernetes.aio`, with limits, timeouts and typed errors.

Paths come from `Kind`, not from discovery: the kinds are few and known, so a start needs no discovery
requests, and verbs that the official dynamic client lacks (status merge patches, uid preconditions, strict
field validation) need no way around it. Credentials, TLS and token renewal are the official client's.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Protocol, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration

from celery_operator.kube import apply_body
from celery_operator.kube.errors import (
    ApiError,
    Conflict,
    Invalid,
    NoCluster,
    NotFound,
    NotLeader,
    Unavailable,
    error_for,
)
from celery_operator.kube.objects import Kind, Manifest, ObjectRef

CONCURRENT_REQUESTS: Final = 32
"""Requests in flight at most, so that a start with a thousand objects does not flood the API server."""

REQUEST_TIMEOUT: Final = 30.0
"""Seconds for one call, waiting for a free slot included."""

WRITE_TIMEOUT: Final = 5.0
"""Seconds for a write: one that was sent while the Lease was surely held must have ended before another can lead.

Without the wait for a free slot, before which the Lease is looked at: the children of a hundred groups are tried at
once, and on a slow API server the last of them waits for those before it.
"""

LIST_CHUNK: Final = 500
"""Objects per page of a list: the chunk size of client-go's pager."""

_DOES_NOT_FIT: Final = "the server rejected our request due to an error in our request"
"""The whole answer to a JSON patch that cannot be carried out (apimachinery, errors.go, NewGenericServerResponse)."""

Manifests = list[Manifest]
Query = list[tuple[str, str]]
FieldValidation = Literal["Ignore", "Warn", "Strict"]
Propagation = Literal["Background", "Foreground", "Orphan"]


class Observe(Protocol):
    """Told about every request that was sent: verb, kind, HTTP code (0 without an answer), seconds."""

    def __call__(self, verb: str, kind: str, code: int, seconds: float, /) -> None: ...


class KubeClient:
    """One session with one API server. Use it as an async context manager, or call `close`.

    Every call raises `ApiError` or one of its subclasses (`kube.errors`); a call that writes raises `NotLeader`
    without sending anything when `may_write` says no. Nothing is retried (the work queue does that), except that
    aiohttp repeats a get, list or delete once and at once when its connection was reset.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        may_write: Callable[[], bool] = lambda: True,
        user_agent: str = "celery-operator",
        observe: Observe | None = None,
        timeout: float = REQUEST_TIMEOUT,
    ) -> None:
        configuration.connection_pool_maxsize = CONCURRENT_REQUESTS
        configuration.retries = None
        # aiohttp would read the environment and ~/.netrc again for every request: 0.6 ms of CPU each, measured.
        configuration.client_session_kwargs = {"trust_env": False}
        configuration.proxy = configuration.proxy or _environment_proxy(configuration.host)
        self._api = ApiClient(configuration)
        self._api.user_agent = user_agent
        self._may_write = may_write
        self._observe = observe
        self._timeout = timeout
        self._slots = asyncio.Semaphore(CONCURRENT_REQUESTS)

    @classmethod
    async def connect(
        cls,
        *,
        kubeconfig: Path | None = None,
        may_write: Callable[[], bool] = lambda: True,
        user_agent: str = "celery-operator",
        observe: Observe | None = None,
        timeout: float = REQUEST_TIMEOUT,
    ) -> Self:
        """Build a client from `kubeconfig`, else from `KUBECONFIG`, else from the pod's ServiceAccount.

        `~/.kube/config` is never used unless one of the first two names it. No request is sent. In a pod the
        token file is read again once it was read a minute ago. Raises NoCluster when nothing names a cluster.
        """
        configuration = await _configuration(kubeconfig)
        return cls(configuration, may_write=may_write, user_agent=user_agent, observe=observe, timeout=timeout)

    async def get(self, ref: ObjectRef) -> Manifest | None:
        """Return the object, or None when it (or its kind) does not exist."""
        try:
            return await self._call("get", ref.kind, "GET", ref.path)
        except NotFound:
            return None

    async def list(self, kind: Kind, *, namespace: str | None = None, label_selector: str | None = None) -> Manifests:
        """Return all objects of `kind` in `namespace` (None: everywhere), each with apiVersion and kind set.

        Read in pages; when a page's token expires half way, the whole is read again in one piece.
        Raises NotFound when the API server does not serve the kind.
        """
        query = [("labelSelector", label_selector)] if label_selector else []
        path = kind.path(namespace=namespace)
        items: Manifests = []
        page_token = ""
        while True:
            page = [*query, ("limit", str(LIST_CHUNK))]
            if page_token:
                page.append(("continue", page_token))
            try:
                answer = await self._call("list", kind, "GET", path, query=page)
            except ApiError as error:
                if error.status != 410 or not page_token:
                    raise
                answer = await self._call("list", kind, "GET", path, query=query)
                return _typed(kind, answer.get("items") or ())
            items += _typed(kind, answer.get("items") or ())
            page_token = (answer.get("metadata") or {}).get("continue") or ""
            if not page_token:
                return items

    async def apply(
        self,
        manifest: Manifest,
        *,
        field_manager: str,
        force: bool = True,
        dry_run: bool = False,
        field_validation: FieldValidation = "Strict",
    ) -> Manifest:
        """Server-side apply `manifest` (whole or partial) and return the object as it then is.

        `field_manager` owns exactly the fields in `manifest`: one that it sent before and omits now is removed
        or reset unless somebody else owns it too. With `force`, fields of other managers are taken over;
        without it that is a Conflict. A `metadata.resourceVersion` or `metadata.uid` in it is a precondition: where
        it does not hold, or with a uid nothing exists, that is a Conflict too. With `dry_run` everything is checked
        and nothing stored.
        """
        query = [
            ("fieldManager", field_manager),
            ("force", "true" if force else "false"),
            ("fieldValidation", field_validation),
        ]
        if dry_run:
            query.append(("dryRun", "All"))
        ref = ObjectRef.of(manifest)
        try:
            return await self._write(
                "apply", ref.kind, "PATCH", ref.path, query, apply_body.encode(manifest), apply_body.CONTENT_TYPE
            )
        except Invalid as error:
            # Measured on Kubernetes 1.34: another object's uid is "immutable" (422), none at all is a conflict (409).
            if any(cause.startswith("metadata.uid: ") for cause in error.causes):
                message = f"{ref} is another object than the one that was to be changed"
                raise Conflict(message, status=409, reason="Conflict") from error
            raise

    async def create(self, manifest: Manifest, *, field_manager: str) -> Manifest:
        """Create the object. Raises Conflict with `already_exists` when its name is taken."""
        ref = ObjectRef.of(manifest)
        path = ref.kind.path(namespace=ref.namespace)
        query = [("fieldManager", field_manager), ("fieldValidation", "Strict")]
        return await self._write("create", ref.kind, "POST", path, query, manifest)

    async def own_by_apply(self, live: Manifest, *, field_manager: str) -> Manifest:
        """Make the fields that `field_manager` owns by having created `live` count as applied; the object then.

        An apply cannot be told to create only, and what a create owns no later apply would remove. `live` is an
        answer of `create` or `apply`; without such fields nothing is sent. Raises Invalid when the fields changed
        hands meanwhile.
        """
        entries = live["metadata"].get("managedFields") or []
        ours = [(n, e["operation"]) for n, e in enumerate(entries) if _is_managers(e, field_manager)]
        created = next((number for number, operation in ours if operation == "Update"), None)
        if created is None:
            return live
        path = f"/metadata/managedFields/{created}"
        change = {"op": "replace", "path": f"{path}/operation", "value": "Apply"}
        if any(operation == "Apply" for _, operation in ours):
            change = {"op": "remove", "path": path}
        patch = [
            {"op": "test", "path": f"{path}/manager", "value": field_manager},
            {"op": "test", "path": f"{path}/operation", "value": "Update"},
            change,
        ]
        ref, query = ObjectRef.of(live), [("fieldManager", field_manager)]
        return await self._write("patch", ref.kind, "PATCH", ref.path, query, patch, "application/json-patch+json")

    async def delete(self, ref: ObjectRef, *, uid: str | None = None, propagation: Propagation = "Background") -> None:
        """Delete the object; that it does not exist is fine.

        With `uid`, only the object with this uid: another one under the same name raises Conflict.
        """
        options: Manifest = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        try:
            await self._write("delete", ref.kind, "DELETE", ref.path, [], options)
        except NotFound:
            return

    async def replace_status(
        self,
        ref: ObjectRef,
        status: dict[str, Any],
        *,
        uid: str,
        field_manager: str,
        field_validation: FieldValidation = "Strict",
    ) -> Manifest:
        """Make `status` all that the object with this `uid` has in its status; nothing outside status can change.

        Raises NotFound when that object is gone, whatever has its name now.
        """
        # A merge patch cannot ask for the uid: for a custom resource's status the API server takes all metadata from
        # what is stored before it compares anything (apiextensions-apiserver, customresource/status_strategy.go).
        patch: Manifests = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "add", "path": "/status", "value": status},
        ]
        path = ref.kind.path(namespace=ref.namespace, name=ref.name, subresource="status")
        query = [("fieldManager", field_manager), ("fieldValidation", field_validation)]
        try:
            return await self._write(
                "patch_status", ref.kind, "PATCH", path, query, patch, "application/json-patch+json"
            )
        except Invalid as error:
            if error.message != _DOES_NOT_FIT:
                raise
            # Of the two operations only the test can fail.
            message = f"{ref} is another object than the one that the status is of"
            raise NotFound(message, status=404, reason="NotFound") from error

    async def merge_patch(self, ref: ObjectRef, patch: Manifest, *, field_manager: str) -> Manifest:
        """Merge `patch` (RFC 7386) into the object. A `metadata.resourceVersion` in it is a precondition."""
        query = [("fieldManager", field_manager), ("fieldValidation", "Strict")]
        return await self._write("patch", ref.kind, "PATCH", ref.path, query, patch, "application/merge-patch+json")

    async def close(self) -> None:
        """Close the session. Calls still running fail."""
        await self._api.close()  # type: ignore[no-untyped-call]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _write(
        self,
        verb: str,
        kind: Kind,
        method: str,
        path: str,
        query: Query,
        body: Manifest | Manifests | bytes,
        content_type: str = "application/json",
    ) -> Manifest:
        return await self._call(verb, kind, method, path, query=query, body=body, content_type=content_type, write=True)

    async def _call(
        self,
        verb: str,
        kind: Kind,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Manifest | Manifests | bytes | None = None,
        content_type: str = "application/json",
        write: bool = False,
    ) -> Manifest:
        """Send one request inside the limits of time and number and return the decoded object."""
        limit = self._timeout
        try:
            async with asyncio.timeout(limit), self._slots:
                if not write:
                    return await self._send(verb, kind, method, path, query or [], body, content_type)
                if not self._may_write():
                    raise NotLeader(f"{verb} {kind.kind}: the Lease is not held")
                limit = min(limit, WRITE_TIMEOUT)
                async with asyncio.timeout(limit):
                    return await self._send(verb, kind, method, path, query or [], body, content_type)
        except TimeoutError as error:
            raise Unavailable(f"{verb} {kind.kind}: no answer within {limit:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"{verb} {kind.kind}: {type(error).__name__}: {error}") from error

    async def _send(
        self,
        verb: str,
        kind: Kind,
        method: str,
        path: str,
        query: Query,
        body: Manifest | Manifests | bytes | None,
        content_type: str,
    ) -> Manifest:
        code, started = 0, time.monotonic()
        try:
            request = await self._api.param_serialize(
                method,
                path,
                query_params=list(query),
                header_params={"Accept": "application/json", "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
            )
            limit = aiohttp.ClientTimeout(total=self._timeout)
            response = await self._api.call_api(*request, _request_timeout=limit)
            data: bytes = await response.read()  # type: ignore[no-untyped-call]
            code = response.status
        finally:
            if self._observe is not None:
                self._observe(verb, kind.kind, code, time.monotonic() - started)
        if not 200 <= code < 300:
            raise error_for(code, response.reason or "", response.headers, data)
        try:
            answer: Manifest = json.loads(data)
        except ValueError as error:
            raise Unavailable(f"{verb} {kind.kind}: the answer is no JSON; is a proxy in between?") from error
        return answer


def _is_managers(entry: Manifest, field_manager: str) -> bool:
    """Whether an entry of managedFields is about the object itself, and the manager's."""
    return entry.get("manager") == field_manager and "subresource" not in entry


def _environment_proxy(url: str) -> str | None:
    """Return the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name for `url`, as other Kubernetes clients do."""
    parts = urlsplit(url)
    if parts.hostname is None or proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme)


def _typed(kind: Kind, items: Iterable[Manifest]) -> Manifests:
    """Set what the API server leaves out of a list's items."""
    return [{**item, "apiVersion": kind.api_version, "kind": kind.kind} for item in items]


async def _configuration(kubeconfig: Path | None) -> Configuration:
    configuration = Configuration()
    named = str(kubeconfig) if kubeconfig is not None else os.environ.get("KUBECONFIG", "")
    try:
        if named:
            await config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=named, client_configuration=configuration, persist_config=False
            )
        else:
            config.load_incluster_config(  # type: ignore[no-untyped-call]
                client_configuration=configuration
            )
    except config.ConfigException as error:
        source = f"kubeconfig {named}" if named else "not in a pod, and KUBECONFIG is not set"
        raise NoCluster(f"no API server to talk to ({source}): {error}; set KUBECONFIG or pass a kubeconfig") from error
    return configuration
