"""Somebody else who sets the number of a group's pods again and again is told of; once is nobody's rivalry."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.kube.objects import Manifest
from celery_operator.observe.cache import strip
from celery_operator.reconcile.autoscaling.rivals import RIVAL_SECONDS, Rivals
from celery_operator.reconcile.steps import FIELD_MANAGER, SCALE_MANAGER
from tests.unit.reconcile.autoscaling.fleet import Fleet
from tests.unit.reconcile.autoscaling.test_group import idle

HPA = "kube-controller-manager"


def written_by(*managers: str) -> list[dict[str, Any]]:
    """As an API server notes it: of each manager's fields, and of whoever writes the status."""
    number: dict[str, Any] = {"f:spec": {"f:replicas": {}}}
    status = {"manager": HPA, "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}}
    spec = {"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": {"f:spec": {"f:template": {}}}}
    return [spec, status, *({"manager": each, "operation": "Update", "fieldsV1": number} for each in managers)]


def deployment(*managers: str, generation: int = 1) -> Manifest:
    found = Fleet().deployment()
    metadata = {**found["metadata"], "generation": generation, "managedFields": written_by(*managers)}
    return strip({**found, "metadata": metadata})


def messages(*writers: tuple[str, ...], every: float = 20.0) -> list[str]:
    """What is told at each look, at which these had written the number."""
    rivals, out = Rivals(), []
    for look, managers in enumerate(writers):
        problem = rivals.look(deployment(*managers), None, look * every)
        out.append("" if problem is None else problem.message)
    return out


def test_an_hpa_beside_us_is_told_of_with_what_to_do() -> None:
    *before, told = messages((SCALE_MANAGER,), (HPA,), (HPA,), (SCALE_MANAGER,), (HPA,))
    assert set(before) == {""}
    assert "a HorizontalPodAutoscaler changes the number of pods of Deployment shop-worker-web" in told
    assert "externalScaling: {}" in told
    assert '"keda" changes' in messages((SCALE_MANAGER,), ("keda",), (SCALE_MANAGER,), ("keda",))[-1]


@pytest.mark.parametrize(
    ("generations", "wanted", "is_told"),
    [([1, 3, 5], 9, True), ([1, 2, 3], 9, False), ([1, 3, 5], None, False), ([1, 1, 1], 9, False)],
    ids=["answered at once", "our writes did not come through", "we do not mind", "nobody writes"],
)
def test_who_answers_before_the_next_look_is_told_of_as_well(
    generations: list[int], wanted: int | None, is_told: bool
) -> None:
    rivals = Rivals()
    found = [rivals.look(deployment(HPA, generation=each), wanted, 2.0 * each) for each in generations]
    assert (found[-1] is not None) is is_told
    assert found[:-1] == [None, None]


def test_the_message_stays_the_same_while_they_go_on() -> None:
    found = messages(*[(SCALE_MANAGER,), (HPA,)] * 20)
    assert len(set(found[3:])) == 1
    assert found[3]


@pytest.mark.parametrize(
    "writers",
    [
        [(SCALE_MANAGER,), ("kubectl",), (SCALE_MANAGER,)],
        [(SCALE_MANAGER,), ("kubectl",), ("kubectl",), (HPA,)],
        [(HPA,), (SCALE_MANAGER,), (HPA,)],
        [(SCALE_MANAGER,), (SCALE_MANAGER, HPA), (SCALE_MANAGER,), (SCALE_MANAGER, HPA)],
        [(SCALE_MANAGER,), (), (SCALE_MANAGER,), ()],
    ],
    ids=["once", "one after the other", "handed over, and once", "who agrees", "nobody says"],
)
def test_who_overrules_us_once_is_no_rival(writers: list[tuple[str, ...]]) -> None:
    assert set(messages(*writers)) == {""}


def test_a_rivalry_that_ended_is_forgotten() -> None:
    assert set(messages((SCALE_MANAGER,), (HPA,), (SCALE_MANAGER,), (HPA,), every=RIVAL_SECONDS)) == {""}


def test_a_group_tells_of_it_whatever_hinders_its_removals() -> None:
    fleet = idle(2)
    for writer in (SCALE_MANAGER, HPA, SCALE_MANAGER, HPA):
        fleet.managed_fields = written_by(writer)
        outcome = fleet.look()
    assert outcome.view.problem is not None
    assert outcome.view.problem.reason == "ReplicasContested"
    fleet.dry_run = True
    assert fleet.look().view.problem is None, "who only shows decisions is nobody's rival"
