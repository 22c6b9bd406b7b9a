"""`celery-operator run`: the operator itself, until SIGTERM. What is meant where no verb is given."""

from __future__ import annotations

import asyncio
import os
import signal

from celery_operator.kube.errors import NoCluster
from celery_operator.observe.broker.lookups import EventLoop
from celery_operator.process import Operator
from celery_operator.settings import Settings
from celery_operator.telemetry import logging as log_lines


def run() -> int | str:
    """Run the operator; what the process exits with, 0 only when it was asked to stop."""
    settings = Settings()
    log_lines.configure(settings.log_format, settings.log_level)
    if settings.kubeconfig is not None:
        os.environ["KUBECONFIG"] = str(settings.kubeconfig)
    try:
        with asyncio.Runner(loop_factory=EventLoop) as runner:
            return runner.run(_run(settings))
    except NoCluster as error:
        return f"celery-operator: {error}"


async def _run(settings: Settings) -> int:
    operator = Operator(settings)
    loop = asyncio.get_running_loop()

    def listen() -> None:
        # kopf takes these signals when it starts; we take them back, because we stop in an order of our own.
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, operator.stop)

    listen()
    return await operator.run(on_watching=listen)
