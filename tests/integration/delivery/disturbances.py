"""What happens to a fleet under load: one function a row, each returning what was lost and what ran twice."""

from __future__ import annotations

import signal
import time
from typing import Final

from tests.integration.delivery.bench import Bench
from tests.integration.delivery.outcome import Outcome
from tests.integration.runtime.pods import Pod
from tests.integration.servers import wait_until

TASKS: Final = (1.0, 5.0)
"""Seconds that a task takes."""


def rolling_update(bench: Bench, *, pods: int = 4) -> Outcome:
    """New pod ready, old pod told to end, one after the other (surge 1, unavailable 0), under steady load."""
    old = bench.fleet.start(pods)
    bench.load.send_many(pods * bench.slots * 2, between=TASKS)
    bench.ledger.wait_running(pods * bench.slots)
    with bench.load.steadily(every=_interval(bench, pods), between=TASKS, at_most=60):
        ending = []
        for pod in old:
            bench.fleet.start(1)
            ending.append(bench.fleet.delete(pod))
        ends = [future.result() for future in ending]
    return bench.finish(within=90.0, exit_codes=[end.code for end in ends])


def scale_in(bench: Bench, *, before: int = 6, after: int = 2) -> Outcome:
    """Four of six pods told to end at the same moment, each with tasks running and more waiting."""
    pods = bench.fleet.start(before)
    bench.load.send_many(before * bench.slots * 2, between=TASKS)
    bench.ledger.wait_running(before * bench.slots)
    ending = [bench.fleet.delete(pod) for pod in pods[after:]]
    ends = [future.result() for future in ending]
    return bench.finish(within=120.0, exit_codes=[end.code for end in ends])


def pod_deleted_with_short_grace(bench: Bench, *, seconds: float) -> Outcome:
    """A pod whose tasks take longer than its grace, and the pod that a ReplicaSet makes in its place."""
    victim = bench.fleet.start(2)[0]
    bench.load.send(*[seconds] * (2 * bench.slots))
    bench.ledger.wait_running(bench.slots, pod=victim.name)
    ending = bench.fleet.delete(victim)
    bench.fleet.start(1)
    end = ending.result()
    return bench.finish(within=seconds * 2 + 60.0, exit_code=end.code, ended_after=round(end.seconds, 1))


def deadline_shortened(bench: Bench, *, seconds: float, left: float) -> Outcome:
    """SIGTERM with a long grace, of which `kubectl delete --grace-period` leaves only ``left`` seconds."""
    victim = bench.fleet.start(2)[0]
    bench.load.send(*[seconds] * (2 * bench.slots))
    bench.ledger.wait_running(bench.slots, pod=victim.name)
    ending = bench.fleet.delete(victim, grace=left)
    answer = bench.fleet.tell_deadline(victim, left)
    bench.fleet.start(1)
    end = ending.result()
    return bench.finish(
        within=seconds * 2 + 60.0, answer=answer, exit_code=end.code, ended_after=round(end.seconds, 1)
    )  # fmt: skip


def main_process_killed(bench: Bench, *, seconds: float, within: float) -> Outcome:
    """SIGKILL of a worker's main process; the kubelet starts the container again."""
    victim = bench.fleet.start(2)[0]
    bench.load.send(*[seconds] * (2 * bench.slots))
    bench.ledger.wait_running(bench.slots, pod=victim.name)
    bench.fleet.kill(victim)
    bench.fleet.restart(victim)
    return bench.finish(within=within)


def pool_child_killed(bench: Bench, *, seconds: float, within: float) -> Outcome:
    """SIGKILL of one process of the pool, with the task in it."""
    victim = bench.fleet.start(2)[0]
    bench.load.send(*[seconds] * (2 * bench.slots))
    run = bench.ledger.wait_running(bench.slots, pod=victim.name)[0]
    bench.fleet.kill_child(run.pid)
    return bench.finish(within=within)


def broker_restarted(bench: Bench, *, pods: int = 2) -> Outcome:
    """The broker ends and is back at once, its data kept."""
    return broker_away(bench, seconds=0.0, pods=pods)


