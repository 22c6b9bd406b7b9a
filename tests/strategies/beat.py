"""Beat with a schedule that Celery can read."""

from __future__ import annotations

from hypothesis import strategies as st

from celery_operator.api import beat
from tests.strategies.extras import volumes_and_mounts
from tests.strategies.model import Json, Objects, named, of, one_of
from tests.strategies.overrides import VOLUMES, overrides
from tests.strategies.pod import log_levels, resources, storages, templates
from tests.strategies.probes import adjusted
from tests.strategies.queues import queue_names
from tests.strategies.scalars import durations, free_values, identifiers

_WHEN = ("crontab", "every", "solar")
_numbers = st.integers(1, 7)
_part = st.one_of(
    st.just("*"),
    _numbers.map(str),
    _numbers.map(lambda number: f"*/{number}"),
    st.tuples(_numbers, _numbers).map(lambda pair: f"{min(pair)}-{max(pair)}"),
)
_parts = st.lists(_part, min_size=1, max_size=2).map(",".join)
crontabs = st.lists(_parts, min_size=5, max_size=5).map(" ".join) | st.sampled_from(
    ["0 8 * * mon-fri", "59 23 31 dec sun"]
)
_solar = of(
    beat.Solar,
    {
        "event": st.sampled_from(["dawn_civil", "sunrise", "solar_noon", "dusk_astronomical"]),
        "latitude": st.sampled_from([-90, 0, 52.5, 90.0]),
        "longitude": st.sampled_from([-180.0, 0, 13, 180]),
    },
    {},
)
_entry = of(
    beat.ScheduleEntry,
    {"name": st.sampled_from(["daily", "stats every 30 s", "$(A)", "ü"]), "task": identifiers},
    {
        "args": st.lists(free_values, max_size=2),
        "kwargs": st.dictionaries(st.sampled_from(["window", "a b"]), free_values, max_size=2),
        "queue": queue_names,
        "enabled": st.booleans(),
    },
    elsewhere=_WHEN,
)
_entries = _entry.flatmap(
    lambda entry: one_of(crontab=crontabs, every=durations(), solar=_solar).map(lambda when: {**entry, **when})
)


def beats(*, may_be_root: bool) -> Objects:
    """The beat process."""
    base = of(
        beat.Beat,
        {},
        {
            **overrides(may_be_root=may_be_root),
            "schedule": named(_entries),
            "scheduler": st.sampled_from(["shop.beat:Scheduler", "celery.beat.PersistentScheduler"]),
            "maxInterval": durations(),
            "timezone": st.sampled_from(["UTC", "Europe/Berlin"]),
            "storage": storages,
            "probes": adjusted(may_be_disabled=True),
            "logLevel": log_levels,
            "resources": resources(),
            "podTemplate": templates("beat"),
        },
        elsewhere=VOLUMES,
        most=4,
    )

    def with_volumes(fields: Json) -> Objects:
        return volumes_and_mounts().map(lambda volumes: {**fields, **volumes})

    return base.flatmap(with_volumes)
