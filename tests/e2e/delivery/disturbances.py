"""What happens to the workers while they work: one function a row, each returns when its disturbance is over."""

from __future__ import annotations

import contextlib
import datetime
import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from celery_operator.kube.objects import POD, Manifest
from tests.cluster import tool
from tests.e2e.delivery.bench import Bench
from tests.e2e.delivery.brokers import FIRST, NEXT
from tests.e2e.delivery.load import Load
from tests.e2e.delivery.workers import OperatedWorkers, PlainWorkers
from tests.e2e.until import until

Disturbance = Callable[[Bench, Load], None]

BUSY_SECONDS: Final = 120.0
_END_SECONDS: Final = 300.0
_MET_SECONDS: Final = 180.0
_KILLED_TOO: Final = 128 + signal.SIGKILL


def wait_busy(bench: Bench, executions: int) -> None:
    """Wait until that many executions have begun."""
    until(bench.started, lambda found: len(found) >= executions, within=BUSY_SECONDS, every=0.3)


def rolling_update(bench: Bench, load: Load) -> None:
    """A new image for every pod, while tasks come in."""
    sending = bench.send(load)
    wait_busy(bench, bench.workers.fleet.replicas)
    bench.workers.update(bench.next_image)
    bench.workers.wait_rolled()
    bench.sent(sending)


def scale_in(bench: Bench, load: Load) -> None:
    """From all pods to two, while every slot is busy."""
    fleet = bench.workers.fleet
    bench.send_all(load)
    wait_busy(bench, fleet.replicas * fleet.concurrency)
    bench.workers.scale(2)
    bench.workers.wait_rolled()


def drain_node(bench: Bench, load: Load) -> None:
    """`kubectl drain` of a node with a part of the pods; afterwards the node is taken back."""
    sending = bench.send(load)
    infrastructure = _node_of(bench.space.get(POD, f"{bench.broker.name}-0"))
    nodes = {_node_of(pod) for pod in bench.workers.pods()} - {infrastructure}
    assert nodes, "every worker is on the broker's node"
    wait_busy(bench, bench.workers.fleet.replicas)
    (victim, *_) = sorted(nodes)
    words = ["drain", victim, "--ignore-daemonsets", "--delete-emptydir-data", "--force"]
    try:
        with _kubectl(bench, *words, f"--timeout={_END_SECONDS:g}s") as drain:
            assert drain.wait(_END_SECONDS + 30) == 0, drain.communicate()[1]
        bench.sent(sending)
    finally:
        bench.space.kubectl("uncordon", victim)


def delete_busy_pod(bench: Bench, load: Load) -> None:
    """Delete a pod whose tasks take longer than it has time."""
    bench.send_all(load)
    victim = _busiest(bench)
    bench.space.delete(POD, victim["metadata"]["name"])
    bench.cut_at = _wait_gone(bench, victim)


def kill_main(bench: Bench, load: Load) -> None:
    """SIGKILL to a worker's main process."""
    _kill(bench, load, child=False)


def kill_child(bench: Bench, load: Load) -> None:
    """SIGKILL to one of a worker's pool processes, as the kernel does when memory is short."""
    _kill(bench, load, child=True)


def restart_broker(bench: Bench, load: Load) -> None:
    """The broker's pod is replaced."""
    bench.send_all(load)
    wait_busy(bench, bench.workers.fleet.replicas)
    bench.remember_pods()
    bench.broker.restart()
    bench.cut_at = time.time()


def broker_away(seconds: float) -> Disturbance:
    """The broker is away for that long."""

    def disturb(bench: Bench, load: Load) -> None:
        bench.send_all(load)
        wait_busy(bench, bench.workers.fleet.replicas)
        bench.remember_pods()
        bench.broker.scale(0)
        time.sleep(seconds)  # the length of the outage is the row
        bench.broker.scale(1)
        bench.cut_at = time.time()

    return disturb


def revoke_and_roll(bench: Bench, load: Load) -> None:
    """Every second ETA task is revoked, then every pod is replaced before any of them is due."""
    sent_at = time.time()
    bench.send_all(load)
    waiting = sorted(task_id for task_id, kind in bench.accepted.items() if kind == "eta")
    assert waiting, "the load has no ETA task"
    bench.revoked = tuple(waiting[::2])
    call = f"from celery_tasks.app import app; app.control.revoke({list(bench.revoked)!r})"
    bench.space.kubectl("exec", "deployment/producer", "--", "python", "-c", call)
    bench.workers.update(bench.next_image)
    bench.workers.wait_rolled()
    bench.notes["rolledBeforeDue"] = time.time() < sent_at + load.eta_seconds[0]


def roll_to_new_task(bench: Bench, load: Load) -> None:
    """A rollout to an image whose tasks chain a task that the old image has never heard of."""
    sending = bench.send(load)
    wait_busy(bench, 1)
    bench.workers.update(bench.next_image)
    if isinstance(bench.workers, OperatedWorkers):
        bench.notes["unknownTasksRequeued"] = _met_side_by_side(bench, bench.workers)
    bench.workers.wait_rolled()
    sending.stop()  # the load lasts for as long as old and new pods work side by side
    bench.sent(sending)


def _met_side_by_side(bench: Bench, workers: OperatedWorkers) -> int:
    """Hold the rollout until old pods have met a task that they do not know; how many they put back by then."""
    name = f"deployment/{workers.deployment}"
    workers.wait_side_by_side()
    bench.space.kubectl("rollout", "pause", name)

    def requeued() -> int:
        return sum(one.get("unknownTasksRequeued") or 0 for one in workers.statuses())

    met = until(requeued, within=_MET_SECONDS)
    bench.space.kubectl("rollout", "resume", name)
    return met


