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

MANY = settings(max_examples=100)

WORKERS = st.lists(
    st.builds(
        lambda **fields: fields,
        active=st.one_of(st.none(), st.integers(0, 4)),
        reserved=st.integers(0, 3),
        held=st.sampled_from([0, 0, 0, 2]),
        eta=st.integers(0, 3),
        draining=st.booleans(),
        can_drain=st.sampled_from([True, True, True, False]),
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


def history(wants: dict[int, int], age: int, blind: int | None, prior: float | None, low: int) -> History:
    """``wants`` by how many seconds ago; as decisions leave them, each larger than all later ones.

    Some wanted one more for calm; ``low`` slots were the fewest.
    """
    kept: list[tuple[float, int]] = []
    for seconds, want in sorted(wants.items()):
        if not kept or want > kept[-1][1]:
            kept.append((-float(seconds), want))
    return History(
        wants=tuple(reversed(kept)),
        calm=tuple((at, want + 1) for at, want in reversed(kept)),
        lows=((-60.0, float(low)),),
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
    st.integers(0, 40),
)
QUEUES = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 500)),
        st.one_of(st.none(), st.integers(0, 100)),
        st.one_of(st.none(), st.floats(-5.0, 4000.0)),
        st.sampled_from([1.0, 1.0, 0.25]),
    ),
    min_size=1,
    max_size=3,
).map(
    lambda found: tuple(
        Queue(name=f"q{number}", ready=ready, future_eta=later and min(later, ready or 0), next_eta=eta, share=share)
        for number, (ready, later, eta, share) in enumerate(found)
    )
)
LOADS = st.builds(
    lambda queues, fleet, starting, unacked, needed: Load(
        queues=queues,
        workers=fleet,
        replicas=max(0, len(fleet) + starting),
        slots_per_worker=4,
        unacked=unacked,
        unacked_needed=needed,
    ),
    QUEUES,
    WORKERS,
    st.sampled_from([0, 0, 0, 1, 3, -1, -2]),
    st.one_of(st.none(), st.integers(0, 20)),
    st.booleans(),
)
"""With pods that have not appeared, and with pods that are more than the number asks for and not gone yet."""
READ = LOADS.filter(lambda load: not load.unreadable)
STILL = READ.map(
    lambda load: replace(
        load,
        queues=tuple(replace(queue, ready=queue.future_eta or 0, next_eta=None) for queue in load.queues),
        workers=tuple(replace(one, reserved=0) for one in load.workers),
    )
)
"""Loads of which nothing is due."""


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
    """But for the headroom, which is for what is known to run: silence asks for none."""
    by = replace(by, headroom=0.0)
    less = tuple(replace(one, active=None) if at in silent else one for at, one in enumerate(of.workers))
    told, untold = decide(of, by, history, 0.0)[0], decide(replace(of, workers=less), by, history, 0.0)[0]
    assert untold.want >= min(told.want, of.replicas)
    assert untold.desired >= min(told.desired, of.replicas)
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
    """A busy pod is drained only when no idle one would still consume; who is silent or holds tasks never is.

    Where ETAs are hidden, who holds ETA tasks is as good as busy.
    """
    found, _ = decide(of, by, history, 0.0)
    drain = [one for one in of.workers if one.pod in found.drain]
    assert len(drain) == len(set(found.drain)) == len(found.drain)
    assert all(not one.draining and one.active is not None and one.held == 0 for one in drain)
    idle = {one.pod for one in of.workers if one.idle and one.can_drain and not (of.hides_eta and one.eta)}
    others = {one.pod for one in of.consuming}.difference(found.drain)
    if not idle.issuperset(found.drain):
        assert not idle & others
        assert len(of.workers) >= of.replicas
    consuming = of.replicas - sum(one.drained for one in of.workers)
    assert not found.drain or consuming - len(drain) >= found.desired


@MANY
@given(of=LOADS, by=POLICIES, history=HISTORIES)
def test_only_drained_pods_are_taken_back_and_all_of_them_before_one_is_added(
    of: Load, by: Policy, history: History
) -> None:
    found, _ = decide(of, by, history, 0.0)
    drained = {one.pod for one in of.workers if one.drained}
    assert set(found.undrain) <= drained
    assert not (found.drain and found.undrain)
    if found.desired > max(of.replicas, len(of.workers)):
        assert set(found.undrain) == drained


@MANY
@given(of=LOADS, by=POLICIES, history=HISTORIES)
def test_a_drained_worker_is_taken_back_only_when_more_are_wanted_than_consume(
    of: Load, by: Policy, history: History
) -> None:
    """Neither because a number is held for lack of a window, nor because it has been lowered by the victims already."""
    found, _ = decide(of, by, history, 0.0)
    assert len(found.undrain) <= max(0, min(found.want, found.desired) - len(of.consuming))


@MANY
@given(of=STILL, by=POLICIES, pods=st.integers(1, 12))
def test_a_new_leader_leaves_those_drained_that_it_finds_so_while_nothing_is_due(
    of: Load, by: Policy, pods: int
) -> None:
    fleet = tuple(worker(f"w{number}", draining=True) for number in range(pods))
    of, by = replace(of, workers=fleet, replicas=pods, unacked=None), replace(by, min_replicas=0)
    found, history = decide(of, by, History(), 0.0)
    assert (found.undrain, found.drain, found.desired) == ((), (), min(pods, by.max_replicas))
    later, _ = decide(of, by, history, 60.0)
    assert (later.undrain, later.desired) == ((), min(pods, by.max_replicas)), "and after a gap"


