"""The operator's way to have a worker take no further task, for as long as it keeps saying so.

A worker that is to be removed must be idle, and stay it. So it is told to stop consuming first, and answers when
nothing is left that its end could disturb. What it was told is a lease: an operator that dies leaves no worker idle for
ever.

Celery's own cancel_consumer is not used. It changes which queues the worker consumes from, which is the user's to
say; before 5.7 its counterpart does not last beyond the next lost connection. Here that choice stays as it is, and only
the act of consuming is withheld, on each connection anew.
"""

from __future__ import annotations

import json
import logging
from time import monotonic
from typing import Any, Callable, Dict, Mapping, Optional, Tuple, Union

from . import holdings, sqs_polls, task_requests
from .guard import harmless
from .originals import allocate_lock
from .probe_server import is_authorized
from .worker_state import WorkerState

logger = logging.getLogger("celery.operator")

ROUND_SECONDS = 0.2
"""Between two looks while the lease runs."""


TURN_SECONDS = 0.5
"""The longest that the loop of a green pool waits for the broker meanwhile; Celery's own is 2 s."""


class Lease:
    """Until when the worker shall take nothing, and whether it holds nothing any more. For several threads.

    Both are one decision: a lease that is renewed in the moment it runs out must not say "drained" of a worker that is
    about to consume again.
    """

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._end: Optional[float] = None
        self._settled = False

    def renew(self, seconds: float) -> None:
        """From now on for so long; 0 ends it."""
        with self._lock:
            self._end = monotonic() + seconds if seconds else None

    def holds(self) -> bool:
        """Whether the worker shall take nothing. Once False was answered it is not drained, whatever comes next."""
        with self._lock:
            if not self._runs():
                self._settled = False
            return self._runs()

    def settle(self, settled: bool) -> None:
        """What the worker's loop has found."""
        with self._lock:
            self._settled = settled and self._runs()

    def read(self) -> Tuple[bool, bool, float]:
        """Whether it runs, whether the worker is drained, seconds left."""
        with self._lock:
            if not self._runs():
                return False, False, 0.0
            return True, self._settled, max(0.0, (self._end or 0.0) - monotonic())

    def _runs(self) -> bool:
        return self._end is not None and monotonic() < self._end


