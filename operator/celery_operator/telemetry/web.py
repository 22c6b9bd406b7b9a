"""Serves probes, metrics and the load of worker groups on one port, from the same event loop that does the work.

In the loop on purpose: a server in a thread of its own would call a process healthy whose loop hangs.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler

HEARTBEAT_LIMIT: Final = 30.0
"""Seconds without a tick of the loop's ticker after which the process is better restarted."""
RUN_DEADLINE_FACTOR: Final = 3.0
"""How many of its deadlines a run may take before it counts as stuck."""
LOAD_PATH: Final = "/api/v1/load/{namespace}/{cluster}/{group}"
"""Where a worker group's load is served, for KEDA's metrics-api scaler and for people."""
_SHUTDOWN_TIMEOUT: Final = 0.5
"""Seconds for open requests at the end: probes and scrapes take milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """An answer to a probe; `text` says why, for people."""

    ok: bool
    text: str


def liveness(*, heartbeat_age: float, oldest_run_seconds: float, run_deadline: float) -> Verdict:
    """Judge whether the process still works; all arguments are seconds.

    Neither the API server nor leadership has a say: a restart cures neither of them.
    """
    if heartbeat_age >= HEARTBEAT_LIMIT:
        return Verdict(ok=False, text=f"the event loop has not ticked for {heartbeat_age:.0f} s")
    if oldest_run_seconds > RUN_DEADLINE_FACTOR * run_deadline:
        return Verdict(
            ok=False,
            text=f"a reconcile run is {oldest_run_seconds:.0f} s old; its deadline is {run_deadline:.0f} s",
        )
    return Verdict(ok=True, text="ok")


Load = Callable[[str, str, str], Mapping[str, Any] | None]
"""By namespace, CeleryCluster and worker group: its load; None where no such group's load is looked at."""


def nobody() -> str:
    """No other process knows the load better."""
    return ""


class WebServer:
    """The operator's web server. `port` 0 takes a free one, which `port` then tells.

    An empty `host` is every address of the machine: in a cluster of IPv6 alone the kubelet has no other to ask.

    `leader` gives the base URL of the process that knows the load, while that is not this one: a standby reads no
    broker, and a Service asks any of the two.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        health: Callable[[], Verdict],
        ready: Callable[[], Verdict],
        registry: CollectorRegistry,
        load: Load,
        leader: Callable[[], str] = nobody,
    ) -> None:
        self._host = host
        self._port = port
        application = web.Application()
        application.router.add_get("/healthz", _probe(health))
        application.router.add_get("/readyz", _probe(ready))
        application.router.add_get("/metrics", make_aiohttp_handler(registry))
        application.router.add_get(LOAD_PATH, _load(load, leader))
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=_SHUTDOWN_TIMEOUT)

    @property
    def port(self) -> int:
        """The port that is listened on, once started."""
        return int(self._runner.addresses[0][1]) if self._runner.addresses else self._port

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        await self._runner.setup()
        if self._host:
            await web.TCPSite(self._runner, self._host, self._port).start()
        else:
            await web.SockSite(self._runner, _on_every_address(self._port)).start()

    async def stop(self) -> None:
        """Close the port and all connections, within a second."""
        await self._runner.cleanup()


def _on_every_address(port: int) -> socket.socket:
    """A socket for IPv6 and IPv4 at once, for IPv4 alone where there is no IPv6.

    Raises OSError when the port is taken.
    """
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise
    return socket.create_server(("", port))


def _probe(judge: Callable[[], Verdict]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_: web.Request) -> web.StreamResponse:
        verdict = judge()
        return web.Response(status=200 if verdict.ok else 503, text=verdict.text + "\n")

    return answer


def _load(find: Load, leader: Callable[[], str]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Answers 200 with the load, 503 with what is known while its queues cannot be read, 404 where there is none.

    A standby answers 307, with where the leader is.

    503 makes KEDA keep the number of pods, and use its own fallback where one is set.
    """

    async def answer(request: web.Request) -> web.StreamResponse:
        namespace, cluster, group = (request.match_info[part] for part in ("namespace", "cluster", "group"))
        if base := leader():
            raise web.HTTPTemporaryRedirect(base + request.path)
        document = find(namespace, cluster, group)
        if document is None:
            problem = (
                f"no load is known of worker group {group!r} of CeleryCluster {namespace}/{cluster}: check the names, "
                "that the group has autoscaling or externalScaling, that the cluster is not paused, and that this "
                "operator serves its namespace"
            )
            return web.json_response({"problem": problem}, status=404)
        return web.json_response(dict(document), status=503 if document.get("due") is None else 200)

    return answer
