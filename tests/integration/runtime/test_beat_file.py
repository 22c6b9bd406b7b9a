"""Beat's schedule file, its time zone, the sun: what is due is sent, and a damaged file is put aside and told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from redis import Redis

from celery_operator.observe.beat_news import BeatNews, BeatPod, News
from celery_operator.observe.key import ClusterKey
from celery_operator.observe.worker_report import PodAddress
from tests.integration.runtime.beats import (
    FILE,
    SUNRISE,
    Counter,
    Json,
    Starter,
    end,
    entry,
    sent,
    start,
    wait_for_messages,
)
from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.in_celery import run
from tests.integration.runtime.pods import Pod
from tests.integration.servers import RedisServer

__all__ = ["sent", "start"]

SHOP = ClusterKey(namespace="team", name="shop")

WRITE = """
import os, shelve
from datetime import datetime, timezone
import celery
from celery.beat import ScheduleEntry
from celery.schedules import schedule
os.makedirs(os.path.dirname(given["path"]), exist_ok=True)
with shelve.open(given["path"]) as store:
    last = datetime.fromtimestamp(given["last"], timezone.utc)
    store["entries"] = {
        name: ScheduleEntry(name, "timed.tick", last, 7, schedule(3600), app=celery.Celery("timed"))
        for name in given["names"]
    }
    store.update({"__version__": celery.__version__, "tz": given["zone"], "utc_enabled": True})
result = sorted(os.listdir(os.path.dirname(given["path"])))
"""


def write_schedule(folder: Path, *names: str, ago: timedelta, zone: str | None = None) -> list[str]:
    """A schedule file as beat leaves it, whose entries were sent so long ago; returns the names of its files."""
    given = {"path": str(folder / "schedule"), "names": names, "zone": zone,
             "last": (datetime.now(UTC) - ago).timestamp()}  # fmt: skip
    return list(run(WRITE, folder.parent, celery="beat", given=given))


def cut(folder: Path) -> None:
    """As a node leaves it that lost power: half of what was written."""
    data = (folder / "schedule.dat").read_bytes()
    (folder / "schedule.dat").write_bytes(data[: len(data) // 2])


def empty_index(folder: Path) -> None:
    """As a full volume leaves it."""
    (folder / "schedule.dir").write_bytes(b"")


def garbage(folder: Path) -> None:
    for path in folder.glob("schedule*"):
        path.write_bytes(b"\x00no database\xff" * 20)


def tear_index(folder: Path) -> None:
    text = (folder / "schedule.dir").read_bytes()
    (folder / "schedule.dir").write_bytes(text[:-9])


def foreign(folder: Path) -> None:
    """Of gdbm, which this Python does not have: an image with another Python wrote it."""
    for path in folder.glob("schedule*"):
        path.unlink()
    (folder / "schedule").write_bytes(b"\xcf\x9a\x57\x13" + bytes(4092))


def no_schedule(folder: Path) -> None:
    """A database, and not one of beat's."""
    code = "import shelve\nstore = shelve.open(given)\nstore.clear()\nstore['other'] = 1\nstore.close()\nresult = None"
    run(code, folder.parent, celery="beat", given=str(folder / "schedule"))


@pytest.mark.parametrize(
    "damage",
    [
        *(cut, empty_index, garbage, foreign),
        *(pytest.param(damage, marks=pytest.mark.verify) for damage in (tear_index, no_schedule)),
    ],
)
def test_a_damaged_file_is_put_aside_and_told_once(
    damage: Callable[[Path], None], start: Starter, sent: Counter, tmp_path: Path
) -> None:
    folder = tmp_path / "beat-damaged"
    write_schedule(folder, "ours", ago=timedelta(0))
    damage(folder)
    damaged = {path.name: path.read_bytes() for path in folder.glob("schedule*")}
    pod = start(FILE, entry("ours"), name=folder.name)
    wait_for_messages(sent, ours=1)
    kept = {path.name.partition(".corrupt-")[0]: path.read_bytes() for path in folder.glob("*.corrupt-*")}
    assert kept == damaged
    assert "the schedule file cannot be read" in pod.output()
    told = asyncio.run(_told(pod, rounds=2))
    assert [news.reason for news in told] == ["ScheduleFileCorrupt"], "told by no Event, or by two"
    assert "schedule" in told[0].message
    assert ".corrupt-" in told[0].message
    end(pod)

    pod = start(FILE, entry("ours"), name=pod.name).wait_for("/readyz")
    assert pod.status()["news"] == [], "the new file was not readable"


