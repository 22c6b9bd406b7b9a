"""Elects one leader among the operator's replicas by a Lease, the way client-go does it.

Differences to client-go, each on purpose: the Lease is released on stop, and a holder that restarts under
the same identity takes its own Lease back at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from celery_operator.kube.client import KubeClient
from celery_operator.kube.errors import ApiError, Conflict
from celery_operator.kube.objects import LEASE, Manifest, ObjectRef

logger = logging.getLogger(__name__)

FIELD_MANAGER: Final = "celery-operator-lease"
ADDRESS_ANNOTATION: Final = "celery-operator.dev/address"
"""On the Lease: the base URL of the holder's web server."""
_TRY_TIMEOUT: Final = 5.0
"""Seconds for one attempt: two of them fit into the renewal deadline."""
_RELEASE_TIMEOUT: Final = 0.9
"""Seconds for the release at the end: a stop must not wait for an API server that is gone."""
_JITTER: Final = 0.2
"""Attempts come every retry period ± 20 %, so that two standbys do not meet in step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRecord:
    """What one read of the Lease says. `holder` is empty after a release; `duration` is in seconds.

    `address` is where the holder can be asked, as it says itself; empty where it does not.
    """

    holder: str
    duration: float
    renew_time: str
    transitions: int
    resource_version: str
    address: str = ""

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        spec = manifest.get("spec") or {}
        return cls(
            holder=spec.get("holderIdentity") or "",
            duration=float(spec.get("leaseDurationSeconds") or 0),
            renew_time=spec.get("renewTime") or "",
            transitions=int(spec.get("leaseTransitions") or 0),
            resource_version=manifest["metadata"]["resourceVersion"],
            address=(manifest["metadata"].get("annotations") or {}).get(ADDRESS_ANNOTATION) or "",
        )

    def free_for(self, identity: str, *, unchanged_for: float) -> bool:
        """Whether `identity` may take the Lease.

        `unchanged_for`: seconds by our own clock since we first saw the record as it is now. The times inside
        the record are the holder's clock and are never compared with ours.
        """
        return self.holder in ("", identity) or unchanged_for >= self.duration


class LeaseElector:
    """Runs for leadership until stopped.

    `identity` must differ between processes that run at the same time, and should stay the same over a restart
    (a pod's name does): then a restarted leader does not wait for its own Lease to run out.
    `on_started` and `on_lost` are awaited between renewals and must return within a second; `on_lost` is called
    when leadership was lost unasked, not on stop. Their exceptions end `run`. `client` must be one of its own,
    without a `may_write` that asks this elector. `address` is what the others are told while this one holds the Lease.
    """

    def __init__(
        self,
        client: KubeClient,
        *,
        namespace: str,
        name: str,
        identity: str,
        address: str = "",
        lease_duration: float = 15.0,
        renew_deadline: float = 10.0,
        retry_period: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
        on_started: Callable[[], Awaitable[None]],
        on_lost: Callable[[], Awaitable[None]],
    ) -> None:
        if not lease_duration > renew_deadline > retry_period > 0:
            raise ValueError("the order must be lease_duration > renew_deadline > retry_period > 0")
        if not identity:
            raise ValueError("an empty identity means a free Lease")
        self._client = client
        self._ref = ObjectRef(kind=LEASE, namespace=namespace, name=name)
        self._identity = identity
        self._address = address
        self._lease_duration = lease_duration
        self._renew_deadline = renew_deadline
        self._retry_period = retry_period
        self._clock = clock
        self._on_started = on_started
        self._on_lost = on_lost
        self._record: LeaseRecord | None = None
        self._seen_at = 0.0
        self._renewed_at = float("-inf")
        self._leading = False
        self._renew_blindly = False  # the record is surely current: renew without reading first
        self._claimed = False  # a write of ours may have landed
        self._stopping = asyncio.Event()

    @property
    def is_leader(self) -> bool:
        """Whether `on_started` was called and neither a loss nor a stop came since."""
        return self._leading

    @property
    def holder(self) -> str:
        """Who held the Lease when it was last read; empty for nobody or not yet known."""
        return self._record.holder if self._record else ""

    @property
    def holder_address(self) -> str:
        """Where another process that holds the Lease can be asked; empty where none does, or none says so."""
        return self._record.address if self._record and self._record.holder not in ("", self._identity) else ""

    def holds(self) -> bool:
        """Whether a write is safe now: the Lease is ours and its last renewal began < renew_deadline ago."""
        return self._leading and self._clock() - self._renewed_at < self._renew_deadline

    def stop(self) -> None:
        """Let `run` release the Lease and return."""
        self._stopping.set()

    async def run(self) -> None:
        """Run for leadership until `stop` or cancellation; either releases a held Lease within a second."""
        try:
            while not self._stopping.is_set():
                renewed = await self._attempt_until_stopped()
                if renewed and not self._leading:
                    self._leading = True
                    logger.info("became leader as %s", self._identity)
                    await self._on_started()
                elif self._leading and not (renewed or self._may_still_renew()):
                    self._leading = False
                    logger.warning("lost the leadership; the Lease is held by %s", self.holder or "nobody")
                    await self._on_lost()
                await self._pause()
        finally:
            self._leading = False  # before the release: no write may come after it
            if self._claimed:
                await self._release()

    def _may_still_renew(self) -> bool:
        return self.holder == self._identity and self.holds()

    async def _pause(self) -> None:
        # Spread of start times needs no secrecy, so the plain generator will do.
        seconds = self._retry_period * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311
        if self._leading:
            seconds = min(seconds, max(0.0, self._renewed_at + self._renew_deadline - self._clock()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):  # wait_for may swallow a cancellation before Python 3.12
                await self._stopping.wait()

    async def _attempt_until_stopped(self) -> bool:
        """Try once; a stop does not wait for an API server that is slow to answer."""
        attempt = asyncio.create_task(self._attempt(), name="lease attempt")
        stopping = asyncio.create_task(self._stopping.wait(), name="lease stop")
        try:
            await asyncio.wait({attempt, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return attempt.done() and attempt.result()
        finally:
            attempt.cancel()
            stopping.cancel()
            await asyncio.wait({attempt, stopping})

    async def _attempt(self) -> bool:
        """Try once to take or renew the Lease; return whether it is ours now."""
        seconds = _TRY_TIMEOUT
        if self._leading:
            left = self._renewed_at + self._renew_deadline - self._clock()
            seconds = min(seconds, max(left, 0.0))
        try:
            async with asyncio.timeout(seconds):
                return await self._take_or_renew()
        except Conflict:
            # Somebody wrote in between. Forget the resourceVersion, so that the next try reads first.
            logger.debug("the Lease changed while it was being written")
        except TimeoutError:
            logger.warning("Lease %s: no answer within %.1f s", self._ref.name, seconds)
        except ApiError as error:
            logger.warning("Lease %s could not be read or written: %s", self._ref.name, error)
        self._renew_blindly = False
        return False

    async def _take_or_renew(self) -> bool:
        started = self._clock()
        if not (self._leading and self._renew_blindly):
            await self._read()
        record = self._record
        if record is None:
            self._claimed = True
            manifest = await self._client.create(self._new_lease(), field_manager=FIELD_MANAGER)
        elif not record.free_for(self._identity, unchanged_for=self._clock() - self._seen_at):
            return False
        else:
            self._claimed = True
            manifest = await self._client.merge_patch(self._ref, self._claim(record), field_manager=FIELD_MANAGER)
        self._observe(LeaseRecord.of(manifest))
        self._renewed_at = started
        self._renew_blindly = True
        return True

    async def _read(self) -> None:
        manifest = await self._client.get(self._ref)
        self._observe(None if manifest is None else LeaseRecord.of(manifest))

    def _observe(self, record: LeaseRecord | None) -> None:
        if record != self._record:
            self._record, self._seen_at = record, self._clock()

    def _new_lease(self) -> Manifest:
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {"namespace": self._ref.namespace, "name": self._ref.name, **self._annotations()},
            "spec": {**self._held_now(), "acquireTime": _micro_time(), "leaseTransitions": 0},
        }

    def _claim(self, record: LeaseRecord) -> Manifest:
        spec = self._held_now()
        if record.holder != self._identity:
            spec |= {"acquireTime": _micro_time(), "leaseTransitions": record.transitions + 1}
        return {"metadata": {"resourceVersion": record.resource_version, **self._annotations()}, "spec": spec}

    def _annotations(self) -> Manifest:
        return {"annotations": {ADDRESS_ANNOTATION: self._address}} if self._address else {}

    def _held_now(self) -> Manifest:
        # The field is an integer; rounding up is the safe side for everybody who waits for it.
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": math.ceil(self._lease_duration),
            "renewTime": _micro_time(),
        }

    async def _release(self) -> None:
        """Empty the holder, so that a standby need not wait for the Lease to run out."""
        try:
            async with asyncio.timeout(_RELEASE_TIMEOUT):
                # A renewal that was under way may have landed: only a fresh resourceVersion is sure to match.
                await self._read()
                if self._record is None or self._record.holder != self._identity:
                    return
                spec = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _micro_time()}
                patch = {"metadata": {"resourceVersion": self._record.resource_version}, "spec": spec}
                await self._client.merge_patch(self._ref, patch, field_manager=FIELD_MANAGER)
        except (ApiError, TimeoutError) as error:
            logger.warning("Lease %s was not released, a standby has to wait: %s", self._ref.name, error)


def _micro_time() -> str:
    """The time in Kubernetes' MicroTime format. Only people read it: no decision depends on it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
