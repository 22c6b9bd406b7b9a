"""What beat is doing, kept where the probe thread can read it."""

from __future__ import annotations

import os
import time
import uuid
from typing import Any, Callable, Dict, List, Mapping, Optional

from . import PROTOCOL, guard, liveness
from .beat_news import News
from .broker_stack import stuck_in_broker
from .environment import Settings
from .versions import Installed
from .worker_state import now_text

TICK_FILE_INTERVAL = 1.0
"""Seconds between two touches of the tick file at most."""


def _nothing() -> Optional[str]:
    return None


class BeatState:
    """Written by the scheduler on the main thread, read by the probe thread."""

    def __init__(self, settings: Settings, versions: Installed) -> None:
        self.settings = settings
        self.versions = versions
        self.boot_id = str(uuid.uuid4())
        self.started_at = now_text()
        self.set_up: Optional[float] = None
        self.tick_stamp: Optional[float] = None
        self.ticks = 0
        self.dispatched = 0
        self.elsewhere = 0
        self.missed = 0
        self.last_missed: Optional[str] = None
        self.max_interval = 300.0
        self.claims = "none"
        self.broker_away = False
        self.last_problem: Optional[str] = None
        self.refused: Optional[str] = None
        self.store_problem: Optional[str] = None
        self.awaits: Callable[[], Optional[str]] = _nothing
        self.on_begin: Callable[[], object] = _nothing
        self.shutting_down = False
        self.news = News(self.boot_id, settings.pod_uid)
        # Clusters of one name in two namespaces may share a broker or a database, and are two beats.
        self.scope = ".".join(part for part in (os.environ.get("POD_NAMESPACE"), settings.cluster) if part)
        self.effective: Mapping[str, Any] = {}
        self.warnings: List[str] = []
        self._tick_file = os.environ.get("CELERY_OPERATOR_TICK_FILE", "/tmp/celery-operator-tick")  # noqa: S108
        self._touched = 0.0

    def begin(self) -> None:
        """Beat has set its scheduler up: probes are answered from now on."""
        if self.set_up is None:
            self.set_up = time.monotonic()
        self.on_begin()

    def ticked(self) -> None:
        """Stamp a pass of the scheduler, in memory and (once a second at most) on disk."""
        now = time.monotonic()
        self.tick_stamp = now
        self.ticks += 1
        if now - self._touched >= TICK_FILE_INTERVAL:
            self._touched = now
            self._touch()

    @guard.harmless
    def _touch(self) -> None:
        # Whoever reads it meanwhile finds the former one, never an empty one.
        written = "%s.new" % self._tick_file
        with open(written, "w", encoding="ascii") as tick_file:
            tick_file.write("%d\n" % time.time())
        os.replace(written, self._tick_file)

    def facts(self) -> liveness.BeatFacts:
        """What liveness decides on."""
        now = time.monotonic()
        age = None if self.tick_stamp is None else now - self.tick_stamp
        return liveness.BeatFacts(
            set_up_age=0.0 if self.set_up is None else now - self.set_up,
            tick_age=age,
            max_interval=self.max_interval,
            broker_away=self.broker_away or self.store_problem is not None,
            awaits=self.awaits(),
            refused=self.refused,
            stuck_in_broker=age is not None and age > liveness.BEAT_LIMIT and stuck_in_broker(),
            shutting_down=self.shutting_down,
        )

    def livez(self) -> liveness.Verdict:
        return liveness.beat_alive(self.facts())

    def readyz(self) -> liveness.Verdict:
        return liveness.beat_ready(self.facts())

    def startupz(self) -> liveness.Verdict:
        return True, "ok"

    def status(self) -> Dict[str, Any]:
        """The /status document of protocol 1."""
        stamp = self.tick_stamp
        return {
            "protocol": PROTOCOL,
            "component": "beat",
            "cluster": self.settings.cluster,
            "bootId": self.boot_id,
            "startedAt": self.started_at,
            "versions": self.versions.as_dict(),
            "lastTickAgeSeconds": None if stamp is None else round(time.monotonic() - stamp, 3),
            "maxIntervalSeconds": self.max_interval,
            "ticks": self.ticks,
            "dispatched": self.dispatched,
            "claimedElsewhere": self.elsewhere,
            "missed": self.missed,
            "lastMissed": self.last_missed,
            "claims": self.claims,
            "connected": not self.broker_away,
            "lastProblem": self.last_problem,
            "waitsFor": self.store_problem or self.awaits(),
            "shuttingDown": self.shutting_down,
            "news": self.news.shown(),
            "effective": dict(self.effective),
            "warnings": self.warnings
            + ["runtime hook failed: %s (%s)" % item for item in sorted(guard.failed.items())],
        }
