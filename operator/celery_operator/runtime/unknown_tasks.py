"""A task that this worker does not know goes back to its queue for a while, instead of being failed and lost.

Celery rejects it at once. During a rollout that is wrong: new pods publish tasks that old pods have never heard of,
and those that reach an old pod would be lost. So the message is held for a moment, published again as it was, and
acknowledged only when the broker has the new one. After ten minutes Celery's own handling applies: by then the
rollout is over and the name is a mistake.
"""

from __future__ import annotations

import logging
import random
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Set

from .guard import harmless

logger = logging.getLogger("celery.operator")

HEADER = "celery-operator-unknown-since"
"""Seconds since the epoch, when a worker first met the message. Celery ignores headers that it does not know."""

WINDOW = 600.0
"""Seconds from then on in which the message is put back. A rollout takes its pods' grace periods at most once in
each surge; who needs longer deploys consumers before producers."""

DELAY = 5.0
"""Seconds a message is held before it is put back, so that it does not circle at the speed of the network."""

JITTER = 1.0
"""Seconds more or less. Redis serves who has waited longest, and each worker asks anew every second: held for whole
seconds, a message can meet the same worker each time, in step with its asking."""

EXTRA_PREFETCH = 1000
"""Held messages up to this many do not count against the prefetch limit, as Celery does it for ETA tasks."""

PUBLISH_SECONDS = 2.0
"""Seconds to wait for RabbitMQ's confirmation, and for a producer of the pool: the worker's loop waits meanwhile."""

PAUSE = 30.0
"""Seconds without another try after one that failed: a broker that takes nothing, as RabbitMQ does while it is short
of memory, costs the loop its wait once, and not once for each held message."""

_PROPERTIES = ("correlation_id", "reply_to", "priority", "delivery_mode", "message_id", "timestamp", "type", "app_id")


class UnknownTasks:
    """Unknown tasks' messages that this worker holds, and how many it has put back."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._held: Dict[int, Held] = {}
        self._told: Set[str] = set()
        self._requeued = 0
        self._publishers: Dict[str, Any] = {}
        self._not_before = 0.0

    @harmless
    def install(self) -> None:
        """Connect to the signal of a message whose task is known here."""
        from celery import signals

        signals.task_received.connect(_known, weak=False)

    def requeued(self) -> int:
        """Messages put back so far, each time counted."""
        return self._requeued

    def holding(self) -> int:
        """Messages that wait to be put back."""
        return len(self._held)

    @harmless
    def attach(self, consumer: Any) -> None:
        """Take the place of ``consumer.on_unknown_task`` (again, after every reconnect: a no-op then)."""
        celerys = consumer.on_unknown_task
        if getattr(celerys, "of_celery_operator", False):
            return

        def on_unknown_task(body: Any, message: Any, exc: BaseException) -> None:
            if not self.postpone(consumer, message, lambda: celerys(body, message, exc)):
                celerys(body, message, exc)

        on_unknown_task.of_celery_operator = True  # type: ignore[attr-defined]
        consumer.on_unknown_task = on_unknown_task

    @harmless
    def postpone(self, consumer: Any, message: Any, give_up: Callable[[], None]) -> bool:
        """Hold ``message`` until it can be put back. False: Celery shall handle it now.

        ``give_up`` lets Celery handle it later: when the window has passed and the broker still takes no copy.
        """
        publisher = self._publisher(consumer.connection.transport.driver_type)
        queue = _queue_of(consumer, message)
        since = _since(message)
        if publisher is None or queue is None or message.errors or time.time() - since > WINDOW:
            return False
        held = Held(self, consumer, message, queue, publisher, since, give_up)
        self._held[id(held)] = held
        if len(self._held) <= EXTRA_PREFETCH:
            held.widen_prefetch()
        self._tell(message, queue)
        held.wait()
        return True

    @harmless
    def release_all(self, consumer: Any) -> None:
        """When the consumer stops: hand everything back at once, or a long drain would hide it.

        When it only reconnects, its messages are the broker's again already.
        """
        from celery.bootsteps import RUN  # type: ignore[attr-defined]

        stopping = consumer.blueprint.state != RUN
        for held in list(self._held.values()):
            held.release(requeue=stopping)
        for publisher in self._publishers.values():
            publisher.close()

    def forget(self, held: Held) -> None:
        """``held`` is dealt with."""
        self._held.pop(id(held), None)

    def paused(self) -> bool:
        """Whether the broker has just refused a copy: not yet another one."""
        return time.monotonic() < self._not_before

    def pause(self) -> None:
        """The broker has not taken a copy."""
        self._not_before = time.monotonic() + PAUSE

    def publish(self, held: Held) -> None:
        """Publish a copy of the message. Raises what the transport raises when the broker did not take it."""
        headers = {**held.message.headers, HEADER: repr(held.since)}
        held.publisher.publish(headers, held.message, held.queue)
        self._requeued += 1

    def _publisher(self, driver_type: str) -> Optional[Any]:
        """One for each kind of broker; None for those that keep Celery's handling."""
        if driver_type in _PUBLISHERS and driver_type not in self._publishers:
            self._publishers[driver_type] = _PUBLISHERS[driver_type](self._app)
        return self._publishers.get(driver_type)

    def _tell(self, message: Any, queue: str) -> None:
        name = str((message.headers or {}).get("task") or "(of message protocol 1)")
        if name in self._told or len(self._told) >= 100:
            return
        self._told.add(name)
        logger.warning(
            "celery-operator: this worker does not know the task %s in queue %s; it is put back every %d s for %d "
            "minutes, for a worker that knows it, and then rejected. If no rollout is under way, the task's module "
            "is missing in this image, or the task is routed to the wrong queue",
            name, queue, DELAY, WINDOW / 60,
        )  # fmt: skip


