"""Whether a request for messages of SQS is under way, and what becomes of those that it brings too late."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.runtime import guard, sqs_polls
from celery_operator.runtime.sqs_polls import LOST_SECONDS, Polls

FOUND = {"Messages": [{"ReceiptHandle": "a"}, {"ReceiptHandle": "b"}]}


class Channel:
    """The part of kombu's channel that asks: 5.3's, which fails over messages for a queue that nobody consumes."""

    driver_type = "sqs"

    def __init__(self) -> None:
        self.connection = self
        self._callbacks: dict[str, Any] = {}
        self.asked: list[str] = []
        self.scheduled: list[str] = []
        self.visible: list[str] = []
        self.fails = False

    def _get_async(self, queue: str, count: int = 1, callback: Any = None) -> None:
        del count, callback
        if self.fails:
            raise ConnectionError
        self.asked.append(queue)

    def _schedule_queue(self, queue: str) -> None:
        self.scheduled.append(queue)
        self._get_async(queue, 1)

    def _on_messages_ready(self, url: str, queue: str, messages: Any) -> int:
        del url
        for message in messages.get("Messages", []):
            self._callbacks[queue](message["ReceiptHandle"])
        return len(messages.get("Messages", []))

    def canonical_queue_name(self, queue: str) -> str:
        return queue

    def sqs(self, queue: str) -> Channel:
        del queue
        return self

    def change_message_visibility(self, **arguments: Any) -> None:
        assert arguments["VisibilityTimeout"] == 0
        self.visible.append(arguments["ReceiptHandle"])


def watched(channel: Channel) -> Polls:
    found = sqs_polls.watched(channel)
    assert found is not None
    return found


def test_it_is_quiet_when_every_request_has_come_back() -> None:
    channel = Channel()
    polls = watched(channel)
    assert polls.quiet
    channel._schedule_queue("mail")
    channel._schedule_queue("orders")
    channel._on_messages_ready("url", "mail", {})
    assert not polls.quiet
    channel._on_messages_ready("url", "orders", {})
    assert polls.quiet


def test_what_comes_while_the_queue_is_consumed_is_handled_as_ever() -> None:
    taken: list[str] = []
    channel = Channel()
    watched(channel)
    channel._callbacks["mail"] = taken.append
    channel._schedule_queue("mail")
    assert channel._on_messages_ready("url", "mail", FOUND) == 2
    assert (taken, channel.visible) == (["a", "b"], [])


def test_what_comes_too_late_goes_back_at_once() -> None:
    channel = Channel()
    polls = watched(channel)
    channel._schedule_queue("mail")
    assert channel._on_messages_ready("url", "mail", FOUND) == 0
    assert channel.visible == ["a", "b"]
    assert polls.quiet


def test_an_answer_of_an_ailing_broker_is_none() -> None:
    channel = Channel()
    polls = watched(channel)
    channel._callbacks["mail"] = pytest.fail
    channel._schedule_queue("mail")
    # What kombu/asynchronous/aws/connection.py makes of 408, 500, 502, 503, 504 and 599.
    assert channel._on_messages_ready("url", "mail", []) == 0
    assert polls.quiet


def test_a_queue_that_is_consumed_again_has_one_request_under_way() -> None:
    channel = Channel()
    watched(channel)
    channel._schedule_queue("mail")
    channel._schedule_queue("mail")
    assert channel.asked == ["mail"]
    channel._on_messages_ready("url", "mail", {})
    channel._schedule_queue("mail")
    assert channel.asked == ["mail", "mail"]


def test_a_request_that_failed_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(sqs_polls, "monotonic", lambda: now)
    channel = Channel()
    polls = watched(channel)
    channel._schedule_queue("mail")
    now += LOST_SECONDS - 1
    assert not polls.quiet
    now += 2
    assert polls.quiet
    channel._schedule_queue("mail")
    assert channel.asked == ["mail", "mail"]


def test_a_request_that_was_never_sent_is_none() -> None:
    channel = Channel()
    polls = watched(channel)
    channel.fails = True
    with pytest.raises(ConnectionError):
        channel._schedule_queue("mail")
    assert polls.quiet


def test_a_channel_that_cannot_be_watched_is_never_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "failed", {})

    class Other:
        driver_type = "sqs"

        @property
        def connection(self) -> Other:
            return self

    found = sqs_polls.watched(Other())
    assert found is not None
    assert not found.quiet


def test_other_transports_are_left_alone() -> None:
    class Other:
        class connection:
            driver_type = "redis"

    assert sqs_polls.watched(Other()) is None
    assert sqs_polls.watched(object()) is None
