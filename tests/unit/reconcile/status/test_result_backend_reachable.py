"""ResultBackendReachable says what the last ping said, in words about the result backend; Ready goes its own way."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from celery_operator.observe.broker import monitor
from celery_operator.observe.broker.reachability import REACHABLE, UNKNOWN, Reachability, connection_failed
from celery_operator.reconcile.status import build as building
from celery_operator.reconcile.status import ready, result_backend_reachable
from celery_operator.reconcile.status.view import StatusView, Verdict
from tests.unit.reconcile.views import Json, running, view

NOW = datetime(2026, 1, 1, tzinfo=UTC)
URL: Json = {"resultBackend": {"url": "redis://results/0"}}
SAME: Json = {"broker": {"url": "redis://r"}, "resultBackend": {"sameAsBroker": True}}
MANAGED: Json = {"broker": {"redis": {}}, "resultBackend": {"redis": {}}}
DOWN = connection_failed(OSError())
REFUSED = Reachability(reachable=False, reason="AuthenticationFailed", message="the broker refuses the password")
OTHER = Reachability(reachable=None, reason="TransportNotSupported", message="the operator cannot ask brokers of it")


def seen(spec: Json, results: Reachability, **fields: Any) -> StatusView:
    return view(spec, running(), results=results, **fields)


def said(verdict: Verdict) -> tuple[str, str, bool]:
    return verdict.status, verdict.reason, verdict.warning


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (seen({}, UNKNOWN), ("Unknown", "NotConfigured", False)),
        (seen({"resultBackend": {"disabled": True}}, UNKNOWN), ("Unknown", "NotConfigured", False)),
        (seen(URL, UNKNOWN), ("Unknown", "NotYetChecked", False)),
        (seen(URL, REACHABLE), ("True", "Answered", False)),
        (seen(URL, REACHABLE, broker=DOWN), ("True", "Answered", False)),
        (seen(URL, DOWN), ("False", "ConnectionFailed", True)),
        (seen(URL, REFUSED), ("False", "AuthenticationFailed", True)),
        (seen({"resultBackend": {"url": "rpc://"}}, OTHER), ("Unknown", "NotChecked", False)),
        (seen({"resultBackend": {"url": "db+postgresql://d/a"}}, OTHER), ("Unknown", "NotChecked", False)),
        (seen(SAME, DOWN), ("False", "ConnectionFailed", True)),
        (seen(SAME, REACHABLE, broker=DOWN), ("True", "Answered", False)),
    ],
)
def test_the_verdict(found: StatusView, verdict: tuple[str, str, bool]) -> None:
    assert said(result_backend_reachable.evaluate(found)) == verdict


def test_results_of_type_rpc_are_left_to_the_brokers_condition() -> None:
    rpc = result_backend_reachable.evaluate(seen({"resultBackend": {"url": "rpc://"}}, OTHER)).message
    assert rpc == "results of type rpc go through the broker: see BrokerReachable"
    other = result_backend_reachable.evaluate(seen({"resultBackend": {"url": "db+sqlite:///x"}}, OTHER)).message
    assert "cannot ask a result backend of this type" in other


@pytest.mark.parametrize("found", [REACHABLE, DOWN, OTHER])
def test_a_process_that_has_just_begun_writes_nothing_before_it_has_asked(found: Reachability) -> None:
    status, _ = building.build(seen(URL, found), {}, NOW)
    assert building.build(seen(URL, UNKNOWN), status, NOW) == (status, ())
    edited = {**status, "observedGeneration": status["observedGeneration"] - 1}
    again, _ = building.build(seen(URL, UNKNOWN), edited, NOW)
    assert "NotYetChecked" in {condition["reason"] for condition in again["conditions"]}


@pytest.mark.parametrize("spec", [SAME, MANAGED])
def test_trouble_of_the_one_server_of_both_is_told_once(spec: Json) -> None:
    previous, _ = building.build(seen(spec, REACHABLE, broker=REACHABLE), {}, NOW)
    _, events = building.build(seen(spec, REFUSED, broker=DOWN), previous, NOW)
    assert [(event.action, event.message) for event in events] == [("BrokerReachable", DOWN.message)]


def test_trouble_of_a_server_of_its_own_is_told_for_itself() -> None:
    previous, _ = building.build(seen(URL, REACHABLE), {}, NOW)
    _, events = building.build(seen(URL, DOWN), previous, NOW)
    assert [(event.type, event.action, event.reason) for event in events] == [
        ("Warning", "ResultBackendReachable", "ConnectionFailed")
    ]


@pytest.mark.parametrize("found", [UNKNOWN, DOWN, REFUSED, OTHER])
def test_ready_does_not_depend_on_it(found: Reachability) -> None:
    assert ready.evaluate(seen(URL, found)).status == "True"


def test_every_reason_of_a_ping_of_redis_has_words_about_the_result_backend() -> None:
    folder = Path(monitor.__file__).parent
    sources = ("monitor.py", "redis_connection.py", "redis_layout.py", "certificates.py", "address.py")
    text = "".join((folder / name).read_text() for name in sources)
    reasons = {*re.findall(r'reason="(\w+)"', text), "InvalidAddress", "AuthenticationFailed"}
    assert len(reasons) > 10
    for reason in reasons - {"TransportNotSupported"}:
        message = result_backend_reachable.evaluate(
            seen(URL, Reachability(reachable=False, reason=reason, message="x"))
        )
        assert "result backend" in message.message
        assert "broker" not in message.message
        silent = reason in ("ConnectionFailed", "TimedOut")
        assert ("does not answer" in message.message) is silent, reason
