"""WorkersConsuming follows what workers say of themselves, tells what lasts, and leaves Ready alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from celery_operator.lint.inputs import Fleet
from celery_operator.observe.worker_report import WorkerReport
from celery_operator.reconcile.autoscaling.observation import Surroundings
from celery_operator.reconcile.consumption import GRACE, Consumption, consumption_of
from celery_operator.reconcile.status import build as building
from celery_operator.reconcile.status import ready, workers_consuming
from celery_operator.reconcile.status.view import StatusView, Verdict
from tests.unit.reconcile.views import Json, running, view

STARTED, LATER = (datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in (1, 2))
WEB: Json = {"workers": [{"name": "web", "queues": ["web"]}]}
FROM_ZERO: Json = {
    "workers": [
        {
            "name": "web",
            "queues": ["web"],
            "autoscaling": {"minReplicas": 0, "maxReplicas": 9, "targetQueueLength": 2},
        }
    ]
}
FINE = Consumption(answered=True)
SILENT = Consumption(silent=True)
CUT = Consumption(answered=True, not_consuming=2, names=("w0", "w1"), disconnected=True)
CANCELLED = Consumption(answered=True, not_consuming=5, names=("w0", "w1", "w2"))


def seen(spec: Json | None = None, *children: Json, web: Consumption | None = None, **fields: Any) -> StatusView:
    found = {} if web is None else {"web": web}
    return view({**WEB, **(spec or {})}, *(children or (running(),)), consumption=found, **fields)


def verdict_in(status: Json) -> tuple[str, str]:
    (found,) = (each for each in status["conditions"] if each["type"] == workers_consuming.NAME)
    return found["status"], found["reason"]


def said(verdict: Verdict) -> tuple[str, str, bool]:
    return verdict.status, verdict.reason, verdict.warning


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (seen(web=FINE), ("True", "Consuming", False)),
        (seen(web=CUT), ("False", "NotConnected", True)),
        (seen(web=CANCELLED), ("False", "NotConsuming", True)),
        (seen(web=replace(FINE, stalled=True)), ("False", "Stalled", True)),
        (seen(web=replace(CUT, stalled=True)), ("False", "NotConnected", True)),
        (seen(web=Consumption()), ("Unknown", "NotYetAsked", False)),
        (seen(), ("Unknown", "NotYetAsked", False)),
        (seen(web=SILENT), ("Unknown", "NoAnswer", False)),
        (seen(None, running(pods=0)), ("Unknown", "NotYetAsked", False)),
        (seen(FROM_ZERO, running(pods=0)), ("True", "NoWorkers", False)),
        (seen({"workers": [{"name": "web", "queues": ["web"], "replicas": 0}]}, running(pods=0)),
         ("True", "NoWorkers", False)),
        (seen({"workers": [{"name": "web"}]}, web=FINE), ("Unknown", "NotAsked", False)),
        (seen({"workers": [{"name": "web", "queues": ["web"], "probes": {"disabled": True}}]}),
         ("Unknown", "NotAsked", False)),
        (seen({"paused": True}, web=CUT), ("Unknown", "Paused", False)),
        (seen({"suspend": True}, web=CUT), ("False", "Suspended", False)),
    ],
)  # fmt: skip
def test_the_verdict(found: StatusView, verdict: tuple[str, str, bool]) -> None:
    assert said(workers_consuming.evaluate(found)) == verdict


def test_the_message_names_the_group_and_some_pods_and_says_what_to_do() -> None:
    cut, cancelled = (workers_consuming.evaluate(seen(web=found)).message for found in (CUT, CANCELLED))
    assert cut.startswith('worker group "web": 2 of its workers take no message (w0, w1): no connection to the broker;')
    assert "5 of its workers take no message (w0, w1, w2 and 2 more): they are connected" in cancelled
    assert "delete the pods" in cancelled
    stalled = workers_consuming.evaluate(seen(web=replace(FINE, stalled=True))).message
    assert stalled.startswith('worker group "web": tasks wait in its queues, its workers are idle')


@pytest.mark.parametrize("found", [FINE, CUT, CANCELLED, Consumption()])
def test_ready_does_not_depend_on_it(found: Consumption) -> None:
    assert ready.evaluate(seen(web=found)).status == "True"


STALLED = replace(FINE, stalled=True)


@pytest.mark.parametrize("former", [FINE, CUT, CANCELLED, STALLED])
def test_a_process_that_has_just_begun_writes_nothing_before_it_has_asked(former: Consumption) -> None:
    status, _ = building.build(seen(web=former), {}, STARTED)
    assert building.build(seen(awaited=True), status, LATER) == (status, ())
    assert building.build(seen(web=Consumption(), fleet=Fleet()), status, LATER) == (status, ())
    silent, _ = building.build(seen(web=SILENT), status, LATER)
    assert "NoAnswer" in {condition["reason"] for condition in silent["conditions"]}


@pytest.mark.parametrize("former", [FINE, CUT])
def test_what_was_said_before_does_not_outlive_the_hope_to_ask_anybody(former: Consumption) -> None:
    """As where the Secret with the broker's address is gone."""
    status, _ = building.build(seen(web=former), {}, STARTED)
    after, _ = building.build(seen(), status, LATER)
    assert verdict_in(after) == ("Unknown", "NotYetAsked")


