"""A mistake in any hook of the runtime's costs the user nothing but that hook."""

from __future__ import annotations

import ast
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.draining import drain, undrain
from tests.integration.runtime.pods import RUNTIME, Pod, send, wait_for_entries
from tests.integration.servers import RedisServer, wait_until

FOR_BEAT = ("beat_", "claim", "amqp_claims", "redis_claims", "ticks")


def hooks() -> list[str]:
    """``module.qualified name`` of every function of the worker's runtime that is decorated as harmless."""
    found: list[str] = []
    for source in sorted(RUNTIME.glob("*.py")):
        if not source.stem.startswith(FOR_BEAT):
            _walk(ast.parse(source.read_text()), source.stem, found)
    return found


def _walk(node: ast.AST, name: str, found: list[str]) -> None:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef):
            if any(ast.unparse(decorator) in ("harmless", "guard.harmless") for decorator in child.decorator_list):
                found.append(f"{name}.{child.name}")
            _walk(child, f"{name}.{child.name}.<locals>", found)
        elif isinstance(child, ast.ClassDef):
            _walk(child, f"{name}.{child.name}", found)
        else:
            _walk(child, name, found)


OF_A_DRAIN = "drain."
"""Hooks that nothing reaches unless the operator drains the worker."""

TAKE_SECONDS = ("worker_steps._ticker", "unknown_tasks.Held.put_back")
"""Hooks that a worker reaches only after a while."""

NEED_MORE = (
    "child_settings.install.<locals>.child_begins",
    "drain._Return._put_back",
    "kombu_repairs._poll_on.<locals>.forget",
    "lone_failures._as_any_other",
    "main_thread.MainThread.run.<locals>.guarded",
    "process_tree.protect_children.<locals>.leave",
    "shutdown.Shutdown._put_back_unstarted",
    "shutdown.Shutdown._cut",
    "shutdown.Shutdown._last",
    "shutdown.Shutdown._say_lost",
    "shutdown.Shutdown._say_not_back",
    "task_requests._send",
)
"""Hooks that only RabbitMQ, a deadline, a child of a lost parent, a lost connection, a failing task, or a message in
the moment of a drain reaches; the tests of confirms, of shutdown, of outages, of delivery and of drains do."""

OF_OLDER_CELERY = ("kombu_repairs._poll_on", "prompt_answers._answer")
"""Hooks that Celery and kombu need before 5.7."""

WITHOUT_EVENT_LOOP = (
    "lone_failures._fail_at_an_exit",
    "prompt_answers._answer",
    "worker_steps._ticker.<locals>.stamp_when_asked",
)


AT_THE_START = (
    "child_settings.install",
    "commandline.variables_that_are_read",
    "configuration.effective",
    "delivery.install",
    "handed_over.install",
    "kombu_repairs.install",
    "process_tree.warnings",
    "worker_steps._connect_signals",
    "worker_steps._keep_messages",
    "worker_steps._watch_consumer",
    "worker_steps._watch_pool",
    "worker_steps._watch_redeliveries",
)
"""What runs in each worker before Celery does: an error there would end it."""


def live(pod: Pod, broker: RedisServer, ledger: Redis, *, awaited: str | None = None, drained: bool = False) -> None:
    """Start, work, meet an unknown task, stop; ``awaited`` is a hook that must have failed before the stop.

    ``drained``: for a while before.
    """
    pod.start()
    wait_until(lambda: "ready." in pod.output(), timeout=60.0, what="the worker consumes")
    send(broker.url(), "nobody.knows", "x")
    send(broker.url(), "shop.record", "worked")
    wait_for_entries(ledger, "worked", 1, timeout=60.0)
    wait_until(lambda: "nobody.knows" in pod.output(), timeout=30.0, what="the unknown task is met")
    if drained:
        live_through_a_drain(pod, broker, ledger)
    if awaited is not None:
        wait_until(lambda: awaited in failures(pod), timeout=30.0, what=awaited)
    pod.signal(signal.SIGTERM)
    assert pod.ended() == 0
    assert ledger.llen("worked") == 1


