"""Asks a RabbitMQ whether it takes the declarations of queues that workers are about to make.

A passive declaration says whether a queue exists, and compares nothing. So what exists is declared once more, as a
worker would: RabbitMQ answers with a refusal that names the first argument that differs, or changes nothing. What does
not exist is left alone: it is the workers' to make. (A queue deleted within the millisecond between both questions is
made as the spec declares it.)
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiormq.channel import Channel
from aiormq.exceptions import (
    AMQPChannelError,
    AMQPError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelLockedResource,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
)
from pamqp import commands

from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.queue_comparison import Difference, text_of
from celery_operator.observe.broker.rabbitmq_connection import (
    ConnectionLostError,
    RabbitConnection,
    bounded,
    connection_problem,
)
from celery_operator.observe.broker.rabbitmq_objects import Kind, described

SECONDS: Final = 4.0
"""For all questions together; what was not answered by then is unknown."""

_LANES: Final = 8
"""Channels that questions are asked on at a time: 256 queues are some 1000 answers to wait for."""

_ABSENT: Final = ("NOT_FOUND - no queue ", "NOT_FOUND - no exchange ")
"""How RabbitMQ says that something does not exist. Its other 404s are queues whose node is down."""

_INEQUIVALENT: Final = re.compile(r"inequivalent arg '([^']+)' for ")
_CURRENT: Final = re.compile(r" but current is (?:the value '(.*)' of type '\w+'|'(.*)'|(none))$", re.DOTALL)
"""The end of a refusal (rabbit_misc:assert_args_equivalence). It is cut after 255 bytes, and then there is none."""

UNSAID: Final = "something else"
"""The broker's value where its refusal was cut."""
_PRIORITY: Final = "x-max-priority"
_TYPE: Final = "x-queue-type"
_UNENCODABLE: Final = (TypeError, ValueError, OverflowError, struct.error)
"""What pamqp raises for names and values that AMQP has no bytes for."""
_LOST: Final = (AMQPError, ChannelInvalidStateError, OSError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What RabbitMQ said: differences, and what stayed unknown, in words."""

    differences: tuple[Difference, ...] = ()
    unknown: tuple[str, ...] = ()
    unanswered: frozenset[tuple[Kind, str]] | None = frozenset()
    """Kind and name of what RabbitMQ said nothing of; None where it was not asked at all."""

    def leave_open(self, difference: Difference) -> bool:
        """Whether what differed before may still do so, for all that is known now."""
        return self.unanswered is None or (difference.kind, difference.name) in self.unanswered


class _Down(str):
    """What RabbitMQ says of a queue whose node is away: nothing of its arguments."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """A queue or an exchange to be asked for."""

    kind: Kind
    name: str
    queues: tuple[str, ...]
    type: str = ""
    """Of an exchange."""
    arguments: Mapping[str, Any]

    def declaration(self, *, passive: bool) -> commands.Queue.Declare | commands.Exchange.Declare:
        """As kombu's Queue and Exchange declare: durable, neither exclusive nor deleted by itself."""
        if self.kind == "exchange":
            return _ExchangeDeclare(exchange=self.name, exchange_type=self.type, passive=passive, durable=True)
        return _QueueDeclare(queue=self.name, passive=passive, durable=True, arguments=dict(self.arguments))

    def __str__(self) -> str:
        return f'{self.kind} "{self.name}"'


class _QueueDeclare(commands.Queue.Declare):
    """pamqp refuses names that RabbitMQ takes, such as `päckchen` or `a|b`."""

    def validate(self) -> None:
        """Nothing to refuse."""


class _ExchangeDeclare(commands.Exchange.Declare):
    """The same of exchanges."""

    def validate(self) -> None:
        """Nothing to refuse."""


async def compare(address: BrokerAddress, declared: Sequence[Mapping[str, Any]]) -> Findings:
    """Ask for each of the declarations (see `desired.queues.compared`), within SECONDS and a moment more.

    Raises Unreadable where there is no connection.
    """
    subjects = list(_subjects(declared))
    answers: dict[_Key, Difference | str | None] = {}
    connection = await RabbitConnection.open(address)
    try:
        waiting = iter(subjects)
        lanes = [_lane(connection, waiting, answers) for _ in range(min(_LANES, len(subjects)))]
        trouble = await _together(lanes)
    finally:
        await connection.close()
    differences = await _completed(address, subjects, answers)
    unknown = [answer for answer in answers.values() if isinstance(answer, str)]
    missing = [str(subject) for subject in subjects if _key(subject) not in answers]
    unanswered = frozenset(key for key in map(_key, subjects) if isinstance(answers.get(key, _Down()), _Down))
    if missing:
        unknown.append(f"{', '.join(missing[:3])}{' and more' if len(missing) > 3 else ''}: {trouble}")
    return Findings(differences=differences, unknown=tuple(unknown), unanswered=unanswered)


_Key = tuple[Kind, str]


def _key(subject: _Subject) -> _Key:
    return subject.kind, subject.name


def _subjects(declared: Sequence[Mapping[str, Any]]) -> Iterator[_Subject]:
    """Exchanges once each, then queues. kombu declares no exchange whose name begins with `amq.`, nor the default."""
    exchanges: dict[str, list[Mapping[str, Any]]] = {}
    for queue in declared:
        if queue["exchange"] and not queue["exchange"].startswith("amq."):
            exchanges.setdefault(queue["exchange"], []).append(queue)
    for name, users in exchanges.items():
        names = tuple(queue["name"] for queue in users)
        yield _Subject(kind="exchange", name=name, queues=names, type=users[0]["exchangeType"], arguments={})
    for queue in declared:
        yield _Subject(kind="queue", name=queue["name"], queues=(queue["name"],), arguments=queue["arguments"])


async def _together(lanes: Iterable[Coroutine[Any, Any, None]]) -> str:
    """Run the lanes to their end, or to that of the time or the connection; why, where it is not their own end."""

    async def run() -> list[BaseException | None]:
        return await asyncio.gather(*lanes, return_exceptions=True)

    try:
        outcomes = await bounded(run(), SECONDS)
    except TimeoutError:
        return f"no answer within {SECONDS:g} s"
    for error in outcomes:
        if isinstance(error, _LOST):
            return connection_problem(error).message
        if error is not None and not isinstance(error, asyncio.CancelledError):
            raise error
    return "the connection ended"


async def _lane(
    connection: RabbitConnection, waiting: Iterator[_Subject], answers: dict[_Key, Difference | str | None]
) -> None:
    """Ask for what is left, one after the other, on a channel of its own; each refusal costs the channel."""
    channel: Channel | None = None
    for subject in waiting:
        try:
            for passive in (True, False):
                subject.declaration(passive=passive).marshal()
        except _UNENCODABLE:
            answers[_key(subject)] = f"{subject}: its name or arguments cannot be sent to a RabbitMQ"
            continue
        if channel is None or channel.is_closed:
            channel = await connection.channel()
        answers[_key(subject)] = await _ask(connection, channel, subject)


async def _ask(connection: RabbitConnection, channel: Channel, subject: _Subject) -> Difference | str | None:
    """None where the declaration is taken, or where there is nothing yet; why it is unknown, as a text."""
    try:
        await channel.rpc(subject.declaration(passive=True))
        await channel.rpc(subject.declaration(passive=False))
    except ChannelNotFoundEntity as error:
        said = _said(error)
        return None if said.startswith(_ABSENT) else _Down(f"{subject}: {said}")
    except ChannelLockedResource:
        return Difference(
            kind=subject.kind,
            name=subject.name,
            queues=subject.queues,
            argument="exclusive",
            wanted="false",
            found="true (it belongs to another connection)",
        )
    except ChannelPreconditionFailed as error:
        return _difference(subject, _said(error))
    except ChannelAccessRefused:
        return f"{subject}: the user has no right to declare it"
    except AMQPChannelError as error:
        if not connection.is_open:
            raise ConnectionLostError("the connection ended") from error
        return f"{subject}: {_said(error)}"
    return None


def _difference(subject: _Subject, said: str) -> Difference | str:
    """What a refusal says, as far as it could be read."""
    named = _INEQUIVALENT.search(said)
    argument = "" if named is None else named.group(1)
    current = _CURRENT.search(said)
    found = UNSAID if current is None else _found(current)
    if argument == _PRIORITY and _PRIORITY not in subject.arguments:
        # Celery adds its setting task_queue_max_priority, which the application's code may have.
        return (
            f"{subject}: {_PRIORITY} is {found} in the broker; that is right if the application sets "
            "task_queue_max_priority, otherwise set maxPriority of the queue"
        )
    return Difference(
        kind=subject.kind,
        name=subject.name,
        queues=subject.queues,
        argument=argument,
        wanted=text_of(_wanted(subject, argument)),
        found=found if argument else said,
    )


async def _completed(
    address: BrokerAddress, subjects: Sequence[_Subject], answers: Mapping[_Key, Difference | str | None]
) -> tuple[Difference, ...]:
    """The differences, and what else differs of the same queues and exchanges as far as the management API tells."""
    refused = {_key(each): each for each in subjects if isinstance(answers.get(_key(each)), Difference)}
    there = await described(address, list(refused))
    out: list[Difference] = []
    for key, subject in refused.items():
        named = answers[key]
        assert isinstance(named, Difference)
        all_ = {each.argument: each for each in _compared(subject, there.get(key, {}))}
        if named.found != UNSAID:
            all_[named.argument] = named
        out += all_.values() if named.argument in all_ else (named,)
    return tuple(out)


def _compared(subject: _Subject, there: Mapping[str, Any]) -> Iterator[Difference]:
    """What differs by the management API's word. Defaults that RabbitMQ itself filled in are no difference."""
    wanted = dict(subject.arguments) if there else {}
    for argument in [*wanted, *(name for name in there if name not in wanted)]:
        mine, current = _wanted(subject, argument), there.get(argument)
        if mine == current or (mine is None and argument in (_PRIORITY, _TYPE)):
            continue
        yield Difference(
            kind=subject.kind,
            name=subject.name,
            queues=subject.queues,
            argument=argument,
            wanted=text_of(mine),
            found=text_of(current),
        )


def _found(current: re.Match[str]) -> str:
    value, plain, none = current.groups()
    return "not set" if none is not None else str(plain if value is None else value)


def _wanted(subject: _Subject, argument: str) -> Any:
    if argument == "type":
        return subject.type
    if argument == "durable":
        return True
    if argument in ("auto_delete", "exclusive", "internal"):
        return False
    return subject.arguments.get(argument)


def _said(error: AMQPError) -> str:
    """RabbitMQ's own words, which name nothing but the queue or exchange and its virtual host."""
    return str(next(iter(error.args), "")) or type(error).__name__
