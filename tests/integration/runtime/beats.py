"""Beats of the application ``timed``, which sends and does nothing else: what they sent is counted in the queues."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.in_celery import run
from tests.integration.runtime.pods import Pod
from tests.integration.servers import RedisServer, wait_until

FILE = "celery.beat:PersistentScheduler"
REDBEAT = "redbeat.RedBeatScheduler"
DATABASE = "django_celery_beat.schedulers:DatabaseScheduler"

MIGRATE = """
import django
from django.core.management import call_command
django.setup()
call_command("migrate", verbosity=0)
result = None
"""

Json = dict[str, Any]
Starter = Callable[..., Pod]
Counter = Callable[[str], int]

SUNRISE: Json = {"solar": {"event": "sunrise", "latitude": 52.52, "longitude": 13.405}, "everySeconds": None}
"""For an entry, in place of every second."""


def entry(name: str, queue: str | None = None, **more: Any) -> Json:
    """An entry of every second, whose messages go to a queue of its name."""
    return {"name": name, "task": "timed.tick", "everySeconds": 1.0, "queue": queue or name, "enabled": True, **more}


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the tables of django-celery-beat, and nothing in them."""
    folder = tmp_path_factory.mktemp("django")
    run(MIGRATE, folder, celery="beat", env=django(folder / "timed.sqlite"))
    return folder / "timed.sqlite"


@pytest.fixture
def database(migrated: Path, tmp_path: Path) -> Path:
    """A database of the test's own."""
    return Path(shutil.copy(migrated, tmp_path))


def django(path: Path) -> dict[str, str]:
    return {"DJANGO_SETTINGS_MODULE": "timed_settings", "TIMED_DATABASE": str(path)}


@pytest.fixture
def start(make_pod: PodMaker, empty_broker: RedisServer, tmp_path: Path) -> Starter:
    """Start a beat of the application ``timed``; one with the name of a former one has its folder."""

    def start(scheduler: str, *schedule: Json, name: str | None = None, server: RedisServer | None = None,
              config: Json | None = None, env: dict[str, str] | None = None, **beat: Any) -> Pod:  # fmt: skip
        url = (server or empty_broker).url
        settings = {
            "beat": {"scheduler": scheduler, "schedule": list(schedule), **beat},
            "config": {"beat_max_loop_interval": 1, "redbeat_redis_url": url(3), **(config or {})},
        }
        environment = django(tmp_path / "timed.sqlite") if scheduler == DATABASE else {}
        pod = make_pod(celery="beat", app="timed", component="beat", broker=url(), settings=settings, name=name,
                       env={**environment, **(env or {})})  # fmt: skip
        return pod.start()

    return start


@pytest.fixture
def sent(empty_broker: RedisServer) -> Counter:
    """How many messages a queue has."""

    def sent(queue: str) -> int:
        with Redis.from_url(empty_broker.url()) as client:
            return int(client.llen(queue))

    return sent


def end(pod: Pod) -> None:
    """End a beat as the kubelet does."""
    pod.signal(signal.SIGTERM)
    pod.ended()


def wait_for_messages(sent: Counter, **wanted: int) -> None:
    for queue, count in wanted.items():
        wait_until(lambda q=queue, c=count: sent(q) >= c, timeout=90.0, what=f"{count} messages in {queue}")  # type: ignore[misc]
