"""One bench a test, and its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.delivery.bench import Bench
from tests.integration.delivery.outcome import Cell

BenchMaker = Callable[..., Bench]


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[BenchMaker]:
    """Make the bench of a cell, its broker up; keyword arguments are the pods' settings."""
    benches: list[Bench] = []

    def make(cell: Cell, **settings: Any) -> Bench:
        bench = Bench(cell, tmp_path, settings)
        benches.append(bench)
        bench.server.start()
        return bench

    yield make
    for bench in benches:
        bench.destroy()