def broker_away(bench: Bench, *, seconds: float, pods: int = 2, within: float = 180.0) -> Outcome:
    """The broker ends and is back after ``seconds``; producers wait meanwhile, probes go on."""
    bench.fleet.start(pods)
    bench.load.send_many(pods * bench.slots * 2, between=TASKS)
    bench.ledger.wait_running(pods * bench.slots)
    with bench.load.steadily(every=_interval(bench, pods), between=TASKS, at_most=30), bench.fleet.probed() as failures:
        bench.server.stop()
        _pass(seconds)
        bench.server.start()
        back = bench.broker_back = time.time()
        _wait_for_a_start_after(bench, back)
    runs = [run.started for found in bench.ledger.runs().values() for run in found if run.started > back]
    consuming = round(min(runs) - back, 1) if runs else None
    return bench.finish(
        within=within, restarts=len(failures), probe_failures=failures, consuming_after_seconds=consuming
    )  # fmt: skip


def broker_hangs(bench: Bench, *, seconds: float, within: float = 180.0) -> Outcome:
    """The broker is connected and silent for ``seconds``."""
    bench.fleet.start(2)
    bench.load.send_many(4 * bench.slots, between=TASKS)
    bench.ledger.wait_running(2 * bench.slots)
    with bench.fleet.probed() as failures:
        bench.server.signal(signal.SIGSTOP)
        try:
            _pass(seconds)
        finally:
            bench.server.signal(signal.SIGCONT)
            bench.broker_back = time.time()
        bench.load.send_many(2 * bench.slots, between=TASKS)
    return bench.finish(within=within, restarts=len(failures), probe_failures=failures)


def new_tasks_reach_old_pods(bench: Bench) -> Outcome:
    """A rolling update to a version with a task more, whose messages old pods receive as well."""
    old = bench.fleet.start(2)
    bench.fleet.app = "orders_next"
    bench.fleet.start(1)
    bench.load.send(*[0.2] * 20, task="orders.pack")
    bench.load.send(*[0.2] * 10)
    wait_until(lambda: _requeued(old) > 0, timeout=60.0, what="an old pod met a task that it does not know")
    requeued = _requeued(old)
    ending = [bench.fleet.delete(pod) for pod in old]
    for future in ending:
        future.result()
    return bench.finish(within=60.0, requeued_by_old_pods=requeued)


def revoked_before_a_rollout(bench: Bench, *, due_in: float) -> Outcome:
    """Half of the held ETA tasks are revoked, then all pods are replaced before any is due.

    They are due in ``due_in`` seconds, or later where a machine takes long to start pods.
    """
    begun = time.monotonic()
    old = bench.fleet.start(2)
    due_in = max(due_in, 8.0 * (time.monotonic() - begun))
    kept = bench.load.send(*[0.2] * 6, in_seconds=due_in)
    expected = set(bench.load.sent)
    revoked = bench.load.send(*[0.2] * 6, in_seconds=due_in)
    due = time.time() + due_in
    bench.load.send(0.1)
    expected.add(max(bench.load.sent))
    _wait_for_held(bench, len(kept) + len(revoked))
    bench.load.revoke(revoked)
    for pod in old:
        bench.fleet.start(1)
        bench.fleet.delete(pod).result()
    replaced_in_time = time.time() < due
    # Those that were revoked would be due at the same moment as those that must run.
    outcome = bench.finish(within=due_in + 60.0, expected=expected, replaced_in_time=replaced_in_time)
    ran = set(bench.ledger.runs()) - expected
    assert not ran, f"revoked tasks ran: {sorted(ran)}"
    assert replaced_in_time
    return outcome


def _interval(bench: Bench, pods: int) -> float:
    """Seconds between two tasks that keep three quarters of the slots busy."""
    return sum(TASKS) / 2 / (pods * bench.slots * 0.75)


def _pass(seconds: float) -> None:
    """The length of an outage is what is being tried: nothing to wait for."""
    time.sleep(seconds)


def _wait_for_a_start_after(bench: Bench, moment: float) -> None:
    wait_until(
        lambda: any(run.started > moment for runs in bench.ledger.runs().values() for run in runs),
        timeout=120.0,
        what="a task started after the broker came back",
        interval=0.1,
    )


def _requeued(old: list[Pod]) -> int:
    return sum(pod.status().get("unknownTasksRequeued", 0) for pod in old)


def _wait_for_held(bench: Bench, count: int) -> None:
    wait_until(
        lambda: sum(pod.status()["eta"] or 0 for pod in bench.fleet.pods) >= count,
        timeout=60.0,
        what=f"{count} tasks held until they are due",
    )
