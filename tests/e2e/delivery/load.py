"""Numbered tasks through the real producer: short, long, ETA, chain, chord, prioritised; by a seed, within bounds."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import Any, Final

import httpx

TIMEOUT_SECONDS: Final = 60.0
"""Of one request to the producer."""
AWAY_SECONDS: Final = 60.0
"""For how long the producer, or the way to it, may refuse one request before whoever asks gives up."""
_AWAY: Final = (502, 503, 504)
"""The producer's own 503, and what a proxy on the way to it says."""
_AGAIN_SECONDS: Final = 1.0
_SLACK_SECONDS: Final = 300.0
"""What refused and slow requests may add to the time that a load is sent over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How many tasks of each kind, how long they run, and over how many seconds they are sent."""

    short: int = 0
    long: int = 0
    eta: int = 0
    chains: int = 0
    chords: int = 0
    prioritised: int = 0
    orders: int = 0
    short_seconds: tuple[float, float] = (1.0, 5.0)
    long_seconds: tuple[float, float] = (5.0, 20.0)
    eta_seconds: tuple[float, float] = (5.0, 15.0)
    over_seconds: float = 0.0
    seed: int = 5

    @property
    def longest_seconds(self) -> float:
        """No task runs longer."""
        return max(self.short_seconds[1], self.long_seconds[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One POST to the producer: when, after the beginning, and what."""

    at_seconds: float
    kind: str
    path: str
    body: dict[str, Any]


def requests(load: Load) -> list[Request]:
    """The requests of a load in the order of sending; the same for the same seed."""
    chance = random.Random(load.seed)
    kinds = [
        *["short"] * load.short,
        *["long"] * load.long,
        *["eta"] * load.eta,
        *["chain"] * load.chains,
        *["chord"] * load.chords,
        *["prioritised"] * load.prioritised,
        *["order"] * load.orders,
    ]
    chance.shuffle(kinds)
    times = sorted(chance.uniform(0, load.over_seconds) for _ in kinds)
    return [
        _request(number, kind, at, load, chance) for number, (kind, at) in enumerate(zip(kinds, times, strict=True))
    ]


def _request(number: int, kind: str, at: float, load: Load, chance: random.Random) -> Request:
    seconds = round(chance.uniform(*(load.long_seconds if kind == "long" else load.short_seconds)), 2)
    options: dict[str, Any] = {"task_id": f"{kind}-{number}"}
    if kind == "chain":
        body: dict[str, Any] = {"source": f"source-{number}", "latency_seconds": seconds}
        return Request(at_seconds=at, kind=kind, path="/workflows/chain", body=body)
    if kind == "chord":
        pairs = [[chance.randint(1, 9), chance.randint(1, 9)] for _ in range(3)]
        return Request(at_seconds=at, kind=kind, path="/workflows/chord", body={"pairs": pairs})
    if kind == "order":
        order = {"order_id": f"order-{number}", "latency_seconds": seconds}
        body = {"kwargs": order, "options": options}
        return Request(at_seconds=at, kind=kind, path="/tasks/place_order", body=body)
    if kind == "eta":
        options["countdown"] = round(chance.uniform(*load.eta_seconds), 2)
    if kind == "prioritised":
        options |= {"queue": "high_priority", "priority": chance.randint(0, 9)}
    # io_bound leaves everything about its delivery to whoever deploys it, and writes nothing while it runs.
    body = {"kwargs": {"requests": 1, "latency_seconds": seconds}, "options": options}
    return Request(at_seconds=at, kind=kind, path="/tasks/io_bound", body=body)


class Sending:
    """Sends a load from a thread of its own; `finish` waits for the last request."""

    def __init__(self, producer_url: str, load: Load) -> None:
        self.accepted: dict[str, str] = {}
        """The kinds of the tasks that the broker has, by task id; complete after `finish`."""
        self._requests = requests(load)
        self._limit = load.over_seconds + _SLACK_SECONDS
        self._http = httpx.Client(base_url=producer_url, timeout=TIMEOUT_SECONDS, trust_env=False)
        self._error: BaseException | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def start(self) -> Sending:
        """Begin; returns itself."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Leave out what is not sent yet."""
        self._stopped.set()

    def finish(self) -> dict[str, str]:
        """Wait until everything is sent and return the kinds by task id; raises what sending raised."""
        self._thread.join(self._limit)
        assert not self._thread.is_alive(), f"sending took longer than {self._limit:g} s"
        if self._error is not None:
            raise self._error
        return self.accepted

    def _run(self) -> None:
        begun = time.monotonic()
        try:
            with self._http:
                for request in self._requests:
                    if self._stopped.wait(max(0.0, begun + request.at_seconds - time.monotonic())):
                        return
                    for task_id in self._send(request):
                        self.accepted[task_id] = request.kind
        except (AssertionError, httpx.HTTPError) as error:
            self._error = error

    def _send(self, request: Request) -> list[str]:
        said = accepted(self._http, request.path, request.body)
        return [*said.get("children", []), said["task_id"]]


def accepted(http: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Ask the producer for work until it takes it, and return what it said; raises AssertionError when it does not.

    A 503 is answered as a good client does: a Service leads to nobody for some seconds after its pod became Ready.
    """
    deadline = time.monotonic() + AWAY_SECONDS
    # A task keeps its id, so that a request which was taken after all is told from a second one.
    while (answer := http.post(path, json=body)).status_code in _AWAY and time.monotonic() < deadline:
        time.sleep(_AGAIN_SECONDS)
    assert answer.status_code == 202, f"{path}: {answer.text}"
    said: dict[str, Any] = answer.json()
    return said
