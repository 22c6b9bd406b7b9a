"""What this worker is doing, kept where the probe thread can read it without touching the worker.

Counters are Celery's own (celery.worker.state); everything that needs a walk over Celery's structures is taken
on the worker's loop, once a second, and only read by the probe thread.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, Callable, Dict, List, Mapping, Optional

from . import PROTOCOL, guard, liveness
from .broker_stack import stuck_in_broker
from .environment import Settings
from .pool_health import PoolWatch
from .versions import Installed

HOLDS_LOOP = ("solo", "gevent", "eventlet")
"""Pools whose tasks run in the loop's own thread."""

_WATCHED = ("worker_steps", "pool_health")
"""Modules whose hooks take what liveness decides on."""


def now_text() -> str:
    """UTC, as Kubernetes writes times."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class WorkerState:
    """Written by bootsteps and signals on the worker's thread, read by the probe thread."""

    def __init__(self, settings: Settings, versions: Installed, nodename: str) -> None:
        self.settings = settings
        self.versions = versions
        self.nodename = nodename
        self.boot_id = str(uuid.uuid4())
        self.started_at = now_text()
        self.ready_since: Optional[str] = None
        self.shutting_down = False
        self.connected = False
        self.pool_started: Optional[float] = None
        self.loop_stamp: Optional[float] = None
        self.slots: Optional[int] = None
        self.time_limit: Optional[float] = None
        self.consuming: Optional[List[str]] = None
        self.eta: Optional[int] = None
        self.latest_eta: Optional[float] = None
        self.held: Optional[int] = None
        self.pool_watch = PoolWatch()
        self.effective: Mapping[str, Any] = {}
        self.warnings: List[str] = []
        self.sections: Dict[str, Callable[[], Any]] = {}
        """Further keys of /status, by the modules that know them."""

    def facts(self) -> liveness.WorkerFacts:
        """What liveness decides on."""
        now = time.monotonic()
        # What failed to record says nothing about the worker: our own error must neither have it killed nor keep a
        # rollout waiting for ever.
        blind = guard.any_failed(*_WATCHED)
        age = None if self.loop_stamp is None or blind else now - self.loop_stamp
        stale = age is not None and age > liveness.LOOP_LIMIT
        return liveness.WorkerFacts(
            pool_age=0.0 if self.pool_started is None else now - self.pool_started,
            loop_age=age,
            ready=self.ready_since is not None or blind,
            shutting_down=self.shutting_down,
            connected=self.connected,
            stuck_in_broker=stale and stuck_in_broker(),
            holds_loop=self.settings.pool in HOLDS_LOOP,
            unbounded=self.settings.pool == "solo",
            active=_active(),
            busy_limit=self._busy_limit(),
            pool_ailment=None if blind else self.pool_watch.ailment,
        )

    def _busy_limit(self) -> Optional[float]:
        limits = [limit for limit in (self.time_limit, self.settings.max_task_duration_seconds) if limit]
        return max(limits) if limits else None

    def livez(self) -> liveness.Verdict:
        return liveness.worker_alive(self.facts())

    def would_be_alive(self) -> bool:
        """What /livez said before the shutdown began: a failed probe may be its reason."""
        return liveness.worker_alive(replace(self.facts(), shutting_down=False))[0]

    def readyz(self) -> liveness.Verdict:
        return liveness.worker_ready(self.facts())

    def startupz(self) -> liveness.Verdict:
        return liveness.worker_started(self.facts())

    def counts(self) -> Dict[str, Any]:
        """How much this worker has to do; ``eta`` and ``held`` as of the loop's last count."""
        from celery.worker import state

        return {
            "slots": self.slots,
            "active": len(state.active_requests),
            "reserved": max(0, len(state.reserved_requests) - len(state.active_requests)),
            "held": self.held,
            "eta": self.eta,
            "processed": state.all_total_count[0],
            "startedSince": self.ready_since,
            "shuttingDown": self.shutting_down,
        }

    def status(self) -> Dict[str, Any]:
        """The /status document of protocol 1."""
        stamp = self.loop_stamp
        sections = {name: guard.harmless(section)() for name, section in self.sections.items()}
        return {
            **sections,
            "protocol": PROTOCOL,
            "component": "worker",
            "cluster": self.settings.cluster,
            "group": self.settings.group,
            "nodename": self.nodename,
            "bootId": self.boot_id,
            "startedAt": self.started_at,
            "versions": self.versions.as_dict(),
            "pool": self.settings.pool,
            **self.counts(),
            "latestEta": self.latest_eta,
            "consuming": self.consuming,
            "connected": self.connected,
            "loopAgeSeconds": None if stamp is None else round(time.monotonic() - stamp, 3),
            "effective": dict(self.effective),
            "warnings": self.warnings
            + ["runtime hook failed: %s (%s)" % item for item in sorted(guard.failed.items())],
        }


def _active() -> int:
    from celery.worker import state

    return len(state.active_requests)
