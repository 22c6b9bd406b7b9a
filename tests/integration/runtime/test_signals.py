"""SIGTERM ends a container at once before it works, and hides no tick that it cut off."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.lossy_proxy import Fate, Proxy
from tests.integration.runtime.test_beat import beat_settings, every
from tests.integration.servers import RedisServer, wait_until

SLOW_APPLICATION = """
import pathlib, time
from celery import Celery
app = Celery("slow")
pathlib.Path(__file__).with_name("importing").touch()
end = time.monotonic() + 30
while time.monotonic() < end:
    try:
        time.sleep(1)
    except BaseException:
        pass  # as careless libraries do
"""

AS_PROCESS_1 = ("unshare", "--pid", "--fork", "--mount-proc")


def test_sigterm_during_a_slow_import_ends_process_1(make_pod: PodMaker, broker: RedisServer, tmp_path: Path) -> None:
    if subprocess.run([*AS_PROCESS_1, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no right to make a process namespace")
    (tmp_path / "slow.py").write_text(SLOW_APPLICATION)
    pod = make_pod(broker=broker.url(), app="slow", applications=tmp_path, prefix=AS_PROCESS_1).start()
    wait_until((tmp_path / "importing").exists, timeout=60.0, what="the import is under way")
    (process_1,) = Path(f"/proc/{pod.pid}/task/{pod.pid}/children").read_text().split()
    subprocess.run(["kill", "-TERM", process_1], check=True)
    # The import alone would take half a minute, and the worker would then go on.
    assert pod.ended(timeout=20.0) == 128 + signal.SIGTERM


def test_sigterm_between_claim_and_publish_leaves_the_note(make_pod: PodMaker, empty_broker: RedisServer) -> None:
    def swallow_tasks(data: bytes) -> Fate:
        return Fate.SWALLOWED if b"shop.record" in data else Fate.PASS

    with Proxy(empty_broker.port, swallow_tasks) as proxy:
        lossy = empty_broker.url().replace(str(empty_broker.port), str(proxy.port))
        settings = {**beat_settings(every(1.0)), "config": {"beat_schedule": {}}}
        pod = make_pod(broker=lossy, component="beat", settings=settings).start()
        wait_until(lambda: Fate.SWALLOWED in proxy.fates, timeout=60.0, what="a tick under way")
        pod.signal(signal.SIGTERM)
        pod.ended(timeout=25.0)
    note = json.loads((pod.folder / "schedule.claim").read_text())
    assert note["entry"] == "ours"
    assert "CRITICAL" not in pod.output(), "beat went on with a closed schedule"
