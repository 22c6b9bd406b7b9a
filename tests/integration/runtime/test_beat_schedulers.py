"""Every scheduler class sends, forgets what is not wanted, answers its probes, and doubles nothing."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest
from redis import Redis

from tests.integration.runtime.beats import (
    DATABASE,
    FILE,
    REDBEAT,
    SUNRISE,
    Counter,
    Json,
    Starter,
    database,
    django,
    end,
    entry,
    migrated,
    sent,
    start,
    wait_for_messages,
)
from tests.integration.runtime.in_celery import run
from tests.integration.runtime.pods import Pod
from tests.integration.servers import RedisServer, wait_until

__all__ = ["database", "migrated", "sent", "start"]


def rows(database: Path) -> dict[str, tuple[int, str]]:
    """Of django-celery-beat: whether it is enabled, and the description, by name."""
    with sqlite3.connect(database, timeout=30.0) as connection:
        found = connection.execute("select name, enabled, description from django_celery_beat_periodictask")
        return {name: (enabled, description) for name, enabled, description in found}


STORED = """
import shelve
with shelve.open(given, "r") as store:
    result = sorted(store["entries"])
"""


def stored(scheduler: str, pod: Pod, broker: RedisServer, folder: Path) -> list[str]:
    """The names that the store of a beat that has ended would send."""
    if scheduler == FILE:
        return list(run(STORED, folder, celery="beat", given=str(pod.folder / "schedule")))
    if scheduler == DATABASE:
        return sorted(name for name, (enabled, _) in rows(folder / "timed.sqlite").items() if enabled)
    with Redis.from_url(broker.url(3), decode_responses=True) as client:
        return sorted(key.removeprefix("redbeat:") for key in client.zrange("redbeat::schedule", 0, -1))


@pytest.mark.parametrize("scheduler", [FILE, REDBEAT, DATABASE])
def test_entries_are_sent_edited_and_removed(
    scheduler: str,
    start: Starter,
    database: Path,
    sent: Counter,
    empty_broker: RedisServer,
    tmp_path: Path,
) -> None:
    pod = start(scheduler, entry("kept"), entry("edited"), entry("removed"), entry("off", enabled=False))
    wait_for_messages(sent, kept=2, edited=2, removed=2)
    status = pod.status()
    assert status["claims"] == "redis"
    assert status["lastTickAgeSeconds"] < 30
    assert (pod.get("/livez").status_code, pod.get("/readyz").status_code) == (200, 200)
    wait_until(lambda: pod.status()["ticks"] > status["ticks"], timeout=60.0, what="another tick")
    end(pod)

    removed, edited, kept = sent("removed"), sent("edited"), sent("kept")
    pod = start(scheduler, entry("kept"), entry("edited", "moved"), name=pod.name)
    wait_for_messages(sent, kept=kept + 2, moved=2)
    assert pod.status()["missed"] == 0
    end(pod)
    assert (sent("removed"), sent("edited"), sent("off")) == (removed, edited, 0)
    names = stored(scheduler, pod, empty_broker, tmp_path)
    assert [name for name in names if not name.startswith("celery.")] == ["edited", "kept"]


PEOPLE = """
import django
django.setup()
from django_celery_beat.models import IntervalSchedule, PeriodicTask
second, _ = IntervalSchedule.objects.get_or_create(every=1, period="seconds")
for name, description in given:
    PeriodicTask.objects.create(name=name, task="timed.tick", queue="people-" + name, interval=second,
                                description=description)
