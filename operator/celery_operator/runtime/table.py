"""The table: which settings and flags fit which Celery, kombu, transport, pool and delivery.

One row, one setting; a row applies when every column that it fills agrees. Sources: Celery's and kombu's change logs,
and runs of 5.3.6, 5.4.0, 5.5.3, 5.6.3 and 5.7.0, which the integration tests repeat.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from .environment import Settings
from .failures import StartError
from .versions import AMQP_SCHEMES, REDIS_SCHEMES, Installed, Version, scheme

AT_LEAST_ONCE = "AtLeastOnce"
REQUEUE = "Requeue"

SOFT_SHUTDOWN: Version = (5, 5)
"""The first Celery that can wait for a bounded time and put the rest back."""

REQUEUE_MARGIN_SECONDS = 10
"""Of the grace period, for cutting and putting back after the soft shutdown (measured: 1.5 s)."""

FORCED, DEFAULT = "forced", "default"
"""Forced beats the application; a default applies where neither spec.config nor the application says anything."""

_KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 30_000}
"""Seconds, and milliseconds for the last: 30 s of silence from the other machine, whether it owes an answer or not."""

KILLABLE_POOLS = ("prefork",)
"""Pools that can end one running task from outside."""

CHILD = "child"
"""The component that a child of the pool prefork is, beside what its worker is."""


@dataclass(frozen=True)
class Choice:
    """What the table chose.

    ``flags`` go to the command line. ``forced`` settings win over the application, ``defaults`` apply where
    neither the application nor spec.config sets the key, ``merged`` fill missing keys of a dict setting.
    """

    flags: Tuple[str, ...] = ()
    forced: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    merged: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """``name``: a setting, ``setting:key`` for one key of a dict setting, or a flag. ``value`` may be computed.

    ``celery`` and ``kombu``: the first version, and ``before`` the first Celery for which it holds no more. A column
    that is None agrees with everything.
    """

    name: str
    value: Union[Any, Callable[[Settings], Any]]
    layer: str = DEFAULT
    component: Optional[str] = None
    delivery: Optional[str] = None
    mode: Optional[str] = None
    transport: Optional[str] = None
    pools: Optional[Tuple[str, ...]] = None
    celery: Version = ()
    kombu: Version = ()
    before: Version = (999,)

    def applies(self, found: Installed, settings: Settings) -> bool:
        """Whether every column agrees."""
        return (
            self.component in (None, settings.component)
            and self.delivery in (None, settings.task_delivery)
            and self.mode in (None, settings.shutdown_mode)
            and self.transport in (None, transport(settings), scheme(settings.broker_url))
            and (self.pools is None or settings.pool in self.pools)
            and self.celery <= found.number("celery") < self.before
            and self.kombu <= found.number("kombu")
        )


def transport(settings: Settings) -> str:
    """``redis`` for every spelling of Redis, ``amqp`` for every one of RabbitMQ, else the broker URL's scheme."""
    name = scheme(settings.broker_url)
    return "redis" if name in REDIS_SCHEMES else "amqp" if name in AMQP_SCHEMES else name


def _visibility_timeout(settings: Settings) -> float:
    return settings.visibility_timeout_seconds


def _keepalive(_: Settings) -> Dict[int, int]:
    """As setsockopt takes it; systems other than Linux lack some."""
    return {getattr(socket, name): value for name, value in _KEEPALIVE.items() if hasattr(socket, name)}


def _soft_timeout(settings: Settings) -> float:
    return max(0.0, settings.grace_period_seconds - REQUEUE_MARGIN_SECONDS)


def _beat_timezone(settings: Settings) -> Optional[str]:
    return settings.beat.timezone


