"""The same work, asked for many times, is done once: with duplicates at once, failures and crashes in the middle.

``charge:<payment>`` effects in the ledger are what really happened to the outside world.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import uuid
from pathlib import Path

import httpx

from tests.integration.servers import RedisServer, wait_until
from tests.integration.worker_image.application import Application
from tests.integration.worker_image.conftest import MakeApplication

SCENARIOS = Path(__file__).parent / "idempotency_scenarios.py"


def _new_payment() -> str:
    return f"payment-{uuid.uuid4().hex[:12]}"


async def test_fifty_concurrent_duplicates_charge_once_and_all_get_the_receipt(application: Application) -> None:
    payment = _new_payment()
    # Longer than the lease of 5 s: only renewal keeps the duplicates out until the end.
    body = {"kwargs": {"payment_id": payment, "amount_cents": 4990, "latency_seconds": 6.0}}
    async with httpx.AsyncClient(base_url=application.http.base_url, timeout=60) as client:
        answers = await asyncio.gather(*(client.post("/tasks/process_payment", json=body) for _ in range(50)))
    task_ids = [answer.json()["task_id"] for answer in answers]
    assert len(set(task_ids)) == 50
    receipts = [application.result(task_id) for task_id in task_ids]
    assert receipts == [receipts[0]] * 50
    assert receipts[0]["status"] == "charged"
    assert application.effect_count(f"charge:{payment}") == 1


def test_duplicate_shows_retry_while_the_first_runs_and_blocks_no_slot(redis_application: Application) -> None:
    payment = _new_payment()
    first = redis_application.submit("process_payment", payment_id=payment, amount_cents=1, latency_seconds=8)
    redis_application.started(first)
    duplicates = [redis_application.submit("process_payment", payment_id=payment, amount_cents=1) for _ in range(8)]
    wait_until(
        lambda: all(redis_application.status(each)["state"] == "RETRY" for each in duplicates),
        timeout=30,
        what="duplicates put back",
    )
    # Eight duplicates on four slots, one of them taken: a quick task still runs before the first ends.
    assert redis_application.result(redis_application.submit("add", x=1, y=1)) == 2
    assert not redis_application.status(first)["ready"]
    assert all(redis_application.result(each) == redis_application.result(first) for each in duplicates)


def test_failed_attempt_releases_the_claim_and_a_duplicate_does_the_work(application: Application) -> None:
    payment = _new_payment()
    failing = application.submit(
        "process_payment", payment_id=payment, amount_cents=700, failures_before_success=1, latency_seconds=0
    )
    wait_until(lambda: application.status(failing)["state"] in {"RETRY", "SUCCESS"}, timeout=60, what="first attempt")
    duplicate = application.submit("process_payment", payment_id=payment, amount_cents=700, latency_seconds=0)
    assert application.result(duplicate) == application.result(failing)
    assert application.effect_count(f"charge:{payment}") == 1


def test_worker_killed_in_the_middle_hands_the_work_to_the_redelivery(application: Application) -> None:
    payment = _new_payment()
    task_id = application.submit("process_payment", payment_id=payment, amount_cents=900, latency_seconds=3)
    os.kill(int(application.started(task_id)["pid"]), signal.SIGKILL)
    duplicate = application.submit("process_payment", payment_id=payment, amount_cents=900, latency_seconds=0)
    # The claim of the dead process ends with its lease (5 s), then one of the two does the work.
    assert application.result(task_id) == application.result(duplicate)
    assert application.effect_count(f"charge:{payment}") == 1
    assert task_id in application.ledger_report()["interrupted"]


def test_receipt_outlives_the_work_for_its_whole_ttl(redis_application: Application) -> None:
    payment = _new_payment()
    redis_application.result(redis_application.submit("process_payment", payment_id=payment, amount_cents=1))
    with redis_application.results_store() as store:
        key = f"idem:celery_tasks.process_payment:{payment}"
        assert json.loads(str(store.get(key)))["state"] == "done"
        kept = store.pttl(key)
        assert 24 * 3600 * 1000 - 60_000 < kept <= 24 * 3600 * 1000


def test_same_payment_with_another_amount_is_not_charged_again(redis_application: Application) -> None:
    payment = _new_payment()
    first = redis_application.result(redis_application.submit("process_payment", payment_id=payment, amount_cents=100))
    second = redis_application.result(redis_application.submit("process_payment", payment_id=payment, amount_cents=999))
    assert second == first
    assert redis_application.effect_count(f"charge:{payment}") == 1


def test_store_that_is_away_delays_the_task_and_never_runs_it_unguarded(
    make_application: MakeApplication, tmp_path: Path
) -> None:
    store = RedisServer(folder=tmp_path / "store", name="idempotency")
    application = make_application(IDEMPOTENCY_URL=store.url())
    application.worker(pool="solo", concurrency=1)
    task_id = application.submit("process_payment", payment_id="store-away", amount_cents=1, latency_seconds=0)
    wait_until(lambda: application.status(task_id)["state"] == "RETRY", timeout=60, what="put back")
    assert application.effect_count("charge:store-away") == 0
    with store:
        assert application.result(task_id)["status"] == "charged"
    assert application.effect_count("charge:store-away") == 1


def test_work_that_is_done_stands_when_the_store_can_write_no_more(
    make_application: MakeApplication, tmp_path: Path
) -> None:
    with RedisServer(folder=tmp_path / "store", name="idempotency") as store, store.client() as client:
        application = make_application(IDEMPOTENCY_URL=store.url())
        application.worker(pool="solo", concurrency=1)
        task_id = application.submit("process_payment", payment_id="store-full", amount_cents=1, latency_seconds=2)
        wait_until(lambda: client.dbsize() == 1, timeout=60, what="the claim")
        client.config_set("maxmemory", 1)
        assert application.result(task_id)["status"] == "charged"
    assert application.effect_count("charge:store-full") == 1


def test_decorator_keeps_its_promises_one_by_one(make_application: MakeApplication) -> None:
    application = make_application(IDEMPOTENCY_LEASE_SECONDS="30")
    ran = application.run(str(SCENARIOS))
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {
        "positional and named arguments are the same work": {"results": [1, 1], "ran": 1},
        "other arguments are other work": {"results": [1, 2], "ran": 2},
        "a failure is raised, cached never, and free again at once": {"raised": 2, "claims left": 0},
        "after the ttl the work is new": {"results": [1, 2], "ran": 2},
        "a claim that runs elsewhere refuses a direct call": "DuplicateRunningError",
        "a successor's record is not overwritten by one that lost its lease": {"mine": "late", "kept": "successor"},
        "the claim expires with its worker, not with the ttl": True,
    }