UNHEARD = replace(FINE, unheard=True)
PAUSING = replace(FINE, pausing=True)
IDLE = replace(FINE, idle=True)


@pytest.mark.parametrize(
    ("former", "now", "kept"),
    [
        # The others have not answered this process yet.
        (CUT, UNHEARD, True),
        (CANCELLED, UNHEARD, True),
        (STALLED, UNHEARD, True),
        # They say the same, and for this process it has not lasted long enough.
        (CUT, PAUSING, True),
        (CANCELLED, PAUSING, True),
        (STALLED, IDLE, True),
        # Facts say otherwise.
        (CUT, FINE, False),
        (CUT, IDLE, False),
        (STALLED, PAUSING, False),
        (STALLED, FINE, False),
    ],
)
def test_bad_news_stays_until_facts_say_otherwise(former: Consumption, now: Consumption, kept: bool) -> None:
    """A process that has just begun knows of nothing how long it has lasted."""
    status, _ = building.build(seen(web=former), {}, STARTED)
    after, events = building.build(seen(web=now, fleet=Fleet()), status, LATER)
    assert (after == status) is kept
    assert bool(events) is not kept
    assert kept or verdict_in(after) == ("True", "Consuming")


@pytest.mark.parametrize(
    ("former", "other"), [(STALLED, IDLE), (STALLED, UNHEARD), (CUT, PAUSING), (CANCELLED, UNHEARD)]
)
def test_bad_news_of_one_group_does_not_stay_because_of_another_one(former: Consumption, other: Consumption) -> None:
    """Which may pause for a moment, again and again."""
    two: Json = {"workers": [{"name": name, "queues": [name]} for name in ("web", "mail")]}

    def now(web: Consumption, mail: Consumption) -> StatusView:
        return replace(seen(two, fleet=Fleet()), consumption={"web": web, "mail": mail})

    status, _ = building.build(now(former, FINE), {}, STARTED)
    after, _ = building.build(now(FINE, other), status, LATER)
    assert verdict_in(after) == ("True", "Consuming")


def test_another_spec_is_judged_anew() -> None:
    status, _ = building.build(seen(web=CUT), {}, STARTED)
    after, _ = building.build(seen(web=PAUSING, fleet=Fleet()), {**status, "observedGeneration": 7}, LATER)
    assert verdict_in(after) == ("True", "Consuming")


def test_who_pauses_was_no_trouble_and_is_none_yet() -> None:
    status, _ = building.build(seen(web=FINE), {}, STARTED)
    assert building.build(seen(web=PAUSING, fleet=Fleet()), status, LATER) == (status, ())


# What the workers say


NOW = 1000.0


def report(**fields: Any) -> WorkerReport:
    known: dict[str, Any] = {
        "at": NOW, "boot_id": "b", "slots": 1, "active": 0, "reserved": 0, "held": 0, "eta": None, "processed": 0,
        "started": True, "shutting_down": False, "draining": False, "drained": False, "connected": True,
        "consuming": True,
    }  # fmt: skip
    return WorkerReport(**{**known, **fields})