class Held:
    """One message on its way back to its queue."""

    def __init__(
        self,
        owner: UnknownTasks,
        consumer: Any,
        message: Any,
        queue: str,
        publisher: Any,
        since: float,
        give_up: Callable[[], None],
    ) -> None:
        self.message = message
        self.queue = queue
        self.publisher = publisher
        self.since = since
        self._owner = owner
        self._consumer = consumer
        self._give_up = give_up
        self._widened: Optional[Any] = None
        self._over = False

    def widen_prefetch(self) -> None:
        """Let the worker take one message more while this one waits."""
        self._widened = self._consumer.qos
        self._widened.increment_eventually()

    def wait(self) -> None:
        """Come back in a moment. Timers may have a thread of their own; the loop owns the channel."""
        seconds = random.uniform(DELAY - JITTER, DELAY + JITTER)  # noqa: S311 - nothing secret
        self._consumer.timer.call_after(seconds, lambda: self._consumer.call_soon(self.put_back))

    @harmless
    def put_back(self) -> None:
        """Publish the copy, then acknowledge; wait again when that fails, and give up when the window is over."""
        if self._over:
            return
        if self.message.acknowledged or not self._on_live_channel():
            self._close()
            return
        if self._owner.paused():
            self.wait()
            return
        try:
            self._owner.publish(self)
        except Exception as error:  # noqa: BLE001 - whatever the transport raises: the message is still the broker's
            self._retry(error)
            return
        self._close()
        self.message.ack_log_error(logger, self._consumer.connection_errors)

    def _retry(self, error: BaseException) -> None:
        self._owner.pause()
        if time.time() - self.since > WINDOW:
            self._close()
            self._give_up()
            return
        logger.warning(
            "celery-operator: a message for queue %s could not be put back (%s); trying again in %d s",
            self.queue, type(error).__name__, PAUSE,
        )  # fmt: skip
        self.wait()

    def release(self, *, requeue: bool) -> None:
        """Let go, without delay and without a copy; ``requeue`` where there is a connection to say it on."""
        live = self._on_live_channel() and self._consumer.connection is not None
        self._close()
        if requeue and live and not self.message.acknowledged:
            self.message.reject_log_error(logger, self._consumer.connection_errors, requeue=True)

    def _on_live_channel(self) -> bool:
        """After a reconnect the broker has the message again, and delivers it again."""
        tasks = self._consumer.task_consumer
        return tasks is not None and tasks.channel is self.message.channel

    def _close(self) -> None:
        self._over = True
        self._owner.forget(self)
        # A reconnect brings a new limit, which never counted this message.
        if self._widened is not None and self._widened is self._consumer.qos:
            self._widened.decrement_eventually()


