"""Who is drained: idle pods first, then the least busy; and who is taken back."""

from __future__ import annotations

import pytest

from celery_operator.scaling.model import Reason, Worker
from tests.unit.scaling.loads import decided, load, policy, worker, workers


def test_new_work_takes_drained_pods_back_before_it_adds_any() -> None:
    fleet = (worker("a", active=4), worker("b", draining=True), worker("c", draining=True, active=2))
    found = decided(load(ready=3, workers=fleet), policy(target_queue_length=2))
    assert found.undrain == ("c",), "the fuller one would have taken longer to go"
    assert found.desired == 2, "the other one may go on leaving"


def test_idle_pods_go_in_the_order_in_which_a_replica_set_would_take_them() -> None:
    fleet = (
        worker("just-idle", idle_seconds=1),
        worker("old", idle_seconds=900),
        worker("holds-eta", idle_seconds=1000, eta=1),
        worker("not-ready", ready=False),
        worker("busy", active=1),
    )
    found = decided(load(workers=fleet), policy(min_replicas=2))
    assert found.drain == ("not-ready", "old", "holds-eta")
    assert found.desired == 2


def test_busy_pods_are_drained_when_no_idle_one_is_left_the_least_busy_first() -> None:
    fleet = (worker("two", active=2), worker("one", active=1), worker("one-and-one-taken", active=1, reserved=1))
    found = decided(load(workers=(*fleet, worker("idle", idle_seconds=9), worker("full", active=4))))
    assert (found.want, found.drain) == (3, ("idle", "one"))


def test_a_busy_pod_that_is_not_ready_goes_before_other_busy_ones_and_after_idle_ones() -> None:
    fleet = (worker("one", active=1), worker("not-ready", active=3, ready=False), worker("idle"))
    assert decided(load(workers=fleet), policy(max_replicas=2)).drain == ("idle", "not-ready")


def test_a_fleet_that_is_never_idle_shrinks_to_what_its_load_needs() -> None:
    """Ten pods with two of four tasks each: five pods hold them, six with the headroom."""
    found = decided(load(workers=workers(10, active=2)), policy(headroom=0.1))
    assert (found.desired, found.drain, found.reason) == (6, ("w0", "w1", "w2", "w3"), Reason.SURPLUS)


@pytest.mark.parametrize("fields", [{"active": None}, {"active": 1, "held": 1}, {"active": 0, "held": 1}])
def test_who_says_nothing_or_holds_rate_limited_tasks_is_never_drained(fields: dict[str, int | None]) -> None:
    fleet = (worker("special", **fields), worker("full", active=4))
    assert "special" not in decided(load(workers=fleet), policy(max_replicas=1)).drain


def test_no_busy_pod_is_drained_while_others_have_not_appeared() -> None:
    """Ten are asked for and two exist: eight that do nothing yet can go first."""
    busy = workers(2, active=3)
    assert decided(load(workers=busy, replicas=10)).drain == ()
    starting = tuple(worker(f"starting-{number}", ready=False) for number in range(8))
    found = decided(load(workers=(*busy, *starting)))
    assert (len(found.drain), set(found.drain) & {"w0", "w1"}) == (8, set())


def test_who_cannot_be_told_is_never_drained_and_keeps_nobody_else() -> None:
    fleet = (worker("deaf", can_drain=False, idle_seconds=99), worker("b"), worker("c", active=1), worker("d"))
    assert decided(load(workers=fleet), policy(min_replicas=3)).drain == ("b",)


def test_who_was_told_and_refuses_consumes() -> None:
    """So another one is drained in its place, and nobody tells it again."""
    fleet = (worker("refuses", draining=True, can_drain=False), worker("b"), worker("c", active=4))
    found = decided(load(workers=fleet), policy(min_replicas=2))
    assert (found.drain, found.undrain) == (("b",), ())
    taken = (worker("refuses", draining=True, can_drain=False, reserved=9), worker("b"), worker("c", active=4))
    assert decided(load(workers=taken)).desired == 4, "what it has taken is due like anybody's"


def test_where_the_broker_hides_etas_busy_pods_go_before_those_that_hold_some() -> None:
    fleet = (worker("holds", eta=9, idle_seconds=900), worker("busy", active=1), worker("idle", idle_seconds=9))
    hidden, shown = load(workers=fleet, future_eta=None), load(workers=fleet)
    assert decided(hidden, policy(max_replicas=1)).drain == ("idle", "busy")
    assert decided(shown, policy(max_replicas=1)).drain == ("idle", "holds")


def test_of_pods_that_all_hold_hidden_etas_one_goes_on_consuming() -> None:
    holders = workers(3, eta=2)
    assert decided(load(workers=holders, future_eta=None)).drain == ("w0", "w1")
    appearing = load(workers=holders, replicas=5, future_eta=None)
    assert decided(appearing).drain == (), "while some have not appeared nobody knows who would consume"


def test_who_holds_hidden_etas_is_the_first_to_be_taken_back() -> None:
    fleet = (worker("busy", active=2, draining=True), worker("holds", eta=9, draining=True))
    assert decided(load(workers=fleet, future_eta=None)).undrain == ("holds",)
    assert decided(load(workers=fleet)).undrain == ("busy",)


def test_a_worker_is_idle_only_when_it_said_so() -> None:
    assert not Worker(pod="a", slots=4).idle