@MANY
@given(of=READ, by=POLICIES, history=HISTORIES)
def test_a_victim_that_is_not_gone_yet_is_not_taken_back(of: Load, by: Policy, history: History) -> None:
    """The number is lower already, and the pods are as many as before: the same want takes nobody back."""
    of = replace(of, replicas=len(of.workers))
    found, after = decide(of, by, history, 0.0)
    leaving = sum(one.drained for one in of.workers)
    lowered = max(found.desired, of.replicas - leaving)
    assert found.undrain or not decide(replace(of, replicas=lowered), by, after, 0.0)[0].undrain


@MANY
@given(of=LOADS, by=POLICIES, history=HISTORIES, at=st.integers(0, 11))
def test_who_cannot_be_told_is_left_alone_and_consumes(of: Load, by: Policy, history: History, at: int) -> None:
    def fleet(draining: bool) -> Load:
        some = tuple(
            replace(one, draining=draining, can_drain=False) if number == at else one
            for number, one in enumerate(of.workers)
        )
        return replace(of, workers=some)

    found, _ = decide(fleet(draining=True), by, history, 0.0)
    assert f"w{at}" not in {*found.drain, *found.undrain}
    assert found == decide(fleet(draining=False), by, history, 0.0)[0], "told or not, it is the same"


@MANY
@given(of=STILL, by=POLICIES, history=HISTORIES, silent=st.sets(st.integers(0, 11)))
def test_silence_alone_asks_for_no_more_than_there_is(of: Load, by: Policy, history: History, silent: set[int]) -> None:
    less = tuple(replace(one, active=None) if at in silent else one for at, one in enumerate(of.workers))
    idle = tuple(replace(one, active=0) if one.active is None else one for one in less)
    with_it, without = (decide(replace(of, workers=some), by, history, 0.0)[0] for some in (less, idle))
    assert with_it.demand is not None
    assert with_it.demand.due == 0
    assert with_it.want <= max(without.want, of.replicas, by.min_replicas)
    assert with_it.desired <= max(without.desired, of.replicas, by.min_replicas)


@MANY
@given(of=STILL, by=POLICIES, age=st.floats(0.0, 5.9))
def test_at_first_what_runs_asks_for_no_more_than_there_is(of: Load, by: Policy, age: float) -> None:
    full = tuple(one if one.active is None else replace(one, active=one.slots) for one in of.workers)
    of = replace(of, replicas=max(1, of.replicas), workers=full)
    found, _ = decide(of, by, History(since=-age), 0.0)
    assert found.want <= max(of.replicas, by.min_replicas)


@MANY
@given(of=READ, by=POLICIES, history=HISTORIES, eta=st.integers(1, 5), at=st.integers(0, 11))
def test_where_etas_are_hidden_somebody_goes_on_holding_them(
    of: Load, by: Policy, history: History, eta: int, at: int
) -> None:
    """Never below one worker, and who holds them goes only when everybody else goes who may."""
    some = tuple(replace(one, eta=eta) if number == at else one for number, one in enumerate(of.workers))
    of = replace(of, workers=some, queues=(*of.queues, Queue(name="hidden", ready=0, future_eta=None)))
    found, _ = decide(of, by, history, 0.0)
    if any(one.eta for one in some):
        assert min(found.want, found.desired) >= 1
    drain = [one for one in some if one.pod in found.drain]
    if any(one.eta for one in drain):
        left = [one for one in of.consuming if one.pod not in found.drain]
        assert left
        assert all(one.eta or one.held or one.active is None or not one.can_drain for one in left)


@MANY
@given(of=READ, by=POLICIES, history=HISTORIES, orphaned=st.one_of(st.none(), st.floats(-500.0, 0.0)))
def test_what_nobody_knows_is_not_forgotten_and_lets_nothing_go(
    of: Load, by: Policy, history: History, orphaned: float | None
) -> None:
    of, history = replace(of, unacked_needed=False), replace(history, orphans_since=orphaned)
    found, later = decide(replace(of, unacked=None), by, history, 0.0)
    assert later.orphans_since == orphaned
    assert found.needs_unacked == (orphaned is not None or (found.want == 0 and of.replicas > 0))
    if orphaned is not None and of.replicas > 0:
        assert min(found.want, found.desired) >= 1
    if orphaned is None:
        assert found.want == decide(replace(of, unacked=0), by, history, 0.0)[0].want


@MANY
@given(of=READ, by=POLICIES, history=HISTORIES)
def test_what_somebody_should_know_and_does_not_lets_nobody_go_to_zero(of: Load, by: Policy, history: History) -> None:
    of = replace(of, unacked=None, unacked_needed=True)
    found, _ = decide(of, by, history, 0.0)
    known, _ = decide(replace(of, unacked=0), by, history, 0.0)
    assert found.want == max(known.want, min(of.replicas, 1))
    assert found.desired >= min(of.replicas, 1)
    assert found.needs_unacked == known.needs_unacked == (known.want == 0 and of.replicas > 0)


@MANY
@given(of=READ, by=POLICIES, history=HISTORIES)
def test_a_drain_changes_no_number(of: Load, by: Policy, history: History) -> None:
    """What a drained pod runs counts: else each drain would lower the want, and lead to the next one.

    Looked at again at once, so that no window ends in between.
    """
    of = replace(of, workers=tuple(replace(one, reserved=0) for one in of.workers))
    found, history = decide(of, by, history, 0.0)
    after = tuple(replace(one, draining=one.pod in found.drain or one.draining) for one in of.workers)
    then, _ = decide(replace(of, workers=after), by, history, 0.0)
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
