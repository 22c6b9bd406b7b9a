"""The web endpoints, asked over a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from celery_operator.settings import Settings
from celery_operator.telemetry.loop_lag import LoopLag
from celery_operator.telemetry.metrics import Metrics
from celery_operator.telemetry.web import Verdict, WebServer, liveness


class Judge:
    """A verdict that the test can change."""

    verdict = Verdict(ok=True, text="ok")

    def __call__(self) -> Verdict:
        return self.verdict


@pytest.fixture
def health() -> Judge:
    return Judge()


@pytest.fixture
def ready() -> Judge:
    return Judge()


LOADS: dict[tuple[str, str, str], dict[str, Any]] = {
    ("team", "shop", "web"): {"want": 3, "due": 120.0},
    ("team", "shop", "blind"): {"want": 2, "due": None, "problem": "the broker refuses the connection"},
}


def load(namespace: str, cluster: str, group: str) -> dict[str, Any] | None:
    return LOADS.get((namespace, cluster, group))


def server_of(health: Judge, ready: Judge, port: int = 0) -> WebServer:
    return WebServer(host="127.0.0.1", port=port, health=health, ready=ready, registry=Metrics().registry, load=load)


@pytest.fixture
async def server(health: Judge, ready: Judge) -> AsyncIterator[WebServer]:
    web_server = server_of(health, ready)
    await web_server.start()
    yield web_server
    await web_server.stop()


async def get(server: WebServer, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{server.port}{path}") as response:
        return response.status, await response.text()


def loopbacks() -> list[str]:
    """The addresses under which this machine reaches itself; some containers have no IPv6."""
    found = []
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with contextlib.suppress(OSError), socket.socket(family) as one:
            one.bind((address, 0))
            found.append(address)
    return found


async def test_without_a_host_it_answers_on_every_address(health: Judge, ready: Judge) -> None:
    """Also to the kubelet of a cluster that has IPv6 alone."""
    every = WebServer(host=Settings().host, port=0, health=health, ready=ready, registry=Metrics().registry, load=load)
    await every.start()
    try:
        async with aiohttp.ClientSession() as session:
            for address in loopbacks():
                host = f"[{address}]" if ":" in address else address
                async with session.get(f"http://{host}:{every.port}/healthz") as response:
                    assert response.status == 200, address
    finally:
        await every.stop()


async def test_health_and_readiness_answer_apart_and_say_why(server: WebServer, ready: Judge) -> None:
    ready.verdict = Verdict(ok=False, text="the first list of Deployments is not done")
    assert await get(server, "/healthz") == (200, "ok\n")
    assert await get(server, "/readyz") == (503, "the first list of Deployments is not done\n")
    ready.verdict = Verdict(ok=True, text="ok")
    assert await get(server, "/readyz") == (200, "ok\n")


async def test_metrics_are_served(server: WebServer) -> None:
    status, text = await get(server, "/metrics")
    assert status == 200
    assert "# TYPE celery_operator_reconcile_total counter" in text


async def test_the_load_of_a_group_is_served_as_json(server: WebServer) -> None:
    status, text = await get(server, "/api/v1/load/team/shop/web")
    assert (status, json.loads(text)) == (200, {"want": 3, "due": 120.0})


async def test_a_load_that_cannot_be_read_is_unavailable_so_that_keda_keeps_the_number(server: WebServer) -> None:
    status, text = await get(server, "/api/v1/load/team/shop/blind")
    assert status == 503
    assert json.loads(text)["problem"] == "the broker refuses the connection"


async def test_a_standby_says_where_the_leader_is(server: WebServer) -> None:
    standby = WebServer(
        host="127.0.0.1",
        port=0,
        health=Judge(),
        ready=Judge(),
        registry=Metrics().registry,
        load=lambda *_: None,
        leader=lambda: f"http://127.0.0.1:{server.port}",
    )
    await standby.start()
    status, text = await get(standby, "/api/v1/load/team/shop/web")
    await standby.stop()
    assert (status, json.loads(text)["want"]) == (200, 3)


async def test_a_group_without_a_load_says_what_to_check(server: WebServer) -> None:
    status, text = await get(server, "/api/v1/load/team/shop/mail")
    assert status == 404
    problem = json.loads(text)["problem"]
    assert problem.startswith("no load is known of worker group 'mail' of CeleryCluster team/shop: check the names")
    assert "autoscaling or externalScaling" in problem


async def test_a_stopped_server_frees_its_port_at_once(server: WebServer) -> None:
    port = server.port
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/healthz"):
            pass
        # The session's connection stays open: it must not hold the stop up.
        started = time.monotonic()
        await server.stop()
        assert time.monotonic() - started < 20, "a server of aiohttp waits for a minute by itself"
    again = server_of(Judge(), Judge(), port)
    await again.start()
    await again.stop()


@pytest.mark.parametrize(
    ("heartbeat_age", "oldest_run_seconds", "ok", "says"),
    [
        (0.9, 0, True, "ok"),
        (29.9, 90, True, "ok"),
        (30, 0, False, "not ticked for 30 s"),
        (1, 90.1, False, "90 s old; its deadline is 30 s"),
    ],
)
def test_liveness_looks_at_the_loop_and_the_runs_only(
    heartbeat_age: float, oldest_run_seconds: float, ok: bool, says: str
) -> None:
    verdict = liveness(heartbeat_age=heartbeat_age, oldest_run_seconds=oldest_run_seconds, run_deadline=30)
    assert verdict.ok is ok
    assert says in verdict.text


async def test_a_blocked_loop_is_measured() -> None:
    lags: list[float] = []
    measured = asyncio.Event()

    def observe(lag: float) -> None:
        lags.append(lag)
        measured.set()

    ticker = LoopLag(observe, interval=0.05)
    task = asyncio.create_task(ticker.run())
    await measured.wait()
    time.sleep(0.3)
    assert ticker.heartbeat_age() >= 0.3
    measured.clear()
    await measured.wait()
    assert max(lags) >= 0.2
    async with asyncio.timeout(60):
        while ticker.heartbeat_age() >= 0.2:
            await asyncio.sleep(0.01)
    task.cancel()
