"""Beat: schedules merged, every tick dispatched once however many beats live, a probe that tells the truth."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.integration.runtime.conftest import PASSWORD, PodMaker
from tests.integration.runtime.pods import Pod, wait_for_entries
from tests.integration.servers import RabbitServer, RedisServer, wait_until

PERIOD = 1.0
"""Seconds between two ticks of the test's own entry."""

TICKS = 7
"""Ticks that both beats must have seen; sent twice they would be 14."""


def every(seconds: float, name: str = "ours", **more: Any) -> dict[str, Any]:
    """An entry that records its name."""
    return {"name": name, "task": "shop.record", "everySeconds": seconds, "args": [name], "enabled": True, **more}


def beat_settings(*schedule: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The part of the settings that only beat has."""
    return {"beat": {"schedule": list(schedule), "maxIntervalSeconds": 5, **more}}


@pytest.fixture(params=["redis", "amqp"])
def any_broker(request: pytest.FixtureRequest, empty_broker: RedisServer, rabbit: RabbitServer) -> str:
    """The URL of a Redis and of a RabbitMQ in turn."""
    return empty_broker.url() if request.param == "redis" else rabbit.url()


def test_two_live_beats_dispatch_each_tick_once(any_broker: str, make_pod: PodMaker, ledger: Redis) -> None:
    make_pod(broker=any_broker).start().wait_for("/readyz")
    settings = {
        **beat_settings(every(PERIOD)),
        "config": {"beat_schedule": {}},  # without the application's own entries
        "cluster": f"two-{os.getpid()}-{time.time_ns()}",
    }
    first, second = (make_pod(broker=any_broker, component="beat", settings=settings).start() for _ in range(2))
    for pod in (first, second):
        pod.wait_for("/readyz")
        wait_until(lambda pod=pod: seen(pod) > 0, timeout=60.0, what="a tick seen by each beat")  # type: ignore[misc]

    started = time.monotonic()
    before = counted("dispatched", first, second)
    target = {pod.name: seen(pod) + TICKS for pod in (first, second)}
    for pod in (first, second):
        wait_until(lambda pod=pod: seen(pod) >= target[pod.name], timeout=90.0, what="ticks seen")  # type: ignore[misc]
    dispatched = counted("dispatched", first, second) - before
    slots = (time.monotonic() - started) / PERIOD

    # A tick is named by the clock: a beat that is held up leaves some out, and doubles none. Beside those of this
    # time, each beat may have counted one that was named before.
    assert dispatched <= slots + 3, "ticks were dispatched twice"
    assert dispatched >= TICKS - 2, "ticks were lost: each beat got to so many, and one of the two dispatches each"
    sent = counted("dispatched", first, second)
    wait_until(lambda: ledger.llen("ours") >= sent, timeout=30.0, what="what was dispatched has run")
    ran = ledger.llen("ours")
    wait_until(lambda: counted("dispatched", first, second) >= ran, timeout=30.0, what="nothing else has run")

    # The survivor goes on after a death without a farewell, and nothing is counted as missed.
    busier, other = sorted((first, second), key=lambda pod: -int(pod.status()["dispatched"]))
    busier.kill()
    alone = counted("dispatched", other)
    wait_until(lambda: counted("dispatched", other) > alone, timeout=60.0, what="the other beat takes over")
    assert other.status()["missed"] == 0


def counted(what: str, *pods: Pod) -> int:
    """Of the statuses of these beats."""
    return sum(int(pod.status()[what]) for pod in pods)


def seen(pod: Pod) -> int:
    """Ticks of the test's entry that this beat got to, whoever dispatched them."""
    return counted("claimedElsewhere", pod) + counted("dispatched", pod)


def test_the_claim_is_named(any_broker: str, make_pod: PodMaker) -> None:
    pod = make_pod(broker=any_broker, component="beat", settings=beat_settings()).start().wait_for("/readyz")
    assert pod.status()["claims"] == ("redis" if any_broker.startswith("redis") else "amqp")
    assert pod.get("/livez").status_code == 200
    assert pod.get("/startupz").status_code == 200


def test_schedules_are_merged(make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis) -> None:
    """The application's entries stay, ours win over the same name, and a disabled one of ours is not there."""
    make_pod(broker=empty_broker.url()).start().wait_for("/readyz")
    settings = beat_settings(
        every(1.0),
        {**every(1.0, "replaced"), "args": ["spec"]},
        every(1.0, "disabled", enabled=False),
        every(1.0, "routed", queue="other"),
    )
    pod = make_pod(broker=empty_broker.url(), component="beat", settings=settings).start()
    for name in ("own", "ours", "spec"):
        wait_for_entries(ledger, name, 2)
    assert ledger.llen("code") == 0
    assert ledger.llen("disabled") == 0
    assert ledger.llen("routed") == 0, "queue was ignored: no worker consumes the queue other"
    with Redis.from_url(empty_broker.url()) as broker:
        wait_until(lambda: broker.llen("other") > 0, timeout=30.0, what="a message in the queue other")
    assert pod.status()["dispatched"] > 0


@pytest.mark.verify
def test_a_crontab_fires_at_its_minute_once(any_broker: str, make_pod: PodMaker, ledger: Redis) -> None:
    make_pod(broker=any_broker).start().wait_for("/readyz")
    entry = {"name": "minute", "task": "shop.record", "crontab": "*/1 * * jan-dec mon-7", "args": ["minute"]}
    settings = {**beat_settings(entry), "cluster": f"crontab-{time.time_ns()}"}
    pods = [make_pod(broker=any_broker, component="beat", settings=settings).start() for _ in range(2)]
    times = wait_for_entries(ledger, "minute", 2, timeout=130.0)
    assert [moment % 60 < 30 for moment in times] == [True, True]
    assert len({moment // 60 for moment in times}) == 2
    wait_until(lambda: sum(pod.status()["claimedElsewhere"] for pod in pods) >= 2, timeout=130.0, what="two refusals")


def test_a_scheduler_without_a_store(make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis) -> None:
    make_pod(broker=empty_broker.url()).start().wait_for("/readyz")
    settings = beat_settings(every(1.0), scheduler="celery.beat:Scheduler")
    settings["config"] = {"beat_max_loop_interval": 1}
    pod = make_pod(broker=empty_broker.url(), component="beat", settings=settings).start()
    wait_for_entries(ledger, "ours", 2, timeout=60.0)
    assert pod.status()["claims"] == "redis"
    wait_until(lambda: pod.status()["dispatched"] >= 2, timeout=30.0, what="both are counted")
    assert PASSWORD not in pod.output()


def test_a_crash_between_claim_and_publish_is_reported(make_pod: PodMaker, empty_broker: RedisServer) -> None:
    pod = make_pod(broker=empty_broker.url(), component="beat", settings=beat_settings(every(3600.0)))
    pod.folder.mkdir(parents=True)
    (pod.folder / "schedule.claim").write_text('{"entry": "ours", "slot": "i3600-1"}')
    pod.start().wait_for("/readyz")
    assert pod.status()["missed"] == 1
    assert "ours i3600-1" in pod.status()["lastMissed"]
    assert [news["reason"] for news in pod.status()["news"]] == ["TickMissed"]
    assert "missed tick" in pod.output()


def test_beat_outlives_an_outage_and_catches_up(make_pod: PodMaker, tmp_path: Path, ledger: Redis) -> None:
    with RedisServer(folder=tmp_path / "outage") as broker:
        make_pod(broker=broker.url()).start().wait_for("/readyz")
        # No other entry: after a tick of this one there is time to stop the broker between two, and none is missed.
        settings = {**beat_settings(every(2.0)), "config": {"beat_schedule": {}}}
        pod = make_pod(broker=broker.url(), component="beat", settings=settings).start()
        wait_for_entries(ledger, "ours", 1)
        pid = pod.pid
        broker.stop()
        wait_until(lambda: pod.status()["connected"] is False, timeout=60.0, what="the outage is seen")
        seen = len(ledger.lrange("ours", 0, -1))
        assert pod.get("/livez").status_code == 200
        broker.start()
        wait_for_entries(ledger, "ours", seen + 2, timeout=90.0)
        assert pod.pid == pid
        assert pod.running
        assert pod.status()["missed"] == 0


def test_the_tick_file_is_touched_and_sigterm_ends_beat_soon(make_pod: PodMaker, empty_broker: RedisServer) -> None:
    pod = make_pod(broker=empty_broker.url(), component="beat", settings=beat_settings(every(1.0))).start()
    pod.wait_for("/readyz")
    wait_until(lambda: (pod.folder / "tick").exists(), timeout=30.0, what="the tick file")
    assert abs(int((pod.folder / "tick").read_text()) - time.time()) < 60
    wait_until(lambda: pod.status()["lastTickAgeSeconds"] < 5, timeout=30.0, what="a tick of late")
    started = time.monotonic()
    pod.signal(signal.SIGTERM)
    pod.ended()
    assert time.monotonic() - started < 15.0


def test_an_unreadable_schedule_is_refused(make_pod: PodMaker, broker: RedisServer) -> None:
    entry = {"name": "odd", "task": "shop.record", "crontab": "61 * * * *"}
    pod: Pod = make_pod(broker=broker.url(), component="beat", settings=beat_settings(entry)).start()
    assert pod.ended() == 78
    message = pod.termination_message()
    assert message["reason"] == "ConfigInvalid"
    assert '"odd"' in message["message"]
