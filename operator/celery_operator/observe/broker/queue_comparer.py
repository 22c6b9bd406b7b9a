"""Compares declared queues with a broker's beside the passes, so that none of them waits for a broker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from celery_operator.api.connection import AMQP_SCHEMES
from celery_operator.observe.broker import rabbitmq_declarations
from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Unreadable
from celery_operator.observe.broker.queue_comparison import Comparison
from celery_operator.observe.broker.rabbitmq_declarations import Findings
from celery_operator.observe.broker.reachability import TRANSPORT_NOT_SUPPORTED
from celery_operator.observe.broker.traces import trace_of
from celery_operator.observe.key import ClusterKey

_LOG = logging.getLogger(__name__)

DEADLINE: Final = 10.0
"""Seconds for a whole comparison: the Secret, the connection and the questions. A rollout waits no longer."""
FRESH: Final = 30.0
"""Seconds for which an outcome counts: longer than a pass takes that was told of it."""
FRESH_DIFFERENCE: Final = 8.0
"""The same of a difference, which somebody is expected to mend."""

Compare = Callable[[BrokerAddress, Sequence[Mapping[str, Any]]], Awaitable[Findings]]


class QueueComparer:
    """Keeps the last outcome of every CeleryCluster; asks only when it is told to."""

    def __init__(
        self,
        *,
        resolve: Callable[[ClusterKey], Awaitable[BrokerAddress | None]],
        on_change: Callable[[ClusterKey], None],
        clock: Callable[[], float],
        compare: Compare = rabbitmq_declarations.compare,
    ) -> None:
        """``on_change``: told after each comparison, whatever came out. ``clock``: monotonic seconds."""
        self._resolve = resolve
        self._on_change = on_change
        self._clock = clock
        self._compare = compare
        self._states: dict[ClusterKey, _State] = {}

    def known(self, key: ClusterKey, identity: str) -> Comparison | None:
        """The outcome for these declarations; None where it has to be asked for, or is being asked for.

        Differences are told until something else is known, however old they are.
        """
        state = self._states.get(key)
        found = None if state is None else state.found
        if state is None or found is None or found.identity != identity:
            return None
        age = self._clock() - state.at
        if found.differences:
            return replace(found, stale=age >= FRESH_DIFFERENCE)
        return found if age < FRESH else None

    def begin(self, key: ClusterKey, identity: str, declared: Sequence[Mapping[str, Any]]) -> None:
        """Compare (`declared` as `desired.queues.compared` gives it), unless that is under way; returns at once."""
        state = self._states.setdefault(key, _State())
        if state.task is not None and not state.task.done():
            if state.asked == identity:
                return
            state.task.cancel()
        state.asked = identity
        state.task = asyncio.create_task(self._run(key, identity, declared), name=f"queue-comparison {key}")

    def forget(self, key: ClusterKey) -> None:
        """Drop what is known of a CeleryCluster that is gone."""
        state = self._states.pop(key, None)
        if state is not None and state.task is not None:
            state.task.cancel()

    async def stop(self) -> None:
        """End all comparisons and wait for them."""
        tasks = [state.task for state in self._states.values() if state.task is not None]
        self._states.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, key: ClusterKey, identity: str, declared: Sequence[Mapping[str, Any]]) -> None:
        findings = await self._findings(key, declared)
        state = self._states.get(key)
        if state is None or state.task is not asyncio.current_task():
            return
        former = () if state.found is None or state.found.identity != identity else state.found.differences
        # A broker that is away for a moment has mended nothing: whom it would refuse goes on waiting.
        differences = (*findings.differences, *filter(findings.leave_open, former))
        state.found = Comparison(identity=identity, differences=differences, unknown=findings.unknown)
        state.at = self._clock()
        self._on_change(key)

    async def _findings(self, key: ClusterKey, declared: Sequence[Mapping[str, Any]]) -> Findings:
        try:
            async with asyncio.timeout(DEADLINE):
                return await self._asked(await self._resolve(key), declared)
        except Unreadable as unreadable:
            found = _unknown(unreadable.problem.message)
            # One that nobody can ask is another broker than that which differed.
            never = unreadable.problem.reason == TRANSPORT_NOT_SUPPORTED
            return replace(found, unanswered=frozenset()) if never else found
        except TimeoutError:
            return _unknown(f"the broker did not answer within {DEADLINE:g} s")
        except Exception as error:  # noqa: BLE001 - it may fail in any way, and must hold no rollout for ever
            _LOG.debug("comparing queues failed: %s", trace_of(error), extra={"cluster": str(key)})
            return _unknown(f"they could not be asked for ({type(error).__name__})")

    async def _asked(self, address: BrokerAddress | None, declared: Sequence[Mapping[str, Any]]) -> Findings:
        if address is None:
            return _unknown("the Secret with the broker's URL cannot be read yet")
        if address.problem is not None:
            return _unknown(address.problem.message)
        if address.url.partition("://")[0] not in AMQP_SCHEMES:
            return Findings()
        return await self._compare(address, declared)


@dataclass(slots=True, kw_only=True)
class _State:
    """Of one CeleryCluster: what is being asked for, and what came out last."""

    asked: str = ""
    task: asyncio.Task[None] | None = None
    found: Comparison | None = None
    at: float = field(default=0.0)


def _unknown(why: str) -> Findings:
    return Findings(unknown=(f"all queues: {why}",), unanswered=None)
