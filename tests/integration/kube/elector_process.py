"""An elector as a process of its own, so that a test can kill it as a node failure would.

Usage: python -m tests.integration.kube.elector_process KUBECONFIG NAMESPACE NAME IDENTITY LEASE_SECONDS
Prints `leading` when it becomes the leader, and runs until killed.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from celery_operator.kube.client import KubeClient
from celery_operator.kube.lease import LeaseElector


async def _started() -> None:
    print("leading", flush=True)


async def _lost() -> None:
    print("lost", flush=True)


async def _main(kubeconfig: str, namespace: str, name: str, identity: str, lease_seconds: str) -> None:
    async with await KubeClient.connect(kubeconfig=Path(kubeconfig)) as client:
        duration = float(lease_seconds)
        elector = LeaseElector(
            client,
            namespace=namespace,
            name=name,
            identity=identity,
            lease_duration=duration,
            renew_deadline=duration * 2 / 3,
            retry_period=duration * 2 / 15,
            on_started=_started,
            on_lost=_lost,
        )
        await elector.run()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