result = None
"""

SWITCH_OFF = """
import django
django.setup()
from django_celery_beat.models import PeriodicTask
row = PeriodicTask.objects.get(name=given)
row.enabled = False
row.save()
result = None
"""


def test_rows_of_people_are_never_touched_and_ours_come_and_go(
    start: Starter, database: Path, sent: Counter, tmp_path: Path
) -> None:
    other = "celery-operator:another: made from spec.beat.schedule; change it there"
    made = [("theirs", ""), ("taken", "of the admin"), ("other", other)]
    run(PEOPLE, tmp_path, celery="beat", given=made, env=django(database))
    ours = [entry("ours"), entry("off"), entry("gone"), entry("sun", **SUNRISE)]
    pod = start(DATABASE, *ours, entry("taken"))
    wait_for_messages(sent, ours=2, off=1, gone=1, **{"people-theirs": 1, "people-taken": 1, "people-other": 1})
    assert any('beat entry "taken"' in warning for warning in pod.status()["warnings"])
    assert [news["reason"] for news in pod.status()["news"]] == ["ScheduleEntryNotWritten"]
    run(SWITCH_OFF, tmp_path, celery="beat", given="off", env=django(database))
    end(pod)
    assert sent("taken") == 0
    assert rows(database)["sun"][0] == 1

    mark = rows(database)["ours"][1]
    assert mark.startswith("celery-operator:quickstart: ")
    before = sent("ours")
    pod = start(DATABASE, entry("ours"), entry("off"))
    wait_for_messages(sent, ours=before + 2)
    end(pod)
    found = rows(database)
    assert {name: enabled for name, (enabled, _) in found.items() if not name.startswith("celery.")} == {
        "ours": 1, "off": 0, "gone": 0, "sun": 0, "theirs": 1, "taken": 1, "other": 1,
    }  # fmt: skip
    assert [found[name][1] for name, _ in made] == [description for _, description in made]
    assert found["off"][1] == mark, "who switched it off was not us"

    gone = sent("gone")
    pod = start(DATABASE, *ours)
    wait_for_messages(sent, gone=gone + 2)
    end(pod)
    assert {name: rows(database)[name][0] for name in ("ours", "off", "gone", "sun")} == {
        "ours": 1, "off": 0, "gone": 1, "sun": 1,
    }  # fmt: skip


def test_two_live_beats_with_one_database_send_each_tick_once(start: Starter, database: Path, sent: Counter) -> None:
    pods = [start(DATABASE, entry("once")) for _ in range(2)]
    for pod in pods:
        wait_until(lambda p=pod: p.answers("/readyz") and ticks(p) > 0, timeout=90.0, what="a tick seen by each")  # type: ignore[misc]
    started = time.monotonic()
    before, target = sent("once"), {pod.name: ticks(pod) + 5 for pod in pods}
    for pod in pods:
        wait_until(lambda p=pod: ticks(p) >= target[p.name], timeout=90.0, what="ticks seen by each")  # type: ignore[misc]
    new, slots = sent("once") - before, time.monotonic() - started
    assert new <= slots + 3, "ticks were sent twice"
    wait_until(lambda: sum(pod.status()["claimedElsewhere"] for pod in pods) >= 5, timeout=60.0, what="refusals")


def ticks(pod: Pod) -> int:
    """Ticks that this beat got to, whoever sent them."""
    status = pod.status()
    return int(status["claimedElsewhere"]) + int(status["dispatched"])


def test_a_second_redbeat_waits_in_peace_and_takes_over(start: Starter, sent: Counter) -> None:
    # Longer than five of beat's intervals: the first must not lose it while the machine is busy with the second.
    lock = {"redbeat_lock_timeout": 15}
    first = start(REDBEAT, entry("once"), config=lock)
    wait_for_messages(sent, once=1)
    second = start(REDBEAT, entry("once"), config=lock)
    wait_until(lambda: second.answers("/readyz", 503), timeout=60.0, what="the second waits")
    assert "redbeat::lock" in second.get("/readyz").text
    assert "redbeat::lock" in second.status()["waitsFor"]
    assert second.get("/livez").status_code == 200
    first.kill()
    before = sent("once")
    wait_for_messages(sent, once=before + 2)
    assert second.get("/readyz").status_code == 200
    wait_until(lambda: second.status()["dispatched"] >= 2, timeout=30.0, what="both are counted")


def test_redbeat_outlives_a_redis_that_forgot_everything(start: Starter, tmp_path: Path) -> None:
    with RedisServer(folder=tmp_path / "forgetful") as server, Redis.from_url(server.url()) as client:
        pod = start(REDBEAT, entry("once"), server=server)
        wait_until(lambda: client.llen("once") > 0, timeout=60.0, what="a message")
        pid = pod.pid
        server.stop()
        wait_until(lambda: pod.status()["connected"] is False or pod.status()["waitsFor"], timeout=60.0, what="seen")
        assert pod.get("/livez").status_code == 200
        server.start()
        with Redis.from_url(server.url(3)) as store:
            store.flushall()
        wait_until(lambda: client.llen("once") >= 2, timeout=90.0, what="messages after the outage")
        assert (pod.pid, pod.running) == (pid, True)


@pytest.mark.parametrize(
    ("scheduler", "more", "words"),
    [
        (REDBEAT, {"solar": {"event": "sunset", "latitude": 1, "longitude": 2}}, "RedBeat knows no solar schedules"),
        (DATABASE, {"everySeconds": 0.5}, "django-celery-beat keeps whole seconds"),
    ],
)
def test_what_a_scheduler_cannot_store_is_refused(scheduler: str, more: Json, words: str, start: Starter) -> None:
    pod = start(scheduler, entry("odd", **{"everySeconds": None, **more}))
    assert pod.ended() == 78
    message = pod.termination_message()
    assert message["reason"] == "ConfigInvalid"
    assert 'beat entry "odd"' in message["message"]
    assert words in message["message"]
