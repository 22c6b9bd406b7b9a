"""QueuesMatch says what RabbitMQ said, and what to do; while it is being asked, what it said before."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from celery_operator.observe.broker.queue_comparison import Comparison, Difference
from celery_operator.reconcile import queue_agreement
from celery_operator.reconcile.hooks import Wait
from celery_operator.reconcile.status import build as building
from celery_operator.reconcile.status import queues_match
from celery_operator.reconcile.status.view import Verdict
from tests.unit.reconcile.views import running, view

Json = dict[str, Any]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
RABBIT: Json = {"broker": {"url": "amqp://broker"}, "queues": [{"name": "mail", "maxPriority": 10}]}
PRIORITY = Difference(
    kind="queue", name="mail", queues=("mail",), argument="x-max-priority", wanted="10", found="not set"
)
TYPE = Difference(kind="exchange", name="x", queues=("a", "b"), argument="type", wanted="topic", found="direct")
DIFFERENT = Comparison(identity="i", differences=(PRIORITY, TYPE))
HELD = Wait(reason=queue_agreement.DIFFER, message=queue_agreement.message(DIFFERENT), failed=True)
COMPARING = Wait(reason=queue_agreement.COMPARING, message="spec.queues are compared")


def said(spec: Json | None = None, **fields: Any) -> tuple[str, str, bool]:
    verdict = queues_match.evaluate(view(RABBIT if spec is None else spec, **fields))
    return verdict.status, verdict.reason, verdict.warning


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"queues": [{"name": "mail"}]},
        {"broker": {"url": "amqp://broker"}},
        {"broker": {"redis": {}}, "queues": [{"name": "mail"}]},
    ],
)
def test_nothing_to_compare(spec: Json) -> None:
    assert said(spec) == ("True", "NothingToCompare", False)


def test_what_rabbitmq_said() -> None:
    assert said(queues=Comparison(identity="i")) == ("True", "Equal", False)
    assert said(queues=Comparison(identity="i", unknown=("all queues: no answer",))) == (
        "Unknown",
        "NotCompared",
        False,
    )
    assert said(queues=DIFFERENT) == ("False", "QueuesDiffer", True)


def test_a_difference_names_both_values_and_what_to_do() -> None:
    message = queues_match.evaluate(view(RABBIT, queues=DIFFERENT)).message
    assert 'queue "mail": x-max-priority (maxPriority) is not set in the broker, and 10 by spec.queues' in message
    assert 'exchange "x" of queues "a", "b": type is direct in the broker, and topic by spec.queues' in message
    assert "delete what differs yourself when it is empty; the operator deletes no queue" in message


def test_while_it_is_asked_the_former_answer_stands() -> None:
    former = Verdict(status="True", reason="Equal", message="so it was")
    assert said() == ("Unknown", "NotYetCompared", False)
    assert said(queue_wait=COMPARING) == ("Unknown", "ComparingQueues", False)
    assert said(queue_wait=COMPARING, former_queues=former) == ("True", "ComparingQueues", False)
    assert said(former_queues=former) == ("True", "Equal", False)
    asked = Verdict(status="True", reason="ComparingQueues", message="for a change that was taken back meanwhile")
    assert said(former_queues=asked) == ("True", "NotYetCompared", False)


def test_a_difference_is_told_once_and_its_end_as_well() -> None:
    def built(previous: Json, **fields: Any) -> tuple[Json, list[tuple[str, str]]]:
        status, events = building.build(view(RABBIT, running(), **fields), previous, NOW)
        return status, [(event.type, event.reason) for event in events]

    agreed, _ = built({}, queues=Comparison(identity="i"))
    comparing, none = built(agreed, queue_wait=COMPARING)
    assert none == [("Normal", "ComparingQueues")], "Ready alone changes"
    held, told = built(comparing, queues=DIFFERENT, queue_wait=HELD)
    assert told == [("Warning", "QueuesDiffer")], "once, although Ready says the same"
    ready = next(each for each in held["conditions"] if each["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "QueuesDiffer")
    again, nothing = built(held, queues=DIFFERENT, queue_wait=HELD)
    assert (again, nothing) == (held, [])
    _, cleared = built(again, queues=Comparison(identity="i"))
    assert ("Normal", "Equal") in cleared
