"""What the runtime costs in a worker: CPU of a probe, memory, threads."""

from __future__ import annotations

import os
import re
from pathlib import Path

from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.servers import Process, RedisServer, free_port

PROBES = 400


def test_a_probe_costs_less_than_a_millisecond(make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis) -> None:
    pod = make_pod(broker=empty_broker.url()).start().wait_for("/readyz")
    for path, limit in (("/livez", 0.001), ("/status", 0.002)):
        before = pod.cpu_seconds()
        for _ in range(PROBES):
            pod.get(path)
        each = (pod.cpu_seconds() - before) / PROBES
        print(f"{path}: {each * 1000:.2f} ms CPU a probe")
        assert each < limit
    threads = len(list(Path(f"/proc/{pod.pid}/task").iterdir()))
    print(f"{threads} threads, {resident_kib(pod)} KiB resident")


def test_memory_beside_plain_celery(make_pod: PodMaker, empty_broker: RedisServer, tmp_path: Path) -> None:
    pod = make_pod(broker=empty_broker.url()).start().wait_for("/readyz")
    pod.get("/status")
    plain = Process(name="plain", folder=tmp_path)
    plain_log = plain.log
    celery = str(Path(pod._python).parent / "celery")
    url = empty_broker.url()
    plain.launch(
        [celery, "-A", "shop", "worker", "-n", f"plain{free_port()}@x", "-Q", "celery", "-c", "2", "-l", "INFO",
         "--without-gossip", "--without-mingle"],
        env={"PATH": os.environ["PATH"], "CELERY_BROKER_URL": url, "CELERY_BROKER_READ_URL": url,
             "CELERY_RESULT_BACKEND": "disabled://"},
        cwd=pod._applications,
    )  # fmt: skip
    try:
        plain.wait_ready(lambda: " ready." in plain_log.read_text(), timeout=15.0)
        ours, theirs = resident_kib(pod), resident_kib(plain)
    finally:
        plain.kill()
    print(f"resident: {ours} KiB with the runtime, {theirs} KiB with plain Celery")
    assert ours - theirs < 4096


def resident_kib(process: Process) -> int:
    """Resident memory of the main process."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
    assert found is not None
    return int(found.group(1))
