"""Which Celery runs is in the status as soon as a worker has said so, and stays there while nobody can say."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from celery_operator.lint.inputs import Fleet, GroupFacts, Versions
from celery_operator.reconcile.status import build as building
from tests.unit.reconcile.views import Json, running, view

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def fleet(**groups: tuple[str | None, ...]) -> Fleet:
    """Groups with the versions of Celery that their workers tell."""
    facts = {
        name: GroupFacts(versions=frozenset(Versions(celery=celery, kombu="5.6.2") for celery in found))
        for name, found in groups.items()
    }
    return Fleet(groups=facts)


def version(previous: Json, found: Fleet | None) -> str | None:
    """What the status says."""
    told = building.build(view(None, running(), fleet=found), previous, NOW)[0].get("celeryVersion")
    assert told is None or isinstance(told, str)
    return told


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (None, None),
        (fleet(), None),
        (fleet(web=(None,)), None),
        (fleet(web=("5.6.2",), mail=("5.6.2",)), "5.6.2"),
        (fleet(web=("5.6.2", "5.5.3")), "5.5.3, 5.6.2"),
        (fleet(web=tuple(f"5.{number}.{'0' * 20}" for number in range(50))), 253),
    ],
    ids=["nobody asks", "nobody answered", "no Celery", "all the same", "a rollout", "too many to show"],
)
def test_the_versions_that_workers_tell_are_shown(found: Fleet | None, told: str | int | None) -> None:
    shown = version({}, found)
    assert (len(shown or "") if isinstance(told, int) else shown) == told


def test_a_new_operator_keeps_the_version_until_it_has_heard_another() -> None:
    known = {"celeryVersion": "5.6.2"}
    assert version(known, None) == version(known, fleet()) == "5.6.2"
    assert version(known, fleet(web=("5.7.0",))) == "5.7.0"
