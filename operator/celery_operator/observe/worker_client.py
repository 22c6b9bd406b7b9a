"""Speaks to the HTTP server of the runtime in a worker's pod: what it reports, and to drain it."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, ValidationError

from celery_operator.observe import pod_http
from celery_operator.observe.worker_report import PodAddress, WorkerAbout, WorkerReport

URGENT: Final = 16
"""Of the 64 requests that may be under way at once, those kept free for pods that are being drained."""
REGULAR: Final = 48
"""The others: pods that do not answer hold these up, and never a drain."""

_BODY_LIMIT: Final = 65536
"""Bytes of an answer; a status has some 3,000."""
_LEASE_MARGIN: Final = 0.5
"""Seconds by which a lease is believed to end early: the pod rounds what it says of it."""

NO_LEASE: Final = float("-inf")
NO_DRAIN: Final = "its runtime cannot drain: it was started by an older operator; the next rollout replaces it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a worker said. ``lease_until``: until when, on our monotonic clock, it stays drained for certain."""

    report: WorkerReport
    lease_until: float = NO_LEASE
    can_drain: bool = True
    """False for a runtime that knows nothing of drains."""


class SilentError(Exception):
    """No answer, or none that says anything; ``timed_out`` where even that took its time."""

    def __init__(self, *, timed_out: bool) -> None:
        super().__init__("no answer")
        self.timed_out = timed_out


class OtherBootError(Exception):
    """The container was started anew since: the boot that was meant is no more."""


class RefusedError(Exception):
    """The pod answers, and will never do what it was asked for; the text says why, for people."""


class _Drain(BaseModel):
    model_config = ConfigDict(extra="ignore")
    draining: StrictBool
    drained: StrictBool
    seconds: float = Field(ge=0, allow_inf_nan=False)


class _Document(BaseModel):
    """What /status and the answer of /drain have in common."""

    model_config = ConfigDict(extra="ignore")
    boot_id: str = Field(alias="bootId", min_length=1)
    slots: StrictInt | None = None
    active: StrictInt | None = None
    reserved: StrictInt | None = None
    held: StrictInt | None = None
    eta: StrictInt | None = None
    processed: StrictInt | None = None
    started_since: str | None = Field(default=None, alias="startedSince")
    shutting_down: StrictBool = Field(alias="shuttingDown")
    connected: Any = None
    consuming: Any = None
    unknown_tasks: Any = Field(default=None, alias="unknownTasksRequeued")
    redelivered: Any = Field(default=None, alias="redeliveredWhileRunning")
    latest_eta: Any = Field(default=None, alias="latestEta")
    versions: Any = None
    effective: Any = None
    """Of any shape: what cannot be read of them must keep nobody from draining the worker."""


