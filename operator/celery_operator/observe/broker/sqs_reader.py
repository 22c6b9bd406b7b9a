"""Depths of queues on Amazon SQS: by their attributes, which say what waits, what workers hold and what is delayed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Depth, Heartbeat, Problem, Unreadable
from celery_operator.observe.broker.sqs_connection import SqsConnection, SqsError, all_of
from celery_operator.observe.broker.sqs_layout import Place, layout_of

_WAITING: Final = "ApproximateNumberOfMessages"
_HELD: Final = "ApproximateNumberOfMessagesNotVisible"
_DELAYED: Final = "ApproximateNumberOfMessagesDelayed"
_ATTRIBUTES: Final = [_WAITING, _HELD, _DELAYED]
_NAMED_IN_NOTES: Final = 5
"""Queues that a note names; there may be hundreds."""


class SqsReader:
    """Reads an `sqs://` broker: one request a queue, all at once, and a second one for a queue that is new.

    Figures of SQS are approximate, and some seconds old. A queue that does not exist is 0; one that the account may not
    read, or that ``predefined_queues`` leaves out or has a wrong URL of, is unknown. ETAs of messages are not seen.
    """

    def __init__(self, address: BrokerAddress) -> None:
        """Raises Unreadable for an address that cannot be right."""
        self._layout = layout_of(address)
        self._connection = SqsConnection()
        self._urls: dict[Place, str] = {}
        self._notes: tuple[Problem, ...] = ()

    @property
    def notes(self) -> tuple[Problem, ...]:
        """Which queues are unknown, and why."""
        return self._notes

    async def read(
        self, queues: Collection[str], *, unacked: bool, urgent: Collection[str] = ()
    ) -> Mapping[str, Depth]:
        """One Depth a queue. Raises Unreadable. All figures come with the same request, and are always asked for."""
        del unacked, urgent
        places = {queue: self._layout.place(queue) for queue in dict.fromkeys(queues)}
        found = {queue: place for queue, place in places.items() if place is not None}
        answers = await all_of(self._read(place) for place in found.values())
        depths: dict[str, Depth] = {}
        refused: dict[str, Problem] = {}
        for queue, answer in zip(found, answers, strict=True):
            if isinstance(answer, Depth):
                depths[queue] = answer
            elif answer.kind == "refused":
                refused[queue] = answer.problem
            else:
                raise answer
        if refused and len(refused) == len(places):
            raise Unreadable(next(iter(refused.values())))
        self._notes = tuple(_notes(refused, [queue for queue, place in places.items() if place is None]))
        return {queue: depths.get(queue, _UNKNOWN) for queue in places}

    async def close(self) -> None:
        """End the connections."""
        await self._connection.close()

    async def _read(self, place: Place) -> Depth:
        ask, endpoint = self._connection.ask, place.endpoint
        try:
            url = place.url or self._urls.get(place)
            if url is None:
                url = str((await ask(endpoint, "GetQueueUrl", QueueName=place.name)).get("QueueUrl"))
                self._urls[place] = url
            reply = await ask(endpoint, "GetQueueAttributes", QueueUrl=url, AttributeNames=_ATTRIBUTES)
        except SqsError as error:
            if error.kind != "absent":
                raise
            if place.url is not None:
                raise SqsError(_NOTHING_THERE, "refused") from error  # SQS says so of queues of others, too
            self._urls.pop(place, None)
            return Depth(ready=0, unacked=0, hides_eta=True)
        return _depth(reply.get("Attributes") or {})


class SqsSilence:
    """Celery's transport for SQS carries no broadcasts: what workers run is known from asking each of them."""

    def __init__(self, address: BrokerAddress) -> None:
        del address

    async def run(self, on_beat: Callable[[Heartbeat], None]) -> None:
        """Hand over nothing until cancelled."""
        del on_beat
        await asyncio.Event().wait()


_NOTHING_THERE: Final = Problem(
    reason="QueueAbsent",
    message="there is nothing at its URL, or the access key may not see it; check the transport option "
    "predefined_queues",
)
_UNKNOWN: Final = Depth(ready=None, hides_eta=True)


def _depth(attributes: Mapping[str, Any]) -> Depth:
    """What is delayed waits as well, and is not due; the broker does not say when it will be (15 minutes at most)."""
    waiting, held, delayed = (_count(attributes.get(name)) for name in _ATTRIBUTES)
    if waiting is None or delayed is None:
        return Depth(ready=None, unacked=held, hides_eta=True)
    return Depth(ready=waiting + delayed, unacked=held, future_eta=delayed, hides_eta=True)


def _count(value: Any) -> int | None:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else None


def _notes(refused: Mapping[str, Problem], undefined: Collection[str]) -> list[Problem]:
    notes = []
    for problem in dict.fromkeys(refused.values()):
        names = _named([queue for queue, why in refused.items() if why == problem])
        notes.append(Problem(reason=problem.reason, message=f"{names}: {problem.message}"))
    if undefined:
        message = (
            f"{_named(undefined)}: not in the transport option predefined_queues; add it there, by its name in SQS"
        )
        notes.append(Problem(reason="QueueNotDefined", message=message))
    return notes


def _named(queues: Collection[str]) -> str:
    first = ", ".join(sorted(queues)[:_NAMED_IN_NOTES])
    more = len(queues) - _NAMED_IN_NOTES
    return f"queue{'s' if len(queues) > 1 else ''} {first}" + (f" and {more} more" if more > 0 else "")
