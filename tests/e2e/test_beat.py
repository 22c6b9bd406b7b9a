"""Beat: ticks fire, come back after the pod is lost, and are dispatched once; there are never two beat pods."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import httpx

from celery_operator.kube.objects import POD, Manifest
from tests.e2e import manifests
from tests.e2e.space import PATIENCE_SECONDS, READY_SECONDS, Space, identities
from tests.e2e.until import until

TASK = "celery_tasks.add"
ENTRY = {"name": "every-second", "task": TASK, "args": [1, 2], "every": "1s", "queue": "scheduled"}
BEAT_PODS = "celery-operator.dev/cluster=shop,app.kubernetes.io/component=beat"
RUN_COUNT = """
import glob, shelve, shutil, celery
for path in glob.glob("/var/lib/celery-beat/schedule*"):  # which files there are depends on Python's dbm
    shutil.copy(path, path.replace("/var/lib/celery-beat", "/tmp"))  # beat holds a lock on its own
print(shelve.open("/tmp/schedule", "r")["entries"]["every-second"].total_run_count)
"""


def _executions(space: Space) -> int:
    """How often the scheduled task has run."""
    return int(space.ledger_report()["executions"].get(TASK, 0))


def _claims(space: Space) -> int:
    """How many ticks of the entry were claimed on the broker; claims outlive this test."""
    (redis,) = space.pods("shop", "redis")
    pattern = f"celery-operator:beat:{space.name}.shop:{ENTRY['name']}:*"
    command = f"redis-cli --no-auth-warning -a \"$REDIS_PASSWORD\" --scan --pattern '{pattern}'"
    return len(space.kubectl("exec", redis["metadata"]["name"], "--", "sh", "-c", command).split())


def _file_run_count(space: Space) -> int:
    """The entry's count in beat's schedule file, as beat wrote it last."""
    # What is copied while beat writes it cannot be read; the next copy can.
    done = until(
        lambda: space.kubectl.run("exec", "shop-beat-0", "--", "python", "-c", RUN_COUNT),
        lambda found: found.returncode == 0,
        within=PATIENCE_SECONDS,
    )
    return int(done.stdout)


def _wait_for_another_beat(space: Space, former: dict[str, tuple[str, int]]) -> None:
    """Wait until another pod than the former one is Ready."""

    def is_ready(pods: list[Manifest]) -> bool:
        statuses = [one for pod in pods for one in pod["status"].get("containerStatuses") or []]
        return bool(statuses) and identities(pods) != former and all(one["ready"] for one in statuses)

    until(lambda: space.pods("shop", "beat"), is_ready, within=READY_SECONDS)


@contextlib.contextmanager
def _most_beat_pods_at_once(space: Space) -> Iterator[list[int]]:
    """A list whose last number is the most beat pods that existed at once, watched from now on."""
    most = [0]
    alive: set[str] = set()

    with space.api.watch(POD, space.name, BEAT_PODS) as events:

        def follow() -> None:
            with contextlib.suppress(httpx.HTTPError):  # the stream is closed at the end
                for event in events:
                    uid = event["object"]["metadata"]["uid"]
                    (alive.discard if event["type"] == "DELETED" else alive.add)(uid)
                    most.append(max(most[-1], len(alive)))

        follower = threading.Thread(target=follow, daemon=True)
        follower.start()
        until(lambda: most[-1], within=PATIENCE_SECONDS)
        yield most


def test_ticks_fire_once_and_the_schedule_survives_the_loss_of_its_pod(space: Space) -> None:
    space.apply(*manifests.ledger())
    space.wait_available("ledger")  # before the first tick: each of them is in it
    space.apply(
        manifests.cluster(
            env=[manifests.LEDGER_ENV],
            beat={"storage": {}, "schedule": [ENTRY]},
            workers=[manifests.worker(concurrency=1)],
        )
    )
    space.wait_ready("shop")
    space.start_producer("shop", with_ledger=True).close()
    until(lambda: _executions(space), lambda count: count >= 3, within=PATIENCE_SECONDS)

    with _most_beat_pods_at_once(space) as most:
        first = identities(space.pods("shop", "beat"))
        run = _executions(space)
        space.delete(POD, "shop-beat-0")
        _wait_for_another_beat(space, first)
        assert _file_run_count(space) >= run  # a schedule begun anew would count from zero

        second = identities(space.pods("shop", "beat"))
        space.edit("shop", config={"result_expires": 999})
        _wait_for_another_beat(space, second)
        space.wait_ready("shop")
        assert most[-1] == 1, f"{most[-1]} beat pods existed at once"

    so_far = _executions(space)
    until(lambda: _executions(space), lambda count: count >= so_far + 3, within=PATIENCE_SECONDS)
    space.edit("shop", beat=None)
    until(lambda: space.objects(POD, BEAT_PODS), lambda pods: not pods, within=PATIENCE_SECONDS)
    report = until(space.ledger_report, lambda found: not found["open"] and not found["lost"], within=PATIENCE_SECONDS)
    assert report["ranTwice"] == []
    # A tick that was dispatched twice would be two tasks for one claim; a claim without a task is a missed tick.
    assert so_far + 3 <= report["executions"][TASK] <= _claims(space)
