"""The rows: what happens, under which load, on how many pods, and what may come of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from tests.e2e.delivery import disturbances as happen
from tests.e2e.delivery.disturbances import Disturbance
from tests.e2e.delivery.load import Load
from tests.e2e.delivery.workers import Fleet

Kind = Literal["AtLeastOnce", "AtMostOnce", "plain"]
"""Of deployment: the operator with one of its `taskDelivery` values, or a Deployment written by hand."""
SecondRuns = Literal["none", "cut", "reported", "shown"]
"""none: no execution beyond the first. cut: only of tasks that were cut off. reported: any number. shown: at least one,
since the row is there to show them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of a row."""

    load: Load
    fleet: Fleet
    disturb: Disturbance
    within: float = 300.0
    """Seconds after the disturbance; what is not done by then is lost."""
    silence: float = 60.0
    """Seconds without any event after which a plain Deployment is given up; longer than any redelivery here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: `small` runs with every `make test`, `full` is for the published figures."""

    name: str
    title: str
    small: Size | None
    """None: `make test` leaves it out."""
    full: Size | None = None
    """None: as small."""
    second_runs: SecondRuns = "none"
    redelivered_within: dict[str, float] | None = None
    """By broker: the longest time from the cut to the next run, in seconds. None: it is not measured."""
    main_broker: str = "redis"
    brokers: tuple[str, ...] = ("redis", "rabbitmq")
    kinds: tuple[Kind, ...] = ("AtLeastOnce", "plain")
    """In the full size. AtMostOnce runs in one row of each sort (pods replaced, fewer pods, a task cut off, a worker
    killed, a lost connection): in the others of a sort it could only say the same."""
    seconds: tuple[int, int]
    """What a full cell takes with the operator, and with a plain Deployment: for the order of the cells and the length
    of a part of `make verify`. Measured with one cell at a time on two cores, or estimated from the row's waits."""
    needs_two_nodes: bool = False
    keeps_pods: bool = False
    """No pod may be restarted or replaced."""
    must_note: str | None = None
    """A count in the bench's notes that must not be 0: otherwise what the row is about has not happened."""
    plain_loses: bool = False
    """A plain Deployment is known to lose tasks here: if it does not, the harness is broken."""


_MIXED: Final = Load(short=24, long=8, eta=6, chains=4, chords=3, prioritised=6, over_seconds=30)
_MORE: Final = Load(short=60, long=24, eta=16, chains=10, chords=8, prioritised=16, over_seconds=75)
_WHILE_ROLLED: Final = Load(short=80, long=12, eta=15, chains=10, chords=8, prioritised=20, over_seconds=240)
"""Left off when the rollout is over."""
_BEFORE_OUTAGE: Final = Load(short=16, long=8, eta=4, chains=3, prioritised=4)
_EIGHT_SLOTS: Final = Fleet(replicas=4, concurrency=2)
_TWO_PODS: Final = Fleet(replicas=2, concurrency=2)
_SWEPT: Final = Fleet(replicas=2, concurrency=4, shares_processes=True, visibility_timeout=30)
_INSPECTED: Final = Fleet(replicas=1, concurrency=8, visibility_timeout=300)
"""With idle slots: a worker without one takes nothing that could run twice. And one worker alone: it notices what it
runs itself, and of two each might get what the other one runs."""
_KILLED: Final = Load(long=8, long_seconds=(20, 20))
"""One for each slot."""
_AT_ONCE: Final = 45.0
"""Seconds: room for the start of another pod on a slow machine, and far below the derived visibility timeout."""


def _deleted(seconds: float) -> Size:
    return Size(
        load=Load(long=4, long_seconds=(seconds, seconds)),
        fleet=Fleet(replicas=2, concurrency=2, grace_seconds=30),
        disturb=happen.delete_busy_pod,
    )


def _inspected(seconds: float, visibility_timeout: int) -> Size:
    return Size(
        load=Load(long=4, long_seconds=(seconds, seconds)),
        fleet=_INSPECTED,
        disturb=happen.inspecting_producer(visibility_timeout),
    )


def _away(seconds: float) -> Size:
    return Size(load=_BEFORE_OUTAGE, fleet=_EIGHT_SLOTS, disturb=happen.broker_away(seconds), silence=180)


_EVERY_KIND: Final[tuple[Kind, ...]] = ("AtLeastOnce", "AtMostOnce", "plain")
_LATE_ONLY: Final[tuple[Kind, ...]] = ("AtLeastOnce",)
"""Not plain: it acknowledges before it starts, so that no visibility timeout reaches what it runs."""
_REVOKED: Final = Load(eta=12, eta_seconds=(120, 130), short=8)
_ORDERS: Final = Load(orders=1200, short_seconds=(0.2, 0.8), over_seconds=120)

