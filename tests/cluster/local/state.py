"""What the local cluster started and changed, in one small JSON file that is rewritten by a rename."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.cluster.local.layout import STATE

STATE_FILE = STATE / "state.json"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord:
    """One process: a pid alone may be somebody else's by now; pid and start time (ticks since boot) are not."""

    name: str
    pid: int
    start_time: int


@dataclass(slots=True, kw_only=True)
class State:
    """Mutable on purpose: it grows with every step of `up`, and is saved after each."""

    boot_id: str = ""
    complete: bool = False
    nodes: list[int] = field(default_factory=list)
    stopped_nodes: list[int] = field(default_factory=list)
    image_store: str = ""
    """The folder whose images every node starts with."""
    images: dict[str, int] = field(default_factory=dict)
    """Archives that were loaded since, with their time of change (ns); a node added later gets them too."""
    kernel_settings: dict[str, str] = field(default_factory=dict)
    """Path below /proc/sys -> the value that was there before."""
    proxy_started: bool = False
    """Whether a kube-proxy of ours may have made rules since the machine's start; true from before it is started."""
    processes: list[ProcessRecord] = field(default_factory=list)

    def save(self) -> None:
        STATE_FILE.parent.mkdir(parents=True, exist_ok=True)
        temporary = STATE_FILE.with_suffix(".tmp")
        temporary.write_text(json.dumps(asdict(self), indent=1))
        temporary.rename(STATE_FILE)

    def record(self, name: str) -> ProcessRecord | None:
        """The process of that name that was started last."""
        return next((one for one in reversed(self.processes) if one.name == name), None)


def boot_id() -> str:
    """Differs after every boot of the machine: process records of an earlier boot mean nothing."""
    return _BOOT_ID.read_text().strip()


def load_state() -> State | None:
    """The saved state; None when there is none or when its file is unreadable."""
    try:
        content = json.loads(STATE_FILE.read_text())
        processes = [ProcessRecord(**one) for one in content.pop("processes")]
        state = State(**content, processes=processes)
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None
    if state.boot_id != boot_id():
        state.processes = []
        state.complete = False
        state.proxy_started = False
    return state