class Drain:
    """``command`` and ``shown`` belong to the probes' thread, everything else to the worker's loop."""

    def __init__(self, token: str, state: WorkerState) -> None:
        self._token = token
        self._state = state
        self._lease = Lease()
        self._unknown: Callable[[], int] = lambda: 0
        self._consumer: Optional[Any] = None
        self._tasks: Optional[Any] = None
        self._polls: Optional[sqs_polls.Polls] = None
        self._withheld = False
        self._timer: Optional[Any] = None

    def install(self, unknown: Callable[[], int]) -> None:
        """``unknown``: how many unknown tasks the worker holds."""
        self._unknown = unknown
        self._give_back_what_comes_due()

    def command(self, headers: Mapping[str, str], body: bytes) -> Tuple[int, Union[str, Mapping[str, Any]]]:
        """``POST /drain``: begin, renew or end the lease, and say how far the worker is."""
        if not is_authorized(headers, self._token):
            return 403, "the token is the pod's UID"
        wish = _wish(body)
        if wish is None:
            return 400, 'the body is {"bootId": text, "seconds": number, 0 or more}'
        boot_id, seconds = wish
        if boot_id != self._state.boot_id:
            return 409, {"bootId": self._state.boot_id}
        self._lease.renew(seconds)
        self._wake()
        return 200, {"bootId": boot_id, **self._state.counts(), **self.shown()}

    def shown(self) -> Dict[str, Any]:
        """For /status."""
        draining, settled, seconds = self._lease.read()
        counts = self._state.counts()
        drained = settled and not counts["active"] and not counts["reserved"]
        return {"draining": draining, "drained": drained, "seconds": round(seconds, 3)}

    @property
    def withheld(self) -> bool:
        """Whether the worker consumes nothing because of the lease."""
        return self._withheld

    @harmless
    def attach(self, consumer: Any) -> None:
        """A new connection, on which the worker has not begun to consume."""
        self.detach()
        tasks = consumer.task_consumer
        original = tasks.consume

        def consume(*args: Any, **kwargs: Any) -> None:
            """In place of kombu's: Celery calls it on a new connection, and for every queue that the user adds."""
            self._withheld = self._lease.holds()
            if not self._withheld:
                original(*args, **kwargs)

        self._consumer, self._tasks = consumer, tasks
        self._polls = sqs_polls.watched(tasks.channel)
        tasks.consume = consume
        if consumer.hub is None:
            self._turn_sooner(consumer.connection)
        self._withheld = self._lease.holds()
        if self._withheld:
            self._start_timer()

    @harmless
    def detach(self) -> None:
        """The connection is gone, or the worker stops."""
        self._lease.settle(False)
        self._withheld = False
        self._tasks = None
        self._stop_timer()

    @harmless
    def look(self) -> None:
        """Do what the lease says: on the loop, once a second and whenever there is news."""
        consumer = self._consumer
        if self._tasks is None or consumer is None or self._state.shutting_down:
            self._lease.settle(False)
            return
        holds = self._lease.holds()
        if holds and self._timer is None:
            self._start_timer()
        elif not holds:
            self._stop_timer()
        try:
            if holds:
                self._hold(consumer)
            elif self._withheld:
                self._resume(consumer)
        except (*consumer.connection_errors, *consumer.channel_errors) as error:
            self._lease.settle(False)
            _connect_anew(consumer, error)

    @harmless
    def judge(self) -> None:
        """Whether the worker is drained. Not inside a batch of the loop's callbacks, which may be acknowledgements."""
        consumer, tasks = self._consumer, self._tasks
        if consumer is None or tasks is None or not self._withheld or self._lease.read()[1]:
            # Nothing new can have come since it was found settled.
            return
        self._lease.settle(_takes_nothing(consumer, tasks, self._polls) and self._has_nothing(consumer))

    def _hold(self, consumer: Any) -> None:
        tasks: Any = self._tasks
        # Also where there is nothing to cancel, because the user has cancelled every queue: that is a drained worker.
        if tasks._active_tags or not self._withheld:
            logger.info("celery-operator: draining: this worker takes no further tasks until the operator says so")
            queues = list(tasks._active_tags)
            # Waits for the confirmation on RabbitMQ; what arrives before it is handled as ever.
            tasks.cancel()
            self._withheld = True
            self._state.consuming = []
            _return_late(tasks.channel, queues)
        _read_late(tasks.channel)

    def _resume(self, consumer: Any) -> None:
        logger.info("celery-operator: the drain is over, this worker takes tasks again")
        tasks: Any = self._tasks
        # A queue may have been deleted meanwhile.
        tasks.declare()
        tasks.consume()

    def _turn_sooner(self, connection: Any) -> None:
        """Without an event loop nothing but an event of the broker's ends the wait."""
        original = connection.drain_events

        def drain_events(*args: Any, **kwargs: Any) -> Any:
            if kwargs.get("timeout") and self._lease.holds():
                kwargs["timeout"] = min(kwargs["timeout"], TURN_SECONDS)
            return original(*args, **kwargs)

        connection.drain_events = drain_events

    def _start_timer(self) -> None:
        consumer: Any = self._consumer
        asked = [False]

        def act() -> None:
            asked[0] = False
            self.look()
            self.judge()

        @harmless
        def tick() -> None:
            if consumer.hub is not None:
                act()
            elif not asked[0]:
                asked[0] = True
                consumer.call_soon(act)

        self._timer = consumer.timer.call_repeatedly(ROUND_SECONDS, tick)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    @harmless
    def _wake(self) -> None:
        """From the probes' thread. Celery 5.7 acts at once; before it does at its loop's next turn, within a second."""
        consumer = self._consumer
        if consumer is not None:
            consumer.call_soon(self.look)

    def _has_nothing(self, consumer: Any) -> bool:
        """Neither tasks that run or wait to run, nor acknowledgements on their way. Tasks held for their ETA may be."""
        from celery.worker import state

        limited = sum(len(bucket.contents) for bucket in consumer.task_buckets.values() if bucket)
        return not (
            state.reserved_requests
            or state.active_requests
            or limited
            or self._unknown()
            or task_requests.unsent(consumer)
            or holdings.held(consumer)
        )

    @harmless
    def _give_back_what_comes_due(self) -> None:
        """A task whose ETA comes while the worker takes nothing goes back: another worker runs it at once, and this
        one stays idle once it has said so."""
        from celery.worker import consumer as worker_consumer

        celerys: Any = worker_consumer.Consumer
        plain, limited = celerys.apply_eta_task, celerys._limit_post_eta
        drain = self

        def apply_eta_task(consumer: Any, request: Any) -> Any:
            if drain.refuses(consumer, request):
                return consumer.qos.decrement_eventually()
            return plain(consumer, request)

        def limit_post_eta(consumer: Any, request: Any, bucket: Any, tokens: int) -> Any:
            if drain.refuses(consumer, request):
                return consumer.qos.decrement_eventually()
            return limited(consumer, request, bucket, tokens)

        celerys.apply_eta_task = apply_eta_task
        celerys._limit_post_eta = limit_post_eta

    @harmless
    def refuses(self, consumer: Any, request: Any) -> bool:
        """Give the message of a task that has come due back. False: it shall run, as without a drain."""
        from celery.worker import state

        tasks = self._tasks
        if not self._withheld or request.id in state.revoked or not self._lease.holds():
            return False
        # Those of a lost connection the broker has again.
        if tasks is not None and request.message.channel is tasks.channel:
            try:
                task_requests.put_back(request)
            except consumer.connection_errors as error:
                _connect_anew(consumer, error)
        return True


