"""What the runtime costs in a worker: CPU of a probe, memory, threads, processes, connections."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.pods import Pod, send, wait_for_entries
from tests.integration.runtime.test_pools import children_of
from tests.integration.servers import Process, RedisServer, free_port, wait_until

PROBES = 400
CPU_SECONDS = 0.001
RESIDENT_KIB = 2048
GROWTH_KIB = 1024


def test_a_probe_costs_less_than_a_millisecond(make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis) -> None:
    pod = make_pod(broker=empty_broker.url()).start().wait_for("/readyz")
    for path in ("/livez", "/readyz", "/status"):
        before, asked = pod.cpu_seconds(), time.process_time()
        for _ in range(PROBES):
            pod.get(path)
        each, asking = (
            (now - then) / PROBES for now, then in ((pod.cpu_seconds(), before), (time.process_time(), asked))
        )
        print(f"{path}: {each * 1000:.2f} ms CPU a probe, {asking * 1000:.2f} ms for asking")
        # Where a millisecond is less than elsewhere, httpx shows it.
        assert each < max(CPU_SECONDS, 2 * asking)
    assert len(children_of(pod.pid)) == 2, "the two children of the pool and nobody else"
    threads = len(list(Path(f"/proc/{pod.pid}/task").iterdir()))
    print(f"{threads} threads, {resident_kib(pod)} KiB resident")


def test_an_idle_worker_costs_what_plain_celery_costs(
    make_pod: PodMaker, empty_broker: RedisServer, tmp_path: Path
) -> None:
    pod = make_pod(broker=empty_broker.url()).start().wait_for("/readyz")
    pod.get("/status")
    with plain_celery(pod, empty_broker, tmp_path) as plain, empty_broker.client() as admin:
        wait_for_all_connections(plain, admin)
        ours, theirs = resident_kib(pod), resident_kib(plain)
        print(f"resident: {ours} KiB with the runtime, {theirs} KiB with plain Celery")
        assert ours - theirs < RESIDENT_KIB


def test_no_connection_to_the_broker_of_its_own(make_pod: PodMaker, empty_broker: RedisServer, tmp_path: Path) -> None:
    pod = make_pod(broker=empty_broker.url()).start().wait_for("/readyz")
    with plain_celery(pod, empty_broker, tmp_path) as plain, empty_broker.client() as admin:
        wait_for_all_connections(plain, admin)
        wait_until(lambda: connections(pod, admin) == connections(plain, admin), timeout=60.0, what="as many")
        for _ in range(50):
            pod.get("/status")
        assert connections(pod, admin) == connections(plain, admin)


def test_memory_does_not_grow_with_probes_and_tasks(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    pod = make_pod(broker=empty_broker.url()).start().wait_for("/readyz")

    def work(count: int) -> int:
        for _ in range(count):
            send(empty_broker.url(), "shop.record", "done")
            pod.get("/status")
            pod.get("/livez")
        wait_for_entries(ledger, "done", count, timeout=60.0)
        ledger.delete("done")
        return resident_kib(pod)

    # What leaks grows each time; what Python has only arranged anew does not.
    resident = [work(200)]
    grown: list[int] = []
    while not grown or (grown[-1] >= GROWTH_KIB and len(grown) < 3):
        resident.append(work(400))
        grown.append(resident[-1] - resident[-2])
    assert grown[-1] < GROWTH_KIB, resident


@contextmanager
def plain_celery(pod: Pod, broker: RedisServer, folder: Path) -> Iterator[Process]:
    """The same worker without the runtime."""
    plain = Process(name="plain", folder=folder)
    celery = str(Path(pod._python).parent / "celery")
    url = broker.url()
    plain.launch(
        [celery, "-A", "shop", "worker", "-n", f"plain{free_port()}@x", "-Q", "celery", "-c", "2", "-l", "INFO",
         "--without-gossip", "--without-mingle"],
        env={"PATH": os.environ["PATH"], "CELERY_BROKER_URL": url, "CELERY_BROKER_READ_URL": url,
             "CELERY_RESULT_BACKEND": "disabled://"},
        cwd=pod._applications,
    )  # fmt: skip
    try:
        plain.wait_ready(lambda: " ready." in plain.log.read_text(), timeout=60.0)
        yield plain
    finally:
        plain.kill()


def wait_for_all_connections(plain: Process, admin: Redis) -> None:
    """Celery opens its last one with its first heartbeat."""
    wait_until(lambda: connections(plain, admin) >= 4, timeout=60.0, what="plain Celery has all its connections")


def connections(process: Process, admin: Redis) -> int:
    """Connections of the main process to the server: their local ports are those of its sockets."""
    sockets = set()
    for link in Path(f"/proc/{process.pid}/fd").iterdir():
        # A probe's may be closed meanwhile.
        with suppress(FileNotFoundError):
            sockets.add(os.readlink(link))
    clients = {int(str(client["addr"]).rpartition(":")[2]) for client in admin.client_list()}
    found = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        local = int(fields[1].rpartition(":")[2], 16)
        found += local in clients and f"socket:[{fields[9]}]" in sockets
    return found


def resident_kib(process: Process) -> int:
    """Resident memory of the main process."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
    assert found is not None
    return int(found.group(1))
