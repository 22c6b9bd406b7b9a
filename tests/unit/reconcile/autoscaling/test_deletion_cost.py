"""Somebody else writes the deletion cost of pods, too: it is told, nobody fights, and those pods stay."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from celery_operator.kube.objects import Manifest
from celery_operator.reconcile.autoscaling.deletion_cost import COST_ANNOTATION, LEAST_COST, Mark, is_cheap
from celery_operator.reconcile.autoscaling.group import Outcome
from tests.unit.reconcile.autoscaling.fleet import WINDOW, Fleet
from tests.unit.reconcile.autoscaling.test_group import idle

Writer = Callable[[Fleet], None]


def write(cost: str | None, *pods: str) -> Writer:
    """Somebody who gives these pods that cost, or takes it away."""

    def written(fleet: Fleet) -> None:
        for name in pods:
            if name in fleet.pods:
                annotations = fleet.pods[name]["metadata"]["annotations"]
                annotations[COST_ANNOTATION] = cost
                if cost is None:
                    del annotations[COST_ANNOTATION]

    return written


def beside(fleet: Fleet, writer: Writer, seconds: float) -> list[Outcome]:
    """Look, carry out, and let somebody else write, every two seconds."""
    out, end = [], fleet.now + seconds
    while fleet.now < end:
        out.append(fleet.look())
        fleet.apply(out[-1])
        writer(fleet)
    return out


def marked(count: int) -> Fleet:
    """Idle pods whose marks have been seen, just before the number is lowered."""
    fleet = idle(count)
    fleet.run(6)
    assert all(is_cheap(pod) for pod in fleet.pods.values())
    assert len(fleet.pods) == count
    return fleet


def costs(outcomes: list[Outcome], pod: str) -> list[str | None]:
    """What was asked to be written as the cost of a pod."""
    asked = [outcome.target.marks[pod].annotations for outcome in outcomes if pod in outcome.target.marks]
    return [annotations[COST_ANNOTATION] for annotations in asked if COST_ANNOTATION in annotations]


@pytest.mark.parametrize("cost", ["100", None])
def test_a_pod_whose_mark_somebody_changed_stays_consumes_and_is_told_of(cost: str | None) -> None:
    fleet = marked(2)
    write(cost, "p0")(fleet)
    outcomes = beside(fleet, lambda _: None, WINDOW)
    assert set(fleet.pods) == {"p0"}, "the other one is still ours to remove"
    assert costs(outcomes, "p0") == []
    assert {where.name for where in outcomes[0].let_go} == {"p0"}
    assert "uid-p0" not in fleet.held
    problem = outcomes[-1].view.problem
    assert problem is not None
    assert problem.reason == "DeletionCostContested"
    assert "pod p0" in problem.message
    assert ('"100"' if cost else "took it away") in problem.message
    assert len({outcome.view.problem for outcome in outcomes}) == 1, "told once"


def test_a_truce_ends_and_the_pod_goes() -> None:
    fleet = marked(1)
    write("7", "p0")(fleet)
    beside(fleet, lambda _: None, 590)
    assert set(fleet.pods) == {"p0"}
    beside(fleet, lambda _: None, 30)
    assert not fleet.pods


def test_who_undoes_every_mark_at_once_is_not_fought() -> None:
    fleet = idle(2)
    outcomes = beside(fleet, write("5", "p0", "p1"), 400)
    assert set(fleet.pods) == {"p0", "p1"}
    problem = outcomes[-1].view.problem
    assert problem is not None
    assert problem.reason == "DeletionCostContested"
    for pod in fleet.pods:
        assert costs(outcomes[20:], pod) == []


def test_nothing_is_lowered_while_somebody_makes_a_pod_cheap_that_works() -> None:
    fleet = idle(2)
    fleet.say("p1", active=2)
    fleet.unacked = 2
    outcomes = beside(fleet, write(LEAST_COST, "p1"), 300)
    assert set(fleet.pods) == {"p0", "p1"}
    assert costs(outcomes[20:], "p1") == []
    problem = outcomes[-1].view.problem
    assert problem is not None
    assert problem.reason == "DeletionCostContested"


def test_marks_that_could_not_be_written_are_asked_for_again_and_told_of() -> None:
    fleet = idle(1)
    fleet.apply(fleet.look())
    for _ in range(60):
        outcome = fleet.look()
    assert costs([outcome], "p0") == [LEAST_COST]
    assert outcome.view.problem is not None
    assert "pod p0 cannot be marked as the first to be deleted" in outcome.view.problem.message
    outcomes = fleet.run(10)
    assert not fleet.pods
    assert outcomes[-1].view.problem is None


def pod_with(cost: str | None) -> Manifest:
    return {"metadata": {"annotations": {} if cost is None else {COST_ANNOTATION: cost}}}


def seen(mark: Mark, cost: str | None, now: float, *, victim: bool) -> dict[str, str | None]:
    """One look at a pod that has this cost, as a group does it; what it asks to have written."""
    pod = pod_with(cost)
    mark.look(pod, now)
    assert mark.contested_at is None, "nobody else has written anything"
    if victim:
        mark.settled(pod, now)
    return mark.change(pod, victim=victim, now=now)


def test_a_pod_that_is_chosen_again_before_its_mark_was_taken_away_is_nobody_elses() -> None:
    """The mark that was to go is wanted again, is still there, and stays while something else hinders the removal."""
    mark = Mark()
    assert seen(mark, None, 0.0, victim=True) == {COST_ANNOTATION: LEAST_COST}
    assert seen(mark, LEAST_COST, 2.0, victim=False) == {COST_ANNOTATION: None}
    for second in range(4, 120, 2):
        assert seen(mark, LEAST_COST, second, victim=True) == {}


def test_our_own_late_removal_of_a_mark_is_nobody_elses() -> None:
    """It was on its way to the API server when the pod was chosen again."""
    mark = Mark()
    seen(mark, None, 0.0, victim=True)
    seen(mark, LEAST_COST, 2.0, victim=False)
    assert seen(mark, LEAST_COST, 4.0, victim=True) == {}
    assert seen(mark, None, 6.0, victim=True) == {COST_ANNOTATION: LEAST_COST}
    assert seen(mark, LEAST_COST, 8.0, victim=True) == {}
    mark.look(pod_with(None), 10.0)
    assert mark.contested_at == 10.0, "that one was not asked for"


@pytest.mark.parametrize(
    ("cost", "cheap"), [(None, False), ("0", False), (LEAST_COST, True), ("-2147483648", True), ("much", False)]
)
def test_who_is_taken_first(cost: str | None, cheap: bool) -> None:
    assert is_cheap(pod_with(cost)) == cheap