def inspecting_producer(visibility_timeout: int) -> Disturbance:
    """A producer that inspects the workers, with a visibility timeout of its own, while the tasks run."""

    def disturb(bench: Bench, load: Load) -> None:
        bench.send_all(load)
        wait_busy(bench, bench.workers.fleet.replicas)
        code = _INSPECT.format(timeout=visibility_timeout, seconds=load.longest_seconds * 0.8)
        bench.space.kubectl("exec", "deployment/producer", "--", "python", "-c", code)
        workers = bench.workers
        if isinstance(workers, OperatedWorkers):
            # All of them: a pod whose answer did not come would count nothing.
            pods = len(workers.pods())
            statuses = until(workers.statuses, lambda found: len(found) == pods, within=_MET_SECONDS)
            bench.notes["redeliveredWhileRunning"] = sum(one.get("redeliveredWhileRunning") or 0 for one in statuses)
            warned = [said for one in statuses for said in one["warnings"]]
            bench.notes["redeliveryInWarnings"] = any("was delivered again while" in said for said in warned)
            if bench.notes["redeliveredWhileRunning"]:
                # The operator hears of it with the worker's next report, and its linter tells everyone.
                until(lambda: "redelivered-while-running" in workers.warnings(), within=_MET_SECONDS, every=0.5)

    return disturb


def rotate_credentials(bench: Bench, load: Load) -> None:
    """The Secret gets a second account's URL; when every pod is a new one the first account is removed.

    The operator sees the change by itself; for the plain Deployment somebody runs `kubectl rollout restart`.
    """
    sending = bench.send(load)
    wait_busy(bench, bench.workers.fleet.replicas)
    old = {pod["metadata"]["name"] for pod in bench.workers.pods()}
    changed = time.time()
    bench.space.apply(bench.broker.secret(NEXT))
    if isinstance(bench.workers, PlainWorkers):
        bench.workers.restart()
    until(
        lambda: {pod["metadata"]["name"] for pod in bench.workers.pods()} - old,
        within=_MET_SECONDS,
        every=0.5,
    )
    bench.notes["rollStartedAfterSeconds"] = round(time.time() - changed, 1)
    bench.workers.wait_rolled()
    bench.broker.remove_user(FIRST)
    sending.stop()
    bench.sent(sending)


_INSPECT: Final = """
import time
from celery_tasks.app import app
app.conf.broker_transport_options = {{**app.conf.broker_transport_options, "visibility_timeout": {timeout}}}
end = time.monotonic() + {seconds}
while time.monotonic() < end:
    app.control.inspect(timeout=0.5).active()  # kombu looks for old messages at every tenth wait without an answer
"""

_FIND_AND_KILL: Final = """
import json, os, signal, sys
def cmdline(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read()
def parent(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])
mine = {os.getpid(), os.getppid()}
found = {}
for name in filter(str.isdigit, os.listdir("/proc")):
    try:
        if b"worker" in cmdline(name) and b"python" in cmdline(name) and int(name) not in mine:
            found[int(name)] = parent(name)
    except OSError:
        pass
main = next(pid for pid, above in found.items() if above not in found)
victim = next(pid for pid, above in found.items() if above == main) if sys.argv[1] == "child" else main
print(json.dumps({"killed": victim}), flush=True)
os.kill(victim, signal.SIGKILL)
"""


def _kill(bench: Bench, load: Load, *, child: bool) -> None:
    bench.send_all(load)
    victim = _busiest(bench)
    which = "child" if child else "main"
    name = victim["metadata"]["name"]
    done = bench.space.kubectl.run("exec", name, "--", "python", "-c", _FIND_AND_KILL, which)
    bench.cut_at = time.time()
    # A container ends with its main process, and takes with it whoever killed that, before it has ended by itself.
    assert done.returncode in (0, _KILLED_TOO), done.stderr
    assert "killed" in json.loads(done.stdout), done.stderr


def _busiest(bench: Bench) -> Manifest:
    """A pod whose every slot runs a task, so that whichever of its processes is killed cuts one.

    There is one: the load has a long task for each slot of both pods, so one of them gets as many as it has slots.
    Not the other one's are waited for: a worker that takes messages in advance keeps them from those.
    """
    slots = bench.workers.fleet.concurrency

    def running() -> Counter[str]:
        alive = {pod["metadata"]["name"] for pod in bench.workers.pods()}
        return Counter(start.host for start in bench.running() if start.host in alive)

    found = until(running, lambda now: max(now.values(), default=0) >= slots, within=BUSY_SECONDS, every=0.3)
    ((name, bench.notes["running"]),) = found.most_common(1)
    return bench.space.get(POD, name)


def _wait_gone(bench: Bench, pod: Manifest) -> float:
    """Wait until a pod is gone; when its container ended, as exactly as is known."""
    name, uid, ended = pod["metadata"]["name"], pod["metadata"]["uid"], None
    while True:
        found = bench.space.api.get(bench.space.ref(POD, name))
        if found is None or found["metadata"]["uid"] != uid:
            return ended or time.time()
        for container in found["status"].get("containerStatuses") or []:
            if finished := (container.get("state", {}).get("terminated") or {}).get("finishedAt"):
                ended = datetime.datetime.fromisoformat(finished).timestamp()
        assert time.time() - bench.begun < _END_SECONDS, f"pod {name} does not end"
        time.sleep(0.2)


def _node_of(pod: Manifest) -> str:
    return str(pod["spec"].get("nodeName"))


@contextlib.contextmanager
def _kubectl(bench: Bench, *words: str) -> Iterator[subprocess.Popen[str]]:
    command = [str(tool("kubectl")), f"--kubeconfig={bench.space.kubeconfig}", *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()
