"""Mail: acknowledged early, since a message sent twice annoys more than one that is asked for again."""

from __future__ import annotations

import logging
import time
from typing import TypedDict

from celery_tasks.app import app

_logger = logging.getLogger(__name__)


class Delivery(TypedDict):
    """What the mail server answered."""

    to: str
    subject: str
    status: str


@app.task(name="celery_tasks.send_email")
def send_email(to: str, subject: str, body: str = "", latency_seconds: float = 0.1) -> Delivery:
    """Hand a message to a simulated mail server, which takes ``latency_seconds``."""
    time.sleep(latency_seconds)
    _logger.info("mail sent", extra={"to": to, "subject": subject, "characters": len(body)})
    return {"to": to, "subject": subject, "status": "sent"}
