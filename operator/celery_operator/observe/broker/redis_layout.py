"""Where kombu's Redis transport keeps things: names of keys and channels, as its transport options change them.

Source: ``kombu.transport.redis`` of kombu 5.3.7, 5.4.2, 5.5.4, 5.6.2 and 5.7.0, which agree but for one channel.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Problem, Unreadable

INVALID_ADDRESS: Final = "InvalidAddress"
"""The reason when the URL or a transport option is none that workers could use either."""
SENTINEL: Final = "sentinel"
"""The URL scheme of Redis Sentinel."""

_SEPARATOR: Final = "\x06\x16"
_STEPS: Final = (0, 3, 6, 9)
_UNACKED: Final = "unacked"
_FANOUT: Final = "/{db}."
_BINDING: Final = "_kombu.binding."
_GLOB: Final = re.compile(r"([\\*?\[\]])")


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisLayout:
    """Names of keys and channels of one broker, in one database."""

    database: int
    separator: str
    """Between a queue's name and its priority, and between the parts of a binding."""
    unacked: str | None
    """The hash of unacknowledged messages of all queues; None where workers keep none (``ack_emulation`` off)."""
    heartbeats: tuple[str, ...]
    """Patterns of the channels that heartbeats of workers come on."""
    prefix: str
    steps: tuple[int, ...]

    def lists(self, queue: str) -> tuple[str, ...]:
        """The lists in which a queue's messages wait, one for every step of priority."""
        names = (f"{queue}{self.separator}{step}" if step else queue for step in self.steps)
        return tuple(self.prefix + name for name in names)

    def bindings(self, exchange: str) -> str:
        """The set of an exchange's bindings: routing key, pattern and queue, joined by the separator."""
        return f"{self.prefix}{_BINDING}{exchange}"


def options_of(address: BrokerAddress) -> Mapping[str, Any]:
    """The transport options; Unreadable when they are no JSON object."""
    try:
        options = json.loads(address.options)
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise invalid("the broker's transport options are no map of names to values; correct spec.broker")
    return options


def layout_of(address: BrokerAddress) -> RedisLayout:
    """The names for an address; Unreadable when the URL or the options are wrong."""
    options = options_of(address)
    prefix = _text(options, "global_keyprefix", "")
    database = _database(address.url)
    unacked = prefix + _text(options, "unacked_key", _UNACKED)
    return RedisLayout(
        database=database,
        separator=_text(options, "sep", _SEPARATOR),
        unacked=unacked if options.get("ack_emulation", True) else None,
        heartbeats=_heartbeats(address, options, prefix, database),
        prefix=prefix,
        steps=_steps(options),
    )


def invalid(message: str) -> Unreadable:
    """What to raise for an address that cannot be right."""
    return Unreadable(Problem(reason=INVALID_ADDRESS, message=message))


def _database(url: str) -> int:
    """The number in the first URL's path, as kombu reads it: one slash more is allowed, a query's ``db`` is not."""
    path = unquote(urlsplit(url.split(";")[0]).path).removeprefix("/").removeprefix("/")
    if not path:
        return 0
    if not (path.isascii() and path.isdigit()):
        raise invalid("the path of the broker's URL is no database number; write it as redis://host:6379/0")
    return int(path)


def _steps(options: Mapping[str, Any]) -> tuple[int, ...]:
    steps = options.get("priority_steps")
    if steps is None:
        return _STEPS
    if not isinstance(steps, list) or not steps or not all(type(step) is int for step in steps):
        raise invalid("the transport option priority_steps is no list of whole numbers; correct spec.broker")
    return tuple(dict.fromkeys(steps))


def _heartbeats(address: BrokerAddress, options: Mapping[str, Any], prefix: str, database: int) -> tuple[str, ...]:
    """Before 5.4 the Sentinel transport left ``{db}`` in the channel's name; such workers may run beside newer ones."""
    fanout = options.get("fanout_prefix", True)
    start = (fanout if isinstance(fanout, str) else _FANOUT) if fanout else ""
    starts = {start.replace("{db}", str(database)): None}
    if urlsplit(address.url).scheme == SENTINEL:
        starts[start] = None
    end = "/worker.*" if options.get("fanout_patterns", True) else ""
    return tuple(_GLOB.sub(r"\\\1", f"{prefix}{start}{address.event_exchange}") + end for start in starts)


def _text(options: Mapping[str, Any], name: str, default: str) -> str:
    value = options.get(name, default)
    if not isinstance(value, str):
        raise invalid(f"the transport option {name} is no text; correct spec.broker")
    return value
