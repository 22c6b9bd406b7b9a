"""The operator ends when it is told to, whatever the API server does."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from tests.integration.kube.conftest import SOON, Network
from tests.integration.operator_process import OperatorProcess
from tests.integration.waiting import eventually

LEADS = "celery_operator_leader_election_master_status"
PROMISED_SECONDS = 4.5
"""Two on an idle machine; who waited for an answer about the Lease would take five at least."""


def _said_seconds(log: str) -> float:
    """What the process itself says that its end took."""
    (said,) = re.findall(r"stopped in ([0-9.]+) s", log)
    return float(said)


def _leads(process: OperatorProcess) -> bool:
    return process.metric(LEADS) == 1


async def test_a_silent_api_server_does_not_delay_the_end(
    relayed_kubeconfig: Path, network: Network, namespace: str, tmp_path: Path
) -> None:
    process = OperatorProcess(relayed_kubeconfig, namespace, tmp_path)
    await asyncio.to_thread(process.start)
    network.freeze_answers()
    await asyncio.to_thread(process.stop)
    assert _said_seconds(process.text()) < PROMISED_SECONDS


async def test_an_operator_that_lost_the_api_server_ends_by_itself(
    relayed_kubeconfig: Path, network: Network, namespace: str, tmp_path: Path
) -> None:
    """The watch gives up, or the Lease runs out, whichever is first: another one leads, and this one starts anew."""
    process = OperatorProcess(relayed_kubeconfig, namespace, tmp_path)
    await asyncio.to_thread(process.start)
    # A standby would wait for the API server to come back: there is nothing that it could lose.
    await eventually(lambda: asyncio.to_thread(_leads, process), bool, within=SOON)
    network.cut()
    assert await asyncio.to_thread(process.wait, 2 * SOON) != 0
    assert "the process ends, to be started anew" in process.text()