async def _told(pod: Pod, *, rounds: int) -> list[News]:
    """What the operator hears of this beat when so many operators after one another ask it."""
    told: list[News] = []
    address = PodAddress(uid=pod.uid, name=pod.name, host="127.0.0.1", port=pod.port)
    for _ in range(rounds):
        taken = asyncio.Event()

        async def tell(_: ClusterKey, news: tuple[News, ...], taken: asyncio.Event = taken) -> None:
            told.extend(news)
            taken.set()

        operator = BeatNews(tell=tell, random=lambda: 0.5)
        operator.watch(SHOP, {pod.uid: BeatPod(address=address, container="one")})
        async with asyncio.timeout(60):
            while pod.status()["news"]:
                await asyncio.sleep(0.05)
        await operator.stop()
    return told


def test_a_good_file_keeps_its_counts(start: Starter, sent: Counter, tmp_path: Path) -> None:
    folder = tmp_path / "beat-good"
    write_schedule(folder, "ours", ago=timedelta(minutes=1))
    pod = start(FILE, entry("ours"), name=folder.name)
    wait_for_messages(sent, ours=1)
    assert pod.status()["news"] == []
    end(pod)
    code = "import shelve\nresult = shelve.open(given, 'r')['entries']['ours'].total_run_count"
    assert run(code, tmp_path, celery="beat", given=str(folder / "schedule")) > 7
    assert list(folder.glob("*.corrupt-*")) == []


def test_a_crontab_is_of_the_zone_that_the_spec_names(
    start: Starter, sent: Counter, empty_broker: RedisServer, tmp_path: Path
) -> None:
    """Due since half an hour in Tokyo; the same hour of the clock on the pod's wall is another one."""
    moment = datetime.now(UTC) - timedelta(minutes=30)

    def at(name: str, zone: str) -> Json:
        wall = moment.astimezone(ZoneInfo(zone))
        return entry(name, crontab=f"{wall.minute} {wall.hour} * * *", everySeconds=None)

    folder = tmp_path / "beat-zone"
    write_schedule(folder, "tokyo", "wall", ago=timedelta(hours=2), zone="Asia/Tokyo")
    schedule = [at("tokyo", "Asia/Tokyo"), at("wall", "America/New_York"), entry("second")]
    pod = start(FILE, *schedule, name=folder.name, timezone="Asia/Tokyo", env={"TZ": "America/New_York"})
    wait_for_messages(sent, tokyo=1, second=2)
    assert (sent("tokyo"), sent("wall")) == (1, 0)
    assert pod.status()["effective"]["timezone"] == "Asia/Tokyo"
    with Redis.from_url(empty_broker.url(), decode_responses=True) as client:
        (claim,) = client.keys("celery-operator:beat:quickstart:tokyo:*")
    assert int(claim.rpartition("m-")[2]) == int(moment.timestamp() // 60)


def test_a_zone_that_does_not_exist_is_refused_by_its_field(start: Starter) -> None:
    pod = start(FILE, entry("ours"), timezone="Mars/Olympus")
    assert pod.ended() == 78
    message = pod.termination_message()
    assert message["reason"] == "ConfigInvalid"
    assert message["message"].startswith('spec.beat.timezone: the image knows no time zone "Mars/Olympus"')


def test_a_sunrise_is_sent_once_by_two_beats(start: Starter, sent: Counter, tmp_path: Path) -> None:
    pods = []
    for name, hours in (("beat-one", 25), ("beat-two", 31)):
        write_schedule(tmp_path / name, "sun", ago=timedelta(hours=hours))
        pods.append(start(FILE, entry("sun", **SUNRISE), entry(name), name=name))
    wait_for_messages(sent, **{"beat-one": 2, "beat-two": 2})
    assert sent("sun") == 1
    statuses = [pod.status() for pod in pods]
    assert sum(status["claimedElsewhere"] for status in statuses) == 1


def test_the_sun_needs_a_package_in_the_image(make_pod: PodMaker, empty_broker: RedisServer) -> None:
    settings = {"beat": {"schedule": [entry("sun", **SUNRISE)]}}
    pod = make_pod(app="timed", component="beat", broker=empty_broker.url(), settings=settings).start()
    assert pod.ended() == 78
    message = pod.termination_message()
    assert message["reason"] == "ConfigInvalid"
    assert message["message"].startswith('beat entry "sun": ')
    assert "needs the package ephem in the image" in message["message"]