@harmless
def _known(request: Any = None, **_: Any) -> None:
    """Its retries carry its headers on: if nobody knows one of these, after hours, its window begins then."""
    request._request_dict.pop(HEADER, None)


def _since(message: Any) -> float:
    try:
        return float((message.headers or {})[HEADER])
    except (KeyError, TypeError, ValueError):
        return time.time()


def _queue_of(consumer: Any, message: Any) -> Optional[str]:
    """The one queue that the message came from; None when that cannot be said for sure."""
    tasks = consumer.task_consumer
    tag = (message.delivery_info or {}).get("consumer_tag")
    if tag is not None:
        by_tag = {str(known): str(name) for name, known in tasks._active_tags.items()}
        return by_tag.get(str(tag))
    info = message.delivery_info or {}
    if not info.get("exchange"):
        return str(info["routing_key"]) if info.get("routing_key") in _names(tasks) else None
    if message.channel.typeof(info["exchange"]).type == "fanout":
        # Everybody has a copy of their own.
        return None
    bound = message.channel._lookup(info["exchange"], info.get("routing_key") or "")
    ours = [name for name in _names(tasks) if name in bound]
    return ours[0] if len(ours) == 1 else None


def _names(tasks: Any) -> List[str]:
    return [str(queue.name) for queue in tasks.queues]


def _copy(headers: Mapping[str, Any], message: Any, queue: str) -> Dict[str, Any]:
    """Arguments of kombu's publish for the same message, to that queue alone."""
    properties = {name: message.properties[name] for name in _PROPERTIES if message.properties.get(name) is not None}
    if message.properties.get("expiration"):
        properties["expiration"] = float(message.properties["expiration"]) / 1000
    headers = dict(headers)
    return {
        **properties,
        "body": message.body,
        "content_type": message.content_type,
        "content_encoding": message.content_encoding,
        # kombu decompressed the body when it made the message, and compresses it again.
        "compression": headers.pop("compression", None),
        "headers": headers,
        "exchange": "",
        "routing_key": queue,
        "retry": False,
    }


class _Redis:
    """With a producer of the application's."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def publish(self, headers: Mapping[str, Any], message: Any, queue: str) -> None:
        with self._app.amqp.producer_pool.acquire(block=True, timeout=PUBLISH_SECONDS) as producer:
            producer.publish(**_copy(headers, message, queue))

    def close(self) -> None:
        """Nothing of its own to give up."""


class _RabbitMQ:
    """On a channel with confirmations, since a publish is not an arrival, and on a connection of its own.

    A RabbitMQ that is short of memory reads no more from a connection that has published, not even that it shall
    close: the application's own connections would be lost with it, one after the other.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._connection: Any = None
        self._channel: Any = None

    def publish(self, headers: Mapping[str, Any], message: Any, queue: str) -> None:
        from kombu import Producer

        try:
            if self._channel is None:
                self._open()
            # Not confirm_timeout: kombu 5.3 does not know it.
            own = Producer(self._channel, auto_declare=False)
            own.publish(**_copy(headers, message, queue), timeout=PUBLISH_SECONDS)
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self._connection = self._app.connection_for_write()
        self._connection.connect_timeout = PUBLISH_SECONDS
        self._channel = self._connection.channel()
        self._channel.basic_publish = self._channel.basic_publish_confirm

    def close(self) -> None:
        """Without a word: an orderly end waits for an answer that may not come."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            connection.collect()


_PUBLISHERS: Mapping[str, Callable[[Any], Any]] = {"redis": _Redis, "amqp": _RabbitMQ}
"""By kombu's driver type. Other transports keep Celery's handling."""
