"""What holds for every load, policy and history."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.policy.fleet import Fleet, Setting
from benchmarks.policy.ours import Ours
from celery_operator.scaling.decide import decide
from celery_operator.scaling.model import History, Load, Policy, Queue
from celery_operator.scaling.service_time import ServiceTime
from tests.unit.scaling.loads import policy, worker

MANY = settings(max_examples=200)

WORKERS = st.lists(
    st.builds(
        lambda **fields: fields,
        active=st.one_of(st.none(), st.integers(0, 4)),
        reserved=st.integers(0, 3),
        held=st.sampled_from([0, 0, 0, 2]),
        eta=st.integers(0, 3),
        draining=st.booleans(),
        ready=st.booleans(),
        idle_seconds=st.sampled_from([0.0, 1.0, 10.0]),
    ),
    max_size=12,
).map(lambda found: tuple(worker(f"w{number}", **fields) for number, fields in enumerate(found)))
POLICIES = st.builds(
    lambda low, more, target, headroom, step, fallback: policy(
        min_replicas=low,
        max_replicas=max(1, low + more),
        headroom=headroom,
        max_step_up=step,
        fallback_replicas=None if fallback is None else min(low + fallback, max(1, low + more)),
        **target,
    ),
    st.integers(0, 5),
    st.integers(0, 10),
    st.sampled_from([{}, {"target_queue_length": 1.0}, {"target_queue_length": 7.5}]),
    st.sampled_from([0.0, 0.1, 0.5]),
    st.one_of(st.none(), st.integers(1, 3)),
    st.one_of(st.none(), st.integers(0, 8)),
)


def history(wants: dict[int, int], age: int, blind: int | None, prior: float | None) -> History:
    """``wants`` by how many seconds ago; as decisions leave them, each larger than all later ones."""
    kept: list[tuple[float, int]] = []
    for seconds, want in sorted(wants.items()):
        if not kept or want > kept[-1][1]:
            kept.append((-float(seconds), want))
    return History(
        wants=tuple(reversed(kept)),
        since=-float(age),
        unreadable_since=None if blind is None else -float(blind),
        service_time=ServiceTime(prior=prior),
    )


HISTORIES = st.builds(
    history,
    st.dictionaries(st.integers(1, 119), st.integers(0, 15), max_size=5).map(lambda found: {**found, 2: 1}),
    st.integers(0, 300),
    st.one_of(st.none(), st.integers(0, 300)),
    st.one_of(st.none(), st.floats(0.01, 600)),
)
QUEUES = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 500)),
        st.integers(0, 100),
        st.one_of(st.none(), st.floats(-5.0, 4000.0)),
        st.sampled_from([1.0, 1.0, 0.25]),
    ),
    min_size=1,
    max_size=3,
).map(
    lambda found: tuple(
        Queue(name=f"q{number}", ready=ready, future_eta=min(future, ready or 0), next_eta=eta, share=share)
        for number, (ready, future, eta, share) in enumerate(found)
    )
)
LOADS = st.builds(
    lambda queues, fleet, starting, unacked: Load(
        queues=queues, workers=fleet, replicas=len(fleet) + starting, slots_per_worker=4, unacked=unacked
    ),
    QUEUES,
    WORKERS,
    st.sampled_from([0, 0, 1, 3]),
    st.one_of(st.none(), st.integers(0, 20)),
)
READ = LOADS.filter(lambda load: not load.unreadable)


@MANY
@given(of=LOADS, by=POLICIES, history=HISTORIES)
def test_the_limits_are_kept(of: Load, by: Policy, history: History) -> None:
    found, _ = decide(of, by, history, 0.0)
    assert by.min_replicas <= found.want <= by.max_replicas
    assert by.min_replicas <= found.desired <= by.max_replicas
    if by.max_step_up is not None and not of.unreadable:
        assert found.desired <= max(of.replicas + by.max_step_up, by.min_replicas)


@MANY
@given(of=LOADS, by=POLICIES, history=HISTORIES)
def test_missing_queues_lower_nothing_but_to_the_maximum(of: Load, by: Policy, history: History) -> None:
    blind = replace(of, queues=(*of.queues, Queue(name="lost", ready=None)))
    found, later = decide(blind, by, history, 0.0)
    assert found.desired >= min(of.replicas, by.max_replicas)
    assert not found.drain or found.desired == by.max_replicas < of.replicas
    assert (later.wants, later.since) == (history.wants, history.since), "nothing was seen"


@MANY
@given(of=READ, by=POLICIES, history=HISTORIES, silent=st.sets(st.integers(0, 11)))
def test_silent_workers_lower_nothing(of: Load, by: Policy, history: History, silent: set[int]) -> None:
    less = tuple(replace(one, active=None) if at in silent else one for at, one in enumerate(of.workers))
    told, untold = decide(of, by, history, 0.0)[0], decide(replace(of, workers=less), by, history, 0.0)[0]
    assert untold.want >= told.want
    assert untold.desired >= told.desired
    assert not {one.pod for one in less if one.active is None} & set(untold.drain)


@MANY
@given(of=READ, by=POLICIES, history=HISTORIES, gap=st.floats(15.1, 10_000.0))
def test_stale_histories_lower_nothing_but_to_the_maximum(of: Load, by: Policy, history: History, gap: float) -> None:
    found, _ = decide(of, by, history, gap)
    assert found.desired >= min(of.replicas, by.max_replicas)


@MANY
@given(of=READ, by=POLICIES, history=HISTORIES, more=st.integers(1, 300))
def test_more_backlog_never_lowers(of: Load, by: Policy, history: History, more: int) -> None:
    first = of.queues[0]
    longer = replace(of, queues=(replace(first, ready=(first.ready or 0) + more), *of.queues[1:]))
    before, after = decide(of, by, history, 0.0)[0], decide(longer, by, history, 0.0)[0]
    assert after.desired >= before.desired
    assert after.want >= before.want


@MANY
@given(of=LOADS, by=POLICIES, history=HISTORIES)
def test_idle_pods_are_drained_first_and_never_more_than_are_left_over(of: Load, by: Policy, history: History) -> None:
    """A busy pod is drained only when no idle one would still consume; who is silent or holds tasks never is."""
    found, _ = decide(of, by, history, 0.0)
    drain = [one for one in of.workers if one.pod in found.drain]
    assert len(drain) == len(set(found.drain)) == len(found.drain)
    assert all(not one.draining and one.active is not None and one.held == 0 for one in drain)
    others = [one for one in of.consuming if one.pod not in found.drain]
    if any(not one.idle for one in drain):
        assert not any(one.idle for one in others)
        assert len(of.workers) == of.replicas
    consuming = of.replicas - sum(one.draining for one in of.workers)
    assert not found.drain or consuming - len(drain) >= found.desired


@MANY
@given(of=LOADS, by=POLICIES, history=HISTORIES)
def test_only_drained_pods_are_taken_back_and_all_of_them_before_one_is_added(
    of: Load, by: Policy, history: History
) -> None:
    found, _ = decide(of, by, history, 0.0)
    drained = {one.pod for one in of.workers if one.draining}
    assert set(found.undrain) <= drained
    assert not (found.drain and found.undrain)
    if found.desired > of.replicas:
        assert set(found.undrain) == drained


@MANY
@given(of=READ, by=POLICIES, history=HISTORIES)
def test_a_drain_changes_no_number(of: Load, by: Policy, history: History) -> None:
    """What a drained pod runs counts: else each drain would lower the want, and lead to the next one."""
    of = replace(of, workers=tuple(replace(one, reserved=0) for one in of.workers))
    found, history = decide(of, by, history, 0.0)
    after = tuple(replace(one, draining=one.pod in found.drain or one.draining) for one in of.workers)
    then, _ = decide(replace(of, workers=after), by, history, 2.0)
    assert (then.want, then.drain) == (found.want, ())


def regular(busy: int, seconds: float, until: float) -> Iterator[tuple[float, float]]:
    """Tasks that keep so many slots busy, one coming as another ends."""
    return ((number * seconds / busy, seconds) for number in range(int(until * busy / seconds)))


@settings(max_examples=30, deadline=None)
@given(
    busy=st.integers(1, 60),
    seconds=st.floats(2.0, 120.0),
    startup=st.floats(2.0, 20.0),
    by=st.builds(
        lambda target, headroom, window: policy(max_replicas=20, headroom=headroom, window=window, **target),
        st.sampled_from([{"target_latency": 60.0}, {"target_queue_length": 4.0}]),
        st.sampled_from([0.1, 0.3]),
        st.sampled_from([30.0, 120.0]),
    ),
)
def test_constant_load_does_not_flap(busy: int, seconds: float, startup: float, by: Policy) -> None:
    """From zero, over ten minutes with the fleet following: up, down once to what is needed, and never up again."""
    scaler = Ours(by, startup=startup)
    outcome = Fleet(Setting(startup=startup, max_replicas=20)).run(regular(busy, seconds, 600.0), scaler, until=600.0)
    numbers = [number for _, number in outcome.replicas]
    steps = [(later > earlier) for earlier, later in itertools.pairwise(numbers)]
    assert steps == sorted(steps, reverse=True), numbers
    assert outcome.killed == 0
