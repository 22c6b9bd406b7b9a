"""Payments: neither lost nor charged twice, so acknowledged late, idempotent, and retried with back-off."""

from __future__ import annotations

import logging
import random
import time
from datetime import timedelta
from typing import Final, TypedDict

from celery import Task

from celery_tasks.app import app
from celery_tasks.idempotency import idempotent_task
from celery_tasks.ledger.recorder import record_effect

_logger = logging.getLogger(__name__)

_BACKOFF_SECONDS: Final = 1.0
_LONGEST_BACKOFF_SECONDS: Final = 60.0


class PaymentGatewayError(RuntimeError):
    """The gateway refused for now; the same request may succeed later."""


class Receipt(TypedDict):
    """What a charged payment answers; duplicates get the first charge's receipt."""

    payment_id: str
    amount_cents: int
    currency: str
    status: str
    attempts: int


def retry_delay(retries: int) -> float:
    """Seconds before the next attempt: 1, 2, 4 … at most 60, of which a random half (equal jitter).

    Jitter keeps a thousand payments that failed together from returning together; the fixed half keeps a
    gateway in trouble from being asked again at once.
    """
    ceiling = min(_BACKOFF_SECONDS * 2.0**retries, _LONGEST_BACKOFF_SECONDS)
    return ceiling / 2 + random.uniform(0, ceiling / 2)


def _work_key(payment_id: str, *_: object, **__: object) -> str:
    # The payment, not its arguments: a second request for it with another amount must not charge it again.
    return payment_id


@app.task(bind=True, name="celery_tasks.process_payment", acks_late=True, reject_on_worker_lost=True, max_retries=5)
@idempotent_task(ttl=timedelta(hours=24), key=_work_key)
def process_payment(
    self: Task,
    payment_id: str,
    amount_cents: int,
    currency: str = "EUR",
    failures_before_success: int = 0,
    latency_seconds: float = 0.1,
) -> Receipt:
    """Charge a payment once.

    The simulated gateway takes ``latency_seconds`` and refuses the first ``failures_before_success`` attempts;
    with more than 5 of them the payment fails for good.
    """
    attempt = self.request.retries + 1
    time.sleep(latency_seconds)
    if attempt <= failures_before_success:
        error = PaymentGatewayError(f"gateway refused attempt {attempt} of payment {payment_id}")
        raise self.retry(exc=error, countdown=retry_delay(self.request.retries))
    record_effect(self, f"charge:{payment_id}")
    _logger.info("payment charged", extra={"paymentId": payment_id, "amountCents": amount_cents})
    return {
        "payment_id": payment_id,
        "amount_cents": amount_cents,
        "currency": currency,
        "status": "charged",
        "attempts": attempt,
    }