ROWS: Final = (
    Row(
        name="rolling-update",
        title="rolling update of 4 pods to a new image, tasks of 1 to 20 s",
        small=Size(load=_MIXED, fleet=_EIGHT_SLOTS, disturb=happen.rolling_update),
        full=Size(load=_MORE, fleet=_EIGHT_SLOTS, disturb=happen.rolling_update),
        seconds=(130, 110),
        kinds=_EVERY_KIND,
    ),
    Row(
        name="rolling-update-long",
        title="rolling update of 4 pods, tasks of 45 s",
        small=None,
        full=Size(
            load=Load(long=32, long_seconds=(45, 45)),
            fleet=_EIGHT_SLOTS,
            disturb=happen.rolling_update,
            within=300,
        ),
        plain_loses=True,
        seconds=(164, 72),
        kinds=_EVERY_KIND,
    ),
    Row(
        name="scale-in",
        title="scale-in from 6 pods to 2, tasks of 45 s",
        small=Size(
            load=Load(long=24, long_seconds=(12, 12)), fleet=Fleet(replicas=6, concurrency=2), disturb=happen.scale_in
        ),
        full=Size(
            load=Load(long=48, long_seconds=(45, 45)),
            fleet=Fleet(replicas=6, concurrency=4),
            disturb=happen.scale_in,
            within=300,
        ),
        plain_loses=True,
        seconds=(221, 166),
        kinds=_EVERY_KIND,
    ),
    Row(
        name="node-drain",
        title="`kubectl drain` of one of two nodes, tasks of 1 to 20 s",
        small=Size(load=_MIXED, fleet=_EIGHT_SLOTS, disturb=happen.drain_node),
        full=Size(load=_MORE, fleet=_EIGHT_SLOTS, disturb=happen.drain_node),
        needs_two_nodes=True,
        seconds=(108, 108),
    ),
    Row(
        # Not with AtMostOnce: the operator refuses a grace period that would lose what it cuts off.
        name="short-grace",
        title="pod deleted, 30 s of grace, tasks of 120 s",
        small=_deleted(60),
        full=_deleted(120),
        second_runs="cut",
        redelivered_within={"redis": _AT_ONCE, "rabbitmq": _AT_ONCE},
        plain_loses=True,
        seconds=(177, 186),
    ),
    Row(
        name="kill-main",
        title="SIGKILL to a worker's main process (Redis: visibility timeout 30 s)",
        small=Size(load=_KILLED, fleet=_SWEPT, disturb=happen.kill_main),
        second_runs="cut",
        redelivered_within={"redis": 30.0 + _AT_ONCE, "rabbitmq": _AT_ONCE},
        plain_loses=True,
        seconds=(61, 113),
        kinds=_EVERY_KIND,
    ),
    Row(
        name="kill-child",
        title="SIGKILL to one pool process",
        small=Size(load=_KILLED, fleet=_SWEPT, disturb=happen.kill_child),
        second_runs="cut",
        redelivered_within={"redis": _AT_ONCE, "rabbitmq": _AT_ONCE},
        main_broker="rabbitmq",
        plain_loses=True,
        seconds=(55, 53),
    ),
    Row(
        name="broker-restart",
        title="the broker is restarted",
        small=Size(load=_BEFORE_OUTAGE, fleet=_EIGHT_SLOTS, disturb=happen.restart_broker, silence=180),
        second_runs="reported",
        keeps_pods=True,
        main_broker="rabbitmq",
        seconds=(88, 260),
        kinds=_EVERY_KIND,
    ),
    Row(
        name="broker-away",
        title="the broker is away for 3 minutes",
        small=_away(30),
        full=_away(180),
        second_runs="reported",
        keeps_pods=True,
        seconds=(240, 400),
    ),
    Row(
        name="revoked",
        title="ETA tasks are revoked, then every pod is replaced",
        small=Size(load=_REVOKED, fleet=_TWO_PODS, disturb=happen.revoke_and_roll),
        must_note="rolledBeforeDue",
        seconds=(140, 140),
    ),
    Row(
        name="new-task",
        title="rollout to an image whose tasks call a task that the old image does not know",
        small=Size(load=_ORDERS, fleet=_EIGHT_SLOTS, disturb=happen.roll_to_new_task),
        must_note="unknownTasksRequeued",
        seconds=(60, 60),
    ),
    Row(
        name="inspecting-producer",
        title="tasks of 90 s, visibility timeout 300 s, a producer that inspects with the same timeout",
        small=_inspected(25, 300),
        full=_inspected(90, 300),
        brokers=("redis",),
        seconds=(105, 0),
        kinds=_LATE_ONLY,
    ),
    Row(
        name="inspecting-producer-5s",
        title="the same with a producer whose visibility timeout is 5 s, tasks of 25 s or more",
        small=_inspected(25, 5),
        full=_inspected(90, 5),
        second_runs="shown",
        must_note="redeliveredWhileRunning",
        brokers=("redis",),
        seconds=(135, 0),
        kinds=_LATE_ONLY,
    ),
    Row(
        name="credentials",
        title="the broker's password is rotated (two accounts)",
        small=Size(load=_WHILE_ROLLED, fleet=_TWO_PODS, disturb=happen.rotate_credentials),
        seconds=(76, 110),
    ),
)