# fmt: off
TABLE: Sequence[Row] = (
    # Pods start before brokers do, and a broker that is away must not end the fleet (Celery: 100 tries, then exit).
    Row("broker_connection_retry_on_startup", True),
    Row("broker_connection_max_retries", None),
    # A Redis that answers and refuses (it has become a replica, it has no memory, it cannot save) is away, too: without
    # this it ends the fleet, and each worker waits for its running tasks first, without a limit.
    Row("broker_channel_error_retry", True, component="worker", transport="redis"),
    # Without them a publish or an acknowledgement on a half-open connection waits for ever.
    Row("broker_transport_options:socket_timeout", 30, transport="redis"),
    Row("broker_transport_options:socket_keepalive", True, transport="redis"),
    # By itself the system finds after two hours that the other machine is gone, or after 15 min with a command on its
    # way. What waits for a task has no timeout before kombu 5.7, and then one of 26 to 51 s: tasks ran 91 s after a cut
    # without any answer (5.3, 5.7), with these 31 s. Only idle connections cost a packet, every 15 s.
    Row("broker_transport_options:socket_keepalive_options", _keepalive, transport="redis"),
    Row("broker_transport_options:health_check_interval", 25, transport="redis"),
    # Every client that waits for a reply restores everybody's unacknowledged messages by its own timeout, so all
    # components of a cluster must have the same.
    Row("broker_transport_options:visibility_timeout", _visibility_timeout, transport="redis"),
    # From SIGKILL to redelivery: the visibility timeout and up to 100 s by default (10 s x every tenth sweep).
    Row("broker_transport_options:unacked_restore_interval", 2, transport="redis", component="worker", kombu=(5, 7)),
    Row("broker_transport_options:unacked_restore_throttle", 1, transport="redis", component="worker", kombu=(5, 7)),
    # kombu checks no certificate unless told to. Not in the URL, as for the result backend: there it would replace
    # all of the application's own broker_use_ssl, its certificate authority included.
    Row("broker_use_ssl", {"ssl_cert_reqs": ssl.CERT_REQUIRED}, transport="rediss"),
    # py-amqp checks who signed a certificate, but not whose it is, unless it is told a name: None is that of the URL.
    Row("broker_use_ssl", {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None}, transport="amqps"),

    # Otherwise a producer believes that RabbitMQ has what went into a connection that was lost, or to a queue without a
    # majority. So does a task that sends tasks, and its own message is acknowledged on another connection. Not in the
    # worker's main process: it would wait in its loop, for as long as RabbitMQ is short of memory.
    Row("broker_transport_options:confirm_publish", True, component="client", transport="amqp"),
    Row("broker_transport_options:confirm_publish", True, component=CHILD, transport="amqp", delivery=AT_LEAST_ONCE,
        pools=("prefork",)),

    # 4 s kills children that start slowly under a small CPU limit, in a loop (celery#9781).
    Row("worker_proc_alive_timeout", 30, component="worker"),
    # Whatever the delivery: a message that a busy worker holds is hidden from idle ones and from whoever counts it.
    # Celery 5.6 takes the tasks that gevent runs for its slots: none when it is idle, and it never takes a message.
    Row("worker_disable_prefetch", True, component="worker", transport="redis", celery=(5, 7)),
    Row("worker_disable_prefetch", True, component="worker", transport="redis", celery=(5, 6), before=(5, 7),
        pools=("prefork", "threads", "eventlet", "solo")),

    Row("task_acks_late", True, FORCED, component="worker", delivery=AT_LEAST_ONCE),
    Row("worker_prefetch_multiplier", 1, component="worker", delivery=AT_LEAST_ONCE),
    # Retries are bounded by max_retries; a rejection brings a task that kills its child back for ever.
    Row("task_retry_on_worker_lost", True, component="worker", delivery=AT_LEAST_ONCE, celery=(5, 7)),
    Row("task_reject_on_worker_lost", True, component="worker", delivery=AT_LEAST_ONCE, before=(5, 7)),
    # Otherwise tasks that the broker gave to others meanwhile go on here as well. Threads cannot be ended: Celery 5.3
    # to 5.6 raise NotImplementedError while they reconnect, and the worker is lost, and so do 5.3 and 5.4 with gevent;
    # solo reconnects after its task.
    Row("worker_cancel_long_running_tasks_on_connection_loss", True, component="worker", delivery=AT_LEAST_ONCE,
        pools=("prefork", "eventlet")),
    Row("worker_cancel_long_running_tasks_on_connection_loss", True, component="worker", delivery=AT_LEAST_ONCE,
        pools=("gevent",), celery=(5, 5)),

    Row("worker_soft_shutdown_timeout", _soft_timeout, FORCED, component="worker", mode=REQUEUE, celery=SOFT_SHUTDOWN),

    Row("timezone", _beat_timezone, FORCED, component="beat"),
)
# fmt: on


def choose(found: Installed, settings: Settings) -> Choice:
    """What applies of the table. Raises StartError(ConfigInvalid) for a mode that this Celery or pool cannot do."""
    _check_mode(found, settings)
    layers: Dict[str, Dict[str, Any]] = {FORCED: {}, DEFAULT: {}}
    merged: Dict[str, Dict[str, Any]] = {}
    for row in TABLE:
        if not row.applies(found, settings):
            continue
        value = row.value(settings) if callable(row.value) else row.value
        setting, _, key = row.name.partition(":")
        if key:
            merged.setdefault(setting, {})[key] = value
        elif value is not None or row.layer == DEFAULT:
            layers[row.layer][setting] = value
    return Choice(flags=_flags(settings), forced=layers[FORCED], defaults=layers[DEFAULT], merged=merged)


def _flags(settings: Settings) -> Tuple[str, ...]:
    flags: List[str] = []
    if settings.component == "worker" and not settings.mingle:
        flags.append("--without-mingle")
    return tuple(flags)


def _check_mode(found: Installed, settings: Settings) -> None:
    if settings.component != "worker" or settings.shutdown_mode != REQUEUE:
        return
    if found.number("celery") < SOFT_SHUTDOWN:
        raise StartError(
            "ConfigInvalid",
            "shutdown.mode Requeue needs celery 5.5 or newer, the image has %s; upgrade celery, or use Drain"
            % found.celery,
        )
    if settings.pool not in KILLABLE_POOLS:
        raise StartError(
            "ConfigInvalid",
            "shutdown.mode Requeue needs the pool prefork: the pool %s cannot end a running task; use Drain"
            % settings.pool,
        )