def consumption(reports: dict[str, WorkerReport | None], held: frozenset[str] = frozenset()) -> Consumption:
    around = Surroundings(
        now=NOW,
        wall=datetime(2026, 1, 1, tzinfo=UTC),
        reading=None,
        heartbeats={},
        report=reports.get,
        held=held,
        refuses=lambda _: None,
    )
    return consumption_of({"web": [{"metadata": {"uid": name, "name": name}} for name in reports]}, around)["web"]


LOST: Json = {"consuming": False, "connected": False, "not_consuming_since": NOW - GRACE}


@pytest.mark.parametrize(
    ("reports", "found"),
    [
        ({}, Consumption()),
        ({"a": None}, Consumption()),
        ({"a": report()}, FINE),
        ({"a": report(consuming=None)}, Consumption()),
        ({"a": report(started=False, consuming=False)}, Consumption()),
        ({"a": report(**LOST)}, Consumption(answered=True, not_consuming=1, names=("a",), disconnected=True)),
        ({"a": report(**{**LOST, "connected": True})}, Consumption(answered=True, not_consuming=1, names=("a",))),
        ({"a": report(**{**LOST, "not_consuming_since": NOW - GRACE + 1})}, PAUSING),
        # It said so once, and has been silent since.
        ({"a": report(**{**LOST, "at": NOW - GRACE})}, PAUSING),
        ({"a": report(**LOST, draining=True)}, FINE),
        ({"a": report(**{**LOST, "consuming": None}, draining=True)}, FINE),
        ({"a": report(**LOST, shutting_down=True)}, FINE),
        ({"a": report(**{**LOST, "at": NOW - 100})}, Consumption()),
        (
            {name: report(**LOST) for name in "edcba"},
            Consumption(answered=True, not_consuming=5, names=("a", "b", "c"), disconnected=True),
        ),
        (
            {"b": report(), "a": report(**LOST)},
            Consumption(answered=True, not_consuming=1, names=("a",), disconnected=True),
        ),
    ],
)
def test_only_workers_that_should_consume_count(reports: dict[str, WorkerReport | None], found: Consumption) -> None:
    assert consumption(reports) == found


def test_who_is_drained_by_the_operator_consumes_nothing_and_is_no_trouble() -> None:
    assert consumption({"a": report(**LOST)}, held=frozenset({"a"})) == FINE


@pytest.mark.parametrize("ready", ["True", "False"])
@pytest.mark.parametrize("asked_long", [True, False])
def test_a_worker_that_is_ready_and_has_not_spoken_is_unheard_for_a_while(ready: str, asked_long: bool) -> None:
    around = Surroundings(
        now=NOW,
        wall=datetime(2026, 1, 1, tzinfo=UTC),
        reading=None,
        heartbeats={},
        report={"a": report()}.get,
        held=frozenset(),
        refuses=lambda _: None,
    )
    status = {"conditions": [{"type": "Ready", "status": ready}]}
    pods = [{"metadata": {"uid": name, "name": name}, "status": status} for name in ("a", "b")]
    found = consumption_of({"web": pods}, around, asked_long=asked_long)["web"]
    assert found == replace(FINE, unheard=ready == "True" and not asked_long)


def test_the_last_worker_of_a_group_on_its_way_to_zero_changes_nothing() -> None:
    drained = consumption({"a": report(**{**LOST, "consuming": None})}, held=frozenset({"a"}))
    before, after = (workers_consuming.evaluate(seen(FROM_ZERO, web=found)) for found in (FINE, drained))
    assert after == before


def test_a_group_that_stalls_is_known_by_its_name() -> None:
    around = Surroundings(
        now=NOW,
        wall=datetime(2026, 1, 1, tzinfo=UTC),
        reading=None,
        heartbeats={},
        report=lambda _: report(),
        held=frozenset(),
        refuses=lambda _: None,
    )
    pods = {name: [{"metadata": {"uid": name, "name": name}}] for name in ("web", "mail")}
    found = consumption_of(pods, around, {"mail"}, {"mail", "web"})
    assert found == {"web": IDLE, "mail": STALLED}
