"""A small real HTTP server that speaks as the runtime in a worker's pod does, and misbehaves on request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from celery_operator.observe.worker_report import PodAddress

Misbehaviour = Callable[[web.Request], Awaitable[web.Response | None]]


@dataclass(slots=True)
class Runtime:
    """One pod. ``misbehave`` may answer in place of it."""

    uid: str = "uid-1"
    boot_id: str = "boot-1"
    started: bool = True
    can_drain: bool = True
    active: int = 0
    misbehave: Misbehaviour | None = None
    port: int = 0
    gets: list[float] = field(default_factory=list)
    drains: list[dict[str, Any]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    busy: int = 0
    most_at_once: int = 0
    _lease_end: float = 0.0
    _runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_route("*", "/{path}", self._serve)
        self._runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def address(self) -> PodAddress:
        return PodAddress(uid=self.uid, name=f"pod-of-{self.uid}", host="127.0.0.1", port=self.port)

    @property
    def draining(self) -> bool:
        return time.monotonic() < self._lease_end

    def restart(self, boot_id: str) -> None:
        """The container was started anew."""
        self.boot_id = boot_id
        self._lease_end = 0.0

    async def _serve(self, request: web.Request) -> web.Response:
        self.busy += 1
        self.most_at_once = max(self.most_at_once, self.busy)
        try:
            if request.path == "/status":
                self.gets.append(time.monotonic())
            else:
                self.drains.append(await request.json())
                self.tokens.append(request.headers.get("Authorization", ""))
            strange = None if self.misbehave is None else await self.misbehave(request)
            if strange is not None:
                return strange
            return web.json_response(self.status()) if request.path == "/status" else self._drain(self.drains[-1])
        finally:
            self.busy -= 1

    def status(self) -> dict[str, Any]:
        """The document of /status."""
        document: dict[str, Any] = {"protocol": 1, "component": "worker", **self._counts()}
        return {**document, "drain": self._drain_section()} if self.can_drain else document

    def _drain(self, wish: dict[str, Any]) -> web.Response:
        if wish["bootId"] != self.boot_id:
            return web.json_response({"bootId": self.boot_id}, status=409)
        self._lease_end = time.monotonic() + wish["seconds"]
        return web.json_response({**self._counts(), **self._drain_section()})

    def _counts(self) -> dict[str, Any]:
        return {
            "bootId": self.boot_id, "slots": 2, "active": self.active, "reserved": 0, "held": 0, "eta": None,
            "processed": 5, "startedSince": "2024-01-01T00:00:00Z" if self.started else None, "shuttingDown": False,
        }  # fmt: skip

    def _drain_section(self) -> dict[str, Any]:
        left = max(0.0, self._lease_end - time.monotonic())
        return {"draining": self.draining, "drained": self.draining and self.active == 0, "seconds": round(left, 3)}


async def silence(_: web.Request) -> web.Response | None:
    """Take the request and never answer."""
    await asyncio.sleep(3600)
    return None


def answering(status: int, body: str, kind: str = "text/plain", *, path: str | None = None) -> Misbehaviour:
    """Answer always this, or only to ``path``."""

    async def answer(request: web.Request) -> web.Response | None:
        if path is not None and request.path != path:
            return None
        return web.Response(status=status, text=body, content_type=kind)

    return answer
