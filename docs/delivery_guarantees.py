"""Makes docs/delivery-guarantees.md from the results of the ledger suite, on a cluster and as processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from tests.verify import result
from tests.verify.parts import PARTS

FOLDER: Final = Path(__file__).parents[1] / "tests" / "e2e" / "delivery" / "results"
ON_A_CLUSTER: Final = FOLDER / "cluster.json"
AS_PROCESSES: Final = FOLDER / "processes.json"

Result = dict[str, Any]

ORDER: Final = (
    "rolling-update",
    "rolling-update-long",
    "scale-in",
    "node-drain",
    "short-grace",
    "kill-main",
    "kill-child",
    "broker-restart",
    "broker-away",
    "revoked",
    "new-task",
    "inspecting-producer",
    "inspecting-producer-5s",
    "credentials",
)
"""The rows as people meet them: what they do themselves first."""

BROKERS: Final = {"redis": "Redis", "rabbitmq": "RabbitMQ"}
NOT_MEASURED: Final = "not measured"
NOT_KEPT: Final = "Not measured yet: no result is kept.\n"

HEADER: Final = """\
<!-- Made by `python -m docs.generate` from the results of the ledger suite. Do not edit. -->
# Delivery guarantees

What becomes of your tasks when workers are updated, scaled in, drained or killed, measured. Numbered tasks (short,
long, with an ETA, chains, chords, with priorities) go through a producer while something happens to the workers. A
ledger beside the broker records every start and every end, so that each number is counted: done, lost, or run
again.
"""

READING: Final = """\
- **lost**: the broker had accepted the task, and it was not done within the row's time: minutes after the last task had
  ended. What the broker still held then comes back when the visibility timeout is over (Redis; an hour by default).
- **second runs**: executions beyond a task's first. In brackets those of tasks that nothing had cut off, if there
  are any: there the same work was done twice.
- **plain Deployment**: the same image with `celery worker`, Celery's defaults and 30 s of grace, without probes. It
  is what most people run.
- **not measured**: no result is kept. `AtMostOnce` is tried in one row of each sort (pods replaced, fewer pods, a
  worker killed, a lost connection); a grace period shorter than `maxTaskDuration`, which would lose tasks, is refused
  with it. A plain worker's running tasks are out of reach of a producer that inspects, and are not tried with one.
"""

LIMITS: Final = """\
## What to do, and what nobody can do

- **Say how long your tasks take** (`maxTaskDuration`). The grace period follows from it, and tasks that end within
  it are neither lost nor run twice, with either `taskDelivery`.
- **`taskDelivery: AtMostOnce` (the default) loses what is cut off.** A task that still runs when its pod is killed
  is gone: SIGKILL, out of memory, a lost node, a grace period that was too short. That is Celery's own default.
  Where each task must be done, use `AtLeastOnce`.
- **`taskDelivery: AtLeastOnce` runs again what is cut off.** Make such tasks idempotent. Nothing can promise
  "exactly once": a worker may die between the work and its acknowledgement.
- **Redis does not notice that a worker died.** The tasks of a worker that got SIGKILL return after the visibility
  timeout (an hour, or what follows from `maxTaskDuration`). Celery 5.7 looks every 2 s for what is due, older
  versions every 10 s. RabbitMQ returns them at once. A worker that is told to end puts its tasks
  back itself, on both.
- **An outage of the broker repeats work with `AtLeastOnce`.** When the connection is lost, the broker gives what
  runs to somebody else; prefork workers cut their own run short for that, gevent and eventlet where the task next
  waits. No pod is restarted. On Redis a worker gives back what its lost connection held as soon as it is connected
  again.
- **RabbitMQ takes a message back after 30 minutes** (`consumer_timeout`): with `AtLeastOnce`, a longer task starts
  again without end. Raise it: see [brokers.md](brokers.md).
- **The pools threads and solo cannot cut one task**, nor can gevent before Celery 5.5: after a lost connection it
  runs on *and* runs again. At the end of the grace period the whole process ends at once, with these pools and with
  eventlet and every gevent.
