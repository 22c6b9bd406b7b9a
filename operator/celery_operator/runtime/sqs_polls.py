"""Knows which requests for messages are under way on Amazon SQS, where each waits up to 20 s for something to come.

What one brings when the worker no longer consumes goes back at once. Before 5.7 kombu fails over it, and the message
stays hidden until its visibility timeout is over: half an hour, for a task that any other worker could run.
"""

from __future__ import annotations

import logging
from time import monotonic
from typing import Any, Dict, List, Optional

from .guard import harmless

logger = logging.getLogger("celery.operator")

LOST_SECONDS = 40.0
"""After which a request has ended, whatever came of it: kombu gives it 30 s (kombu/asynchronous/http/base.py)."""


class Polls:
    """Of one channel of kombu's SQS transport. All on the worker's loop; a green pool asks and waits by itself."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._under_way: Dict[str, float] = {}
        self._watched = False

    @property
    def quiet(self) -> bool:
        """Whether no message can be on its way to this worker. Never when nobody could watch."""
        return self._watched and not any(map(self._waits, self._under_way))

    @harmless
    def watch(self) -> None:
        """Before the channel asks for the first time."""
        channel = self._channel
        ask, schedule, ready = channel._get_async, channel._schedule_queue, channel._on_messages_ready

        def get_async(queue: str, *args: Any, **kwargs: Any) -> Any:
            self._under_way[queue] = monotonic()
            try:
                return ask(queue, *args, **kwargs)
            except BaseException:
                self._under_way.pop(queue, None)
                raise

        def schedule_queue(queue: str) -> Any:
            """One request for each queue at a time, also for one that is consumed again before its last came back."""
            return None if self._waits(queue) else schedule(queue)

        def on_messages_ready(url: str, queue: str, messages: Any) -> Any:
            self._under_way.pop(queue, None)
            # kombu hands over [] for an answer such as 503, and for none in time: 5.7.0 itself fails over that.
            messages = messages or {}
            found = messages.get("Messages") or []
            if found and queue not in channel.connection._callbacks and not hasattr(channel, "_release_messages"):
                self._give_back(url, queue, found)
                return 0
            return ready(url, queue, messages)

        channel._get_async, channel._schedule_queue = get_async, schedule_queue
        channel._on_messages_ready = on_messages_ready
        self._watched = True

    def _waits(self, queue: str) -> bool:
        began = self._under_way.get(queue)
        return began is not None and monotonic() - began < LOST_SECONDS

    @harmless
    def _give_back(self, url: str, queue: str, messages: List[Any]) -> None:
        client = self._channel.sqs(queue=self._channel.canonical_queue_name(queue))
        for message in messages:
            client.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
        logger.info(
            "celery-operator: gave back %d messages that came when nothing was consumed any more", len(messages)
        )


def watched(channel: Any) -> Optional[Polls]:
    """The watch over a new channel; None where the transport is another one."""
    if getattr(getattr(channel, "connection", None), "driver_type", None) != "sqs":
        return None
    polls = Polls(channel)
    polls.watch()
    return polls