def _wish(body: bytes) -> Optional[Tuple[str, float]]:
    """bootId and seconds; None when the body is something else."""
    try:
        wish = json.loads(body.decode("utf-8"))
        boot_id, seconds = wish["bootId"], wish["seconds"]
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(boot_id, str) or isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return None
    return (boot_id, float(seconds)) if 0 <= seconds < float("inf") else None


def _takes_nothing(consumer: Any, tasks: Any, polls: Optional[sqs_polls.Polls]) -> bool:
    """Whether no delivery can be on its way. Never of a transport that this module does not know."""
    if tasks._active_tags:
        return False
    if hasattr(tasks.channel, "_brpop_read"):
        return not tasks.channel._in_poll
    if polls is not None:
        return polls.quiet
    return bool(consumer.connection.transport.driver_type == "amqp")


def _return_late(channel: Any, queues: Any) -> None:
    """Redis: a request for the next message may be under way. What it brings goes back to where it came from.

    kombu would put it at the end of its queue, and complain.
    """
    if not hasattr(channel, "_brpop_read") or not channel._in_poll:
        return
    for queue in queues:
        if queue not in channel._fanout_queues:
            channel.connection._callbacks.setdefault(queue, _Return(channel, queue))


class _Return:
    """In place of a consumer of the queue: puts a message back as it was, to be the next one."""

    def __init__(self, channel: Any, queue: str) -> None:
        self._channel = channel
        self._queue = queue

    def __call__(self, message: Any) -> None:
        if not self._put_back(message):
            self._channel.connection._reject_inbound_message(message)

    @harmless
    def _put_back(self, message: Any) -> int:
        from kombu.utils.json import dumps

        channel = self._channel
        key = channel._q_for_pri(self._queue, channel._get_message_priority(message, reverse=False))
        with channel.conn_or_acquire() as client:
            return int(client.rpush(key, dumps(message)))


def _read_late(channel: Any) -> None:
    """kombu leaves an answer unread while all slots are taken: its message would be hidden until one is free."""
    from kombu.transport.virtual.base import Empty  # type: ignore[attr-defined]
    from kombu.utils.eventio import READ, poll

    waiting = getattr(channel, "_in_poll", None)
    socket = getattr(waiting, "_sock", None) if waiting else None
    if socket is None:
        return
    poller = poll()
    try:
        poller.register(socket, READ)
        if poller.poll(0):
            channel._brpop_read()
    except Empty:
        pass
    finally:
        poller.close()


def _connect_anew(consumer: Any, error: BaseException) -> None:
    """The connection, or its channel, is of no use any more: Celery makes a new one when its loop meets an error."""
    logger.warning("celery-operator: the connection to the broker is of no use any more (%r); making a new one", error)

    connection = consumer.connection

    def fail(*_: Any, **__: Any) -> None:
        if consumer.connection is connection:
            raise ConnectionResetError("celery-operator: %r" % error) from error

    if connection is None:
        return
    if consumer.hub is not None:
        consumer.call_soon(fail)
    else:
        connection.drain_events = fail