def live_through_a_drain(pod: Pod, broker: RedisServer, ledger: Redis) -> None:
    """Drained or not, tasks that come meanwhile, or whose time comes, run in the end, and once."""
    due = datetime.now(UTC) + timedelta(seconds=2)
    send(broker.url(), "shop.record", "due", eta=due.isoformat())
    with broker.client() as client:
        wait_until(lambda: records(client) == 0, timeout=30.0, what="it is held")
        assert drain(pod)["draining"] is True
        send(broker.url(), "shop.record", "meanwhile")

        def was_due() -> bool:
            # It ran, or is back in the queue, where the other one may be.
            return ledger.llen("due") == 1 or records(client) + ledger.llen("meanwhile") == 2

        wait_until(was_due, timeout=30.0, what="it was due")
    undrain(pod)
    wait_for_entries(ledger, "meanwhile", 1)
    wait_for_entries(ledger, "due", 1)
    assert (ledger.llen("meanwhile"), ledger.llen("due")) == (1, 1)


def records(client: Redis) -> int:
    """Messages of shop.record in the queue."""
    return sum("shop.record" in str(message) for message in client.lrange("celery", 0, -1))


def failures(pod: Pod) -> list[str]:
    """Hooks whose failure the main process has logged, in its order."""
    mark = "the runtime's hook "
    lines = [line for line in pod.output().splitlines() if mark in line and "ForkPoolWorker" not in line]
    return [line.partition(mark)[2].split()[0] for line in lines]


def test_a_worker_whose_hooks_all_fail_works(make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis) -> None:
    pod = make_pod(broker=empty_broker.url(), app="sabotaged", env={"SABOTAGE": "all"})
    live(pod, empty_broker, ledger)
    told = failures(pod)
    assert len(told) >= 8
    assert len(told) == len(set(told)), "a failure is told once"
    assert set(told) <= set(hooks())
    assert set(AT_THE_START) <= set(told)
    assert "injected into" in pod.output()


@pytest.mark.parametrize("hook", ["worker_steps._connect_signals.<locals>.ready", "worker_steps._watch_pool"])
def test_a_worker_whose_recording_fails_is_alive_and_ready(
    hook: str, make_pod: PodMaker, empty_broker: RedisServer
) -> None:
    """What cannot be recorded must neither restart the pod nor hold a rollout up."""
    pod = make_pod(broker=empty_broker.url(), app="sabotaged", env={"SABOTAGE": hook}).start()
    pod.wait_for("/readyz")
    assert pod.get("/livez").status_code == 200
    assert pod.get("/startupz").status_code == 200
    assert f"runtime hook failed: {hook} (RuntimeError)" in pod.status()["warnings"]


@pytest.mark.verify
@pytest.mark.parametrize("hook", hooks())
def test_a_worker_with_one_failing_hook_works(
    hook: str, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    settings = {"pool": "gevent" if hook in WITHOUT_EVENT_LOOP else "prefork"}
    celery = "celery-5.6" if hook.startswith(OF_OLDER_CELERY) else "celery-5.7"
    pod = make_pod(celery=celery, broker=empty_broker.url(), app="sabotaged", env={"SABOTAGE": hook}, settings=settings)
    awaited = hook if hook.startswith(TAKE_SECONDS) else None
    live(pod, empty_broker, ledger, awaited=awaited, drained=hook.startswith(OF_A_DRAIN))
    reached = failures(pod)
    assert reached == [hook] or (hook in NEED_MORE and not reached)


def test_every_hook_is_found() -> None:
    """The list is not empty by a change of spelling: what is decorated is counted in the text too."""
    decorated = sum(
        line.strip() in ("@harmless", "@guard.harmless")
        for source in Path(RUNTIME).glob("*.py")
        if not source.stem.startswith(FOR_BEAT)
        for line in source.read_text().splitlines()
    )
    assert len(hooks()) == decorated > 10