- **Your application decides too.** A task with `acks_late` of its own keeps it. A Redis that loses its memory, or a
  RabbitMQ queue that is not durable, loses messages that no worker has seen.

## What producers must set

The operator configures workers, beat and the Flower of `spec.flower`. The ConfigMap of `client: {}` has all of this
for producers that load it ([producers](clients-and-flower.md#producers)). Everything else that talks to the broker
is yours:

- **Redis: the same `visibility_timeout` as the workers** in `broker_transport_options` of every client that
  publishes *and* waits for replies or inspects, your own Flower too. Such a client gives everybody's running tasks back
  after *its own* timeout: that is the row with 5 s. `redeliveredWhileRunning` of a worker's `/status` counts what a
  worker saw of it. (Measured with a client that inspects.)
- **RabbitMQ: publisher confirms** (`broker_transport_options: {confirm_publish: true}`). Without them a message
  that was written to the socket of a dying broker is gone without an error. A task that sends tasks (a chain, a chord,
  a group) is a producer, too: with `AtLeastOnce` and prefork it has them; for other pools set the same in
  `spec.broker.transportOptions`. The tables above were measured with it, since the application sets it.
- **The same queues, priorities, key prefixes and routes** as the workers.

More in [workers.md](workers.md).
"""

REPEAT: Final = """\
## Measure it yourself

`make verify` runs every row, and keeps what it measured in `tests/e2e/delivery/results` (`DELIVERY_RESULTS` names
another folder); `make verify PART=delivery-pods-redis` runs one part. `make generate` makes this page from it.
`make test` runs each row once, with less load, and keeps nothing.
"""


def page() -> str:
    """The page; where no result is kept it says so."""
    cluster, processes = _read(ON_A_CLUSTER), _read(AS_PROCESSES)
    parts = [HEADER, _on_a_cluster(cluster), LIMITS, _as_processes(processes), _runs(), REPEAT]
    return "\n".join(parts)


def _read(path: Path) -> list[Result]:
    results: list[Result] = json.loads(path.read_text(encoding="utf-8"))["results"] if path.is_file() else []
    return results


def _on_a_cluster(results: list[Result]) -> str:
    results = [one for one in results if one["size"] == "full" or not _has_full(results, one)]
    lines = ["## On a cluster", ""]
    if not results:
        return "\n".join([*lines, NOT_KEPT])
    kubernetes = _all(one["kubernetes"] for one in results)
    lines += [
        f"Kubernetes {kubernetes}, pool {_all(one['pool'] for one in results)}, {_conditions(results)}",
        "",
        READING,
    ]
    for broker, name in BROKERS.items():
        lines += [f"### {name}", "", *_table([one for one in results if one["broker"] == broker]), ""]
    return "\n".join(lines)


def _has_full(results: list[Result], small: Result) -> bool:
    names = ("row", "broker", "deployment")
    return any(one["size"] == "full" and all(one[name] == small[name] for name in names) for one in results)


def _conditions(results: list[Result]) -> str:
    """With what, on what, when, and how many rows side by side."""
    dates = sorted({str(one["date"]) for one in results})
    commits = sorted({str(one.get("commit") or "not noted") for one in results})
    side_by_side = sorted({int(one.get("side_by_side", 1)) for one in results})
    words = [
        f"Celery {_all((one['celery'] for one in results), order=_version)}",
        f"on one machine ({_all(one['machine'] for one in results)})",
        dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}",
        f"commit {' and '.join(commits)}",
    ]
    text = f"{', '.join(words)}."
    if any(commit.endswith("+") for commit in commits):
        text += " A `+`: with changes beyond that commit."
    if side_by_side != [1]:
        text += f" {' or '.join(str(one) for one in side_by_side)} rows ran side by side on it."
    if timed := [float(one["seconds"]) for one in results if one.get("seconds")]:
        text += f" {len(timed)} rows took {sum(timed) / 60:.0f} minutes in sum, the longest {max(timed) / 60:.1f}."
    return text


def _all(values: Iterable[object], *, order: Callable[[str], Any] = str) -> str:
    return ", ".join(sorted({str(value) for value in values}, key=order))


def _version(text: str) -> list[int]:
    return [int(part) for part in text.split(".")]


def _table(results: list[Result]) -> list[str]:
    lines = [
        "| while tasks run | operator, `AtLeastOnce` | operator, `AtMostOnce` | plain Deployment |",
        "|---|---|---|---|",
    ]
    for row in ORDER:
        by_kind = {one["deployment"]: one for one in results if one["row"] == row}
        if by_kind:
            cells = [_cell(by_kind.get(kind)) for kind in ("AtLeastOnce", "AtMostOnce", "plain")]
            title = next(iter(by_kind.values()))["title"]
            lines.append(f"| {title} | {' | '.join(cells)} |")
    return lines


def _cell(one: Result | None) -> str:
    if one is None:
        return NOT_MEASURED
    runs, twice = one["second_runs"], one["unexplained_second_runs"]
    words = [f"{one['lost']} of {one['sent']} lost" if one["lost"] else f"none of {one['sent']} lost"]
    if one["lost"] and one.get("left_in_broker"):
        words[0] += f" (the broker still held {one['left_in_broker']})"
    if runs:
        words.append(
            f"{runs} second run{'s' if runs > 1 else ''}" + (f" ({twice} of work already done)" if twice else "")
        )
    if one["redelivered_after_seconds"] is not None:
        words.append(_redelivery(one["redelivered_after_seconds"]))
    if one["revoked_and_run"]:
        words.append(f"**{one['revoked_and_run']} revoked tasks run**")
    if one.get("restarts") is not None:
        words.append(f"{one['restarts']} pod restarts")
    if one["size"] == "small":
        words.append("smaller load")
    return ", ".join(words)


def _redelivery(seconds: float) -> str:
    return f"running again {seconds:g} s later" if seconds > 0 else "running again before the pod was gone"


def _as_processes(results: list[Result]) -> str:
    lines = [
        "## Other pools and versions",
        "",
        "The same disturbances, with the workers as processes that are ended as the kubelet ends containers.",
        "",
    ]
    if not results:
        return "\n".join([*lines, NOT_KEPT])
    lines += [
        _conditions(results),
        "",
        "| row | broker | pool | Celery | `taskDelivery` | sent | lost | second runs | run again after |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_process_line(one) for one in sorted(results, key=_process_order)]
    return "\n".join([*lines, ""])


def _process_order(one: Result) -> tuple[object, ...]:
    """A row's first line is what most people run; its other pools and versions follow."""
    usual = one["broker"] == "redis", one["pool"] == "prefork", one["deployment"] == "AtLeastOnce"
    newest_first = [-number for number in _version(one["celery"])]
    return (one["row"], *(not is_usual for is_usual in usual), one["broker"], one["pool"], newest_first)


def _process_line(one: Result) -> str:
    runs, twice, after = one["second_runs"], one["unexplained_second_runs"], one["redelivered_after_seconds"]
    cells = [
        one["row"].replace("-", " "),
        BROKERS.get(one["broker"], one["broker"]),
        one["pool"],
        one["celery"],
        one["deployment"],
        str(one["sent"]),
        str(one["lost"]),
        f"{runs} ({twice} of work already done)" if twice else str(runs),
        "" if after is None else f"{after:.1f} s" if after > 0 else "before the pod was gone",
    ]
    return f"| {' | '.join(cells)} |"


def _runs() -> str:
    """What the suite's parts of `make verify` did as a whole: a row that failed has a line above, too."""
    lines = [
        "## The last whole runs",
        "",
        "| part of `make verify` | passed | failed | skipped | minutes | side by side | when | commit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for part in PARTS:
        if part.name.startswith("delivery-"):
            found = result.read(part.name)
            cells = [part.name, *(_run_cells(found) if found else [NOT_MEASURED, *[""] * 6])]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _run_cells(found: result.Result) -> list[str]:
    counts = [found.passed, found.failed, len(found.skipped), round(found.seconds / 60), found.workers]
    return [*(str(count) for count in counts), found.date, found.commit]
