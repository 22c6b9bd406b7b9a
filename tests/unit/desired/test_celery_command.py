"""The command lines: every field becomes the option it stands for, in a shape that Celery's CLI reads."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.api.beat import Beat
from celery_operator.api.workers import WorkerGroup
from celery_operator.desired import celery_command
from tests.unit.desired.clusters import cluster

Json = dict[str, Any]
ALWAYS = ["-l", "INFO", "--without-gossip"]


def group(**fields: Any) -> WorkerGroup:
    return WorkerGroup.model_validate({"name": "web", **fields})


def worker_args(**fields: Any) -> list[str]:
    return celery_command.worker(cluster().spec, group(**fields))


def beat_args(**fields: Any) -> list[str]:
    return celery_command.beat(cluster().spec, Beat.model_validate(fields))


def test_the_smallest_worker() -> None:
    assert worker_args() == ["-A", "shop.celery", "-n", "web@$(POD_NAME)", "-P", "prefork", "-c", "1", *ALWAYS]


@pytest.mark.parametrize(
    ("fields", "option"),
    [
        ({"queues": ["mail", "web"]}, ["-Q", "mail,web"]),
        ({"queues": ["a$(POD_UID)$b"]}, ["-Q", "a$$(POD_UID)$$b"]),
        ({"pool": "gevent"}, ["-P", "gevent"]),
        ({"concurrency": 7}, ["-c", "7"]),
        ({"processAutoscale": {"min": 2, "max": 8}}, ["--autoscale", "8,2"]),
        ({"processAutoscale": {"min": 2, "max": 8}}, ["-c", "8"]),
        ({"prefetchMultiplier": 0}, ["--prefetch-multiplier", "0"]),
        ({"optimization": "fair"}, ["-O", "fair"]),
        ({"maxTasksPerChild": 50}, ["--max-tasks-per-child", "50"]),
        ({"maxMemoryPerChild": "800Mi"}, ["--max-memory-per-child", "819200"]),
        ({"maxMemoryPerChild": "1G"}, ["--max-memory-per-child", "976562"]),
        ({"timeLimit": "30m"}, ["--time-limit", "1800"]),
        ({"timeLimit": "1.5s"}, ["--time-limit", "1.5"]),
        ({"timeLimit": "300h"}, ["--time-limit", "1080000"]),
        ({"softTimeLimit": "250ms"}, ["--soft-time-limit", "0.25"]),
        ({"logLevel": "DEBUG"}, ["-l", "DEBUG"]),
        ({"taskEvents": True}, ["-E", "-l"]),
    ],
)
def test_a_field_is_its_option(fields: Json, option: list[str]) -> None:
    args = worker_args(**fields)
    at = args.index(option[0])
    assert args[at : at + 2] == option


def test_extra_arguments_come_last_and_as_they_are() -> None:
    assert worker_args(extraArgs=["-X", "slow", "--heartbeat-interval=5"])[-3:] == [
        "-X",
        "slow",
        "--heartbeat-interval=5",
    ]


@pytest.mark.parametrize(
    ("fields", "slots"),
    [
        ({}, 1),
        ({"concurrency": 5, "resources": {"limits": {"cpu": 2}}}, 5),
        ({"resources": {"limits": {"cpu": "1500m"}}}, 2),
        ({"resources": {"limits": {"cpu": "4"}, "requests": {"cpu": "1"}}}, 4),
        ({"resources": {"limits": {"memory": "1Gi"}, "requests": {"cpu": "2500m"}}}, 3),
        ({"resources": {"limits": {"cpu": "100m"}}}, 1),
        ({"resources": {"limits": {"cpu": "0"}}}, 1),
        ({"resources": {}}, 1),
        ({"concurrency": "auto", "resources": {"limits": {"cpu": "2500m"}}}, 3),
        ({"pool": "solo", "resources": {"limits": {"cpu": 8}}}, 1),
    ],
)
def test_slots_are_asked_for_or_follow_the_cpu_of_the_pod(fields: Json, slots: int) -> None:
    assert celery_command.concurrency(group(**fields)) == slots


def test_the_smallest_beat() -> None:
    assert beat_args() == [
        *("-A", "shop.celery", "-s", "/var/lib/celery-beat/schedule", "--pidfile="),
        *("--max-interval", "30", "-l", "INFO"),
    ]


@pytest.mark.parametrize(
    ("interval", "option"), [("10s", "10"), ("1m30s", "90"), ("1.5s", "1"), ("300ms", "1"), ("500h", "1800000")]
)
def test_the_interval_is_a_whole_number_of_seconds(interval: str, option: str) -> None:
    """`celery beat --max-interval` is an integer, and 0 means Celery's five minutes."""
    args = beat_args(maxInterval=interval)
    assert args[args.index("--max-interval") + 1] == option


def test_the_launcher_is_run_by_the_images_python() -> None:
    assert celery_command.launcher(cluster().spec, "worker") == ["python", "/celery-operator/launch.py", "worker"]
    wrapped = cluster({"command": ["poetry", "run", "python"]})
    assert celery_command.launcher(wrapped.spec, "beat") == [
        *("poetry", "run", "python"),
        *("/celery-operator/launch.py", "beat"),
    ]


def test_the_launcher_counts_the_cpus_where_it_is_asked_to() -> None:
    args = worker_args(concurrency="auto", resources={"limits": {"cpu": 2}})
    assert "-c" not in args
    assert worker_args(taskEvents=False) == worker_args()
