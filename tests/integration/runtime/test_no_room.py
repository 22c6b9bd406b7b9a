"""A worker that can have no further thread, as when the container's limit of processes is reached, loses no task."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.pods import Pod, send, wait_for_entries
from tests.integration.runtime.test_shutdown import GRACE, LATE, end, waiting
from tests.integration.servers import RedisServer

STACK_KIB = 256 * 1024
"""What each new thread must have of the address space."""

BIG_STACKS = ("sh", "-c", f'ulimit -s {STACK_KIB} && exec "$@"', "sh")


@pytest.mark.parametrize(
    ("celery", "pool"), [("celery-5.3", "prefork"), pytest.param("celery-5.7", "threads", marks=pytest.mark.verify)]
)
def test_at_sigterm_no_new_thread_is_needed(
    celery: str, pool: str, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    """Celery's own thread, with which prefork drains from 5.6.1 on, is nothing that we could replace."""
    broker = empty_broker.url()
    settings = {**LATE, "gracePeriodSeconds": GRACE, "pool": pool}
    pod = make_pod(celery=celery, broker=broker, app="endings", settings=settings, prefix=BIG_STACKS)
    pod.start().wait_for("/readyz")
    send(broker, "endings.rest", "cut", 60.0)
    wait_for_entries(ledger, "cut.begin", 1, timeout=60.0)
    allow_no_thread(pod)

    end(pod)

    assert waiting(broker, expected=1) == ["endings.rest cut"]
    assert "the runtime's hook" not in pod.output()


def allow_no_thread(pod: Pod) -> None:
    """Leave half a stack of the address space: enough for everything else."""
    pages = int(Path(f"/proc/{pod.pid}/statm").read_text().split()[0])
    room = pages * resource.getpagesize() + STACK_KIB * 1024 // 2
    resource.prlimit(pod.pid, resource.RLIMIT_AS, (room, room))
