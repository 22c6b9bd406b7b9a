"""The steps that send tasks over HTTP and look at what becomes of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.demo.kubernetes import CLUSTER, NAMESPACE, Kubernetes
from tests.demo.producer import Producer
from tests.demo.telling import check, eventually, say, show


def now() -> str:
    """The time as kubectl takes it (RFC 3339)."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def one_of_each(producer: Producer, run: str) -> None:
    """Submit every task that the producer knows, all at once, and check every result.

    `run` is a word that no other run of the demo has used.
    """
    say("Every task of the example application, submitted at once over HTTP and then waited for.")
    wanted = _expectations(run)
    examples = producer.tasks()
    submitted = {}
    for name, example in sorted(examples.items()):
        kwargs, _ = wanted.get(name, (example.get("kwargs", {}), bool))
        submitted[name] = producer.submit(name, **kwargs)
    for name, task_id in submitted.items():
        _, expected = wanted.get(name, ({}, lambda value: value is not None))
        result = producer.result(task_id)
        shown = json.dumps(result.value)
        claim = f"{name:16} -> {shown[:100]}{'...' if len(shown) > 100 else ''}"
        check(result.state == "SUCCESS" and expected(result.value), claim, seen=result)
    check(wanted.keys() <= submitted.keys(), f"all {len(submitted)} kinds of task ran", seen=sorted(submitted))


def workflows(producer: Producer) -> None:
    """A chain of three tasks, each with the result of the one before, and a chord."""
    say("A chain (fetch -> process -> save: each gets what the one before returned) and a chord (parts, then a sum).")
    chain = producer.result(producer.submit_workflow("chain", {"source": "orders", "records": 10}))
    saved = {"location": "warehouse/orders", "count": 10, "total": 55}
    check(
        chain.value == saved, f"the chain fetched 10 records, added them up and saved: {json.dumps(saved)}", seen=chain
    )
    chord = producer.result(producer.submit_workflow("chord", {"pairs": [[2, 3], [4, 5]]}))
    check(chord.value == 26, "the chord multiplied 2 x 3 and 4 x 5 in parallel and summed up: 26", seen=chord)


def duplicate(kubernetes: Kubernetes, producer: Producer, run: str) -> None:
    """Submit the same payment twice: both get the same answer, and it is charged once."""
    payment, since = f"twice-{run}", now()
    say(f"The same payment ({payment}) is submitted twice, as an impatient client would; it must be charged once.")
    ids = [producer.submit("process_payment", payment_id=payment, amount_cents=4990) for _ in range(2)]
    first, second = (producer.result(task_id) for task_id in ids)
    check(ids[0] != ids[1], "two tasks were submitted", seen=ids)
    same = first.state == second.state == "SUCCESS" and first.value == second.value
    check(same, f"both return the same receipt: {json.dumps(first.value)}", seen=(first, second))

    def charges() -> list[str]:
        lines = kubernetes.worker_log(since)
        return [
            str(line.get("taskId"))
            for line in lines
            if line.get("message") == "payment charged" and line.get("paymentId") == payment
        ]

    eventually(charges, bool, claim="a worker's log shows the charge", within=20)
    found = charges()
    check(len(found) == 1, f"the logs of all workers show exactly one charge, by task {found[0]}", seen=found)


def beat_fires(kubernetes: Kubernetes) -> None:
    """Wait for two runs of a task that nobody but beat sends."""
    say("The CeleryCluster's schedule has a mail every five seconds; nobody submits it.")
    since = now()

    def mails() -> dict[str, str]:
        lines = kubernetes.worker_log(since)
        sent = [line for line in lines if (line.get("message"), line.get("subject")) == ("mail sent", "Scheduled mail")]
        return {str(line["taskId"]): str(line["time"]) for line in sent}

    seen = eventually(
        mails, lambda found: len(found) >= 2, claim="workers ran it twice, as tasks of their own", within=45
    )
    check(True, f"they were sent at {', '.join(sorted(seen.values()))}")
    log = kubernetes.kubectl("logs", f"statefulset/{CLUSTER}-beat", "-c", "beat", f"--since-time={since}")
    due = [line for line in log.splitlines() if "mail-every-5-seconds" in line]
    show(f"kubectl -n {NAMESPACE} logs statefulset/{CLUSTER}-beat", "\n".join(due), lines=2)
    check(due, "beat's log shows that it sent them", seen=log[-1000:])


def _expectations(run: str) -> dict[str, tuple[dict[str, Any], Callable[[Any], object]]]:
    """Arguments and what the result must be, for the tasks whose answer is known beforehand."""
    return {
        "add": ({"x": 2, "y": 3}, lambda value: value == 5),
        "multiply": ({"x": 6, "y": 7}, lambda value: value == 42),
        "sum_results": ({"numbers": [1, 2, 3]}, lambda value: value == 6),
        "send_email": ({"to": "ada@example.com", "subject": "Hello"}, lambda value: value["status"] == "sent"),
        "process_payment": (
            {"payment_id": f"order-{run}", "amount_cents": 4990, "failures_before_success": 1},
            lambda value: value["status"] == "charged" and value["attempts"] == 2,
        ),
        "unstable_task": ({"failures_before_success": 2}, lambda value: value["attempts"] == 3),
        "important_task": ({"item": f"invoice-{run}"}, lambda value: value["item"] == f"invoice-{run}"),
        "long_running": ({"duration_seconds": 3, "steps": 3}, lambda value: value["seconds"] >= 3),
        "cpu_burn": ({"seconds": 0.5}, lambda value: value > 0),
        "io_bound": ({"requests": 5}, lambda value: value == 5),
        "generate_report": (
            {"report_type": "daily", "day": "2026-01-31", "rows": 100},
            lambda value: value["rows"] == 100,
        ),
        "fetch_data": ({"source": "orders", "records": 3}, lambda value: value["values"] == [1, 2, 3]),
        "heartbeat": ({}, bool),
    }
