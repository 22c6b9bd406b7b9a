"""Results: how long they are kept, and what the producer says of them."""

from __future__ import annotations

from tests.integration.servers import wait_until
from tests.integration.worker_image.application import Application
from tests.integration.worker_image.conftest import MakeApplication


def test_result_is_kept_for_an_hour(redis_application: Application) -> None:
    task_id = redis_application.submit("add", x=1, y=1)
    redis_application.result(task_id)
    with redis_application.results_store() as store:
        kept = store.ttl(f"celery-task-meta-{task_id}")
        assert 3500 < kept <= 3600


def test_expired_result_is_gone_and_reads_as_pending(make_application: MakeApplication) -> None:
    application = make_application(RESULT_EXPIRES_SECONDS="6")
    application.worker(pool="solo", concurrency=1)
    task_id = application.submit("add", x=20, y=1)
    assert application.result(task_id) == 21
    wait_until(lambda: application.status(task_id)["state"] == "PENDING", timeout=60, what="result expired")
    with application.results_store() as store:
        assert list(store.scan_iter(f"*{task_id}*")) == []


def test_unknown_id_is_pending(redis_application: Application) -> None:
    status = redis_application.status("nobody-ever-used-this")
    assert (status["state"], status["ready"], status["result"]) == ("PENDING", False, None)


def test_expired_task_is_shown_as_revoked(redis_application: Application) -> None:
    task_id = redis_application.submit("add", x=1, y=1, options={"expires": 0.01, "countdown": 0.5})
    status = redis_application.finished(task_id)
    assert status["state"] == "REVOKED"
    assert "expired" in status["error"]
    # The state is stored before the event is written.
    wait_until(
        lambda: task_id in redis_application.ledger_report()["revoked"], timeout=60, what="the event", interval=0.2
    )


def test_producer_subscribes_to_nothing(redis_application: Application) -> None:
    ids = [redis_application.submit("add", x=n, y=0) for n in range(20)]
    with redis_application.results_store() as store:
        # Celery's default in a process that sends: one channel for each task, kept for ever.
        subscribed = set(store.pubsub_channels("*celery-task-meta*"))
        assert subscribed.isdisjoint(f"celery-task-meta-{task_id}" for task_id in ids)
    for task_id in ids:
        redis_application.result(task_id)
