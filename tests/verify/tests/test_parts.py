"""The parts: what each asks of pytest, that none is too long, and that together they have every cell once."""

from __future__ import annotations

import heapq
from pathlib import Path
from typing import Final

import pytest
from _pytest.mark.expression import Expression  # what pytest itself reads -k with

from tests.e2e.delivery.matrix import FULL, SMALL, Case
from tests.verify.parts import PARTS, Part

BESIDE_OTHERS: Final = 1.25
"""How much longer a cell is taken to last beside two others on two cores: pods start more slowly, tasks do not."""
OF_CELLS: Final = [part for part in PARTS if part.paths == ("tests/e2e/delivery",)]


def _cells(part: Part) -> list[Case]:
    assert part.keyword is not None
    wanted = Expression.compile(part.keyword)

    def is_wanted(case: Case) -> bool:
        def names(word: str, /, **_: str | int | bool | None) -> bool:
            return word in str(case)

        return wanted.evaluate(names)

    return [case for case in FULL if is_wanted(case)]


def test_tests_side_by_side_are_given_out_one_by_one() -> None:
    part = Part(name="a", paths=("tests/a",), minutes=1, keyword="not b", workers=3)
    assert part.pytest_words(Path("r.xml")) == [
        *("-q", "--junit-xml=r.xml", "-m", "verify", "-k", "not b"),
        *("-n", "3", "--dist", "load", "--maxschedchunk=1", "tests/a"),
    ]


def test_one_worker_is_no_worker_of_xdist() -> None:
    part = Part(name="a", paths=("tests/a", "tests/b"), minutes=1, marker=None)
    assert part.pytest_words(Path("r.xml")) == ["-q", "--junit-xml=r.xml", "tests/a", "tests/b"]


def test_no_part_is_longer_than_one_sitting() -> None:
    assert all(part.minutes <= 40 for part in PARTS)


def test_every_cell_is_in_one_part() -> None:
    found = sorted(str(case) for part in OF_CELLS for case in _cells(part))
    assert found == sorted(str(case) for case in FULL)


@pytest.mark.parametrize("part", OF_CELLS, ids=lambda part: part.name)
def test_a_cell_that_drains_a_node_has_no_neighbour(part: Part) -> None:
    assert {case.row.needs_two_nodes for case in _cells(part)} == {part.workers == 1}


@pytest.mark.parametrize("part", OF_CELLS, ids=lambda part: part.name)
def test_a_part_of_cells_takes_about_as_long_as_it_says(part: Part) -> None:
    """The next cell goes to whoever is free first."""
    free = [0.0] * part.workers
    for case in _cells(part):
        heapq.heappush(free, heapq.heappop(free) + case.seconds * (BESIDE_OTHERS if part.workers > 1 else 1.0))
    assert 0.7 * part.minutes <= max(free) / 60 <= part.minutes


def test_long_cells_come_first() -> None:
    seconds = [case.seconds for case in FULL]
    assert seconds == sorted(seconds, reverse=True)
    assert seconds[-1] > 0


def test_early_acknowledgement_runs_where_it_says_something() -> None:
    rows = {case.row.name for case in FULL if case.kind == "AtMostOnce"}
    assert rows == {
        "rolling-update",
        "rolling-update-long",
        "scale-in",
        "kill-main",
        "broker-restart",
    }


def test_every_row_and_broker_has_the_operator_and_a_plain_deployment_but_for_two() -> None:
    """The rows of a producer that inspects: what a plain worker runs is acknowledged."""
    both = [{case.kind for case in FULL if (case.row.name, case.broker) == pair} for pair in _pairs()]
    assert all("AtLeastOnce" in kinds for kinds in both)
    without = {name for (name, _), kinds in zip(_pairs(), both, strict=True) if "plain" not in kinds}
    assert without == {"inspecting-producer", "inspecting-producer-5s"}


def test_small_cells_are_one_a_row() -> None:
    assert len({case.row.name for case in SMALL}) == len(SMALL)


def _pairs() -> list[tuple[str, str]]:
    return sorted({(case.row.name, case.broker) for case in FULL})