class WorkerClient:
    """One session for all pods. No pod waits for one that hangs, as long as there are fewer than 48 of these."""

    def __init__(
        self, *, clock: Callable[[], float], session: Callable[[], aiohttp.ClientSession] | None = None
    ) -> None:
        self._clock = clock
        self._make_session = session or pod_http.new_session
        self._session: aiohttp.ClientSession | None = None
        self._limits = {True: asyncio.Semaphore(URGENT), False: asyncio.Semaphore(REGULAR)}

    async def status(
        self, address: PodAddress, *, urgent: bool = False, on_begin: Callable[[], None] = lambda: None
    ) -> Answer:
        """GET /status. Raises SilentError, or RefusedError for what is no worker's runtime.

        ``on_begin``: told when the request begins. Before it, this may have waited long for pods that do not answer.
        """
        async with self._limits[urgent]:
            on_begin()
            began = self._clock()
            status, body = await self._request("GET", address, "/status")
        if status != 200:
            raise SilentError(timed_out=False)
        document = _json_object(body)
        if document is None:
            raise RefusedError("its /status is not one of a worker: something else listens on its probe port")
        return self._answer(document, document.get("drain"), began)

    async def drain(self, address: PodAddress, boot_id: str, seconds: float) -> Answer:
        """POST /drain: drained for ``seconds`` from now on, consuming again when 0.

        Raises SilentError, OtherBootError, or RefusedError.
        """
        async with self._limits[True]:
            began = self._clock()
            status, body = await self._request(
                "POST",
                address,
                "/drain",
                json={"bootId": boot_id, "seconds": seconds},
                headers={"Authorization": f"Bearer {address.uid}"},
            )
        if status == 409:
            raise OtherBootError
        if status >= 500 and status != 501:
            raise SilentError(timed_out=False)
        if status != 200:
            raise RefusedError(_refusal(status))
        document = _json_object(body)
        if document is None:
            raise RefusedError("its answer to /drain is not one of a worker: something else listens on its probe port")
        return self._answer(document, document, began)

    async def close(self) -> None:
        """Close the session; requests under way fail."""
        if self._session is not None:
            await self._session.close()

    def _answer(self, document: dict[str, Any], drain: Any, began: float) -> Answer:
        try:
            known = _Document.model_validate(document)
            lease = None if drain is None else _Drain.model_validate(drain)
        except ValidationError as error:
            raise RefusedError("its answer is not one of a worker's runtime that this operator knows") from error
        report = WorkerReport(
            at=self._clock(),
            boot_id=known.boot_id,
            slots=known.slots,
            active=known.active,
            reserved=known.reserved,
            held=known.held,
            eta=known.eta,
            processed=known.processed,
            started=known.started_since is not None,
            shutting_down=known.shutting_down,
            draining=lease is not None and lease.draining,
            drained=lease is not None and lease.draining and lease.drained,
            connected=known.connected if isinstance(known.connected, bool) else None,
            consuming=_consuming(known),
            unknown_tasks=known.unknown_tasks if isinstance(known.unknown_tasks, int) else None,
            redelivered=known.redelivered if isinstance(known.redelivered, int) else None,
            latest_eta=_moment(known.latest_eta),
            about=_about(known),
        )
        if lease is None:
            return Answer(report=report, can_drain=False)
        # From when it was asked: the worker began to count later than that.
        return Answer(report=report, lease_until=began + lease.seconds - _LEASE_MARGIN)

    async def _request(self, method: str, address: PodAddress, path: str, **options: Any) -> tuple[int, bytes]:
        if self._session is None:
            self._session = self._make_session()
        try:
            async with self._session.request(method, address.url(path), allow_redirects=False, **options) as response:
                return response.status, await pod_http.body_of(response, _BODY_LIMIT)
        except pod_http.TooLongError as error:
            raise RefusedError("its answer is too long for a worker's runtime") from error
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise SilentError(timed_out=isinstance(error, TimeoutError)) from error


def _consuming(known: _Document) -> bool | None:
    """What it consumed last stays in the document while it is not connected."""
    if known.connected is False:
        return False
    return bool(known.consuming) if isinstance(known.consuming, list) else None


def _moment(value: Any) -> float | None:
    """Seconds since the epoch; None for what is no such number."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None


def _about(known: _Document) -> WorkerAbout | None:
    """None for an answer that says nothing of it."""
    if not isinstance(known.versions, dict):
        return None
    found = {name: text for name, text in known.versions.items() if isinstance(text, str)}
    options = known.effective.get("broker_transport_options") if isinstance(known.effective, dict) else None
    timeout = options.get("visibility_timeout") if isinstance(options, dict) else None
    return WorkerAbout(
        celery=found.get("celery"),
        kombu=found.get("kombu"),
        redis=found.get("redis"),
        visibility_timeout=float(timeout) if isinstance(timeout, int | float) else None,
    )


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _refusal(status: int) -> str:
    if status in (404, 405, 501):
        return NO_DRAIN
    if status in (401, 403):
        return "it takes no commands from the operator (answer 403): it does not know its own UID; replace the pod"
    return f"it refuses to drain (answer {status}): its runtime and this operator do not fit; replace the pod"
