"""What eventlet's select makes of a closed socket, in a process of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.integration.runtime.pods import REQUIREMENTS
from tests.integration.venvs import celery_venv

OPERATOR = Path(__file__).parents[3] / "operator"

CLOSE_ONE_OF_TWO = """
import eventlet

eventlet.monkey_patch()

import os
import socket

from celery_operator.runtime import kombu_repairs
from kombu.utils.eventio import READ, poll

kombu_repairs.install()
for closed, open_ in ((0, 1), (1, 0)):
    pairs = [socket.socketpair() for _ in range(2)]
    poller = poll()
    descriptors = [poller.register(near, READ) for near, _ in pairs]
    os.close(pairs[closed][0].detach())
    pairs[open_][1].send(b"a message")
    assert poller.poll(5.0) == [(descriptors[open_], READ)], "the open socket is not listened to"
"""


def test_a_worker_goes_on_listening_when_one_of_its_sockets_was_closed() -> None:
    """Without the repair: RuntimeError, second simultaneous read."""
    python = celery_venv(REQUIREMENTS / "celery-5.7.txt") / "bin" / "python"
    command = [str(python), "-c", CLOSE_ONE_OF_TWO]
    outcome = subprocess.run(
        command, env={"PYTHONPATH": str(OPERATOR)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert outcome.returncode == 0, outcome.stderr
