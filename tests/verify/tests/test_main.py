"""What becomes of a part that pytest ran, with a real pytest and the smallest tests there are."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.verify import __main__ as verify
from tests.verify import result
from tests.verify.measured import DELIVERY_RESULTS, FOLDER_VARIABLE
from tests.verify.parts import Part

PASSES: Final = f"""
import os
def test_it():
    assert os.environ[{FOLDER_VARIABLE!r}] == {str(DELIVERY_RESULTS)!r}
"""
INTERRUPTED: Final = """
def test_one():
    pass
def test_two():
    raise KeyboardInterrupt
"""


def _part(folder: Path, text: str) -> Part:
    (folder / "test_it.py").write_text(text)
    return Part(name="tiny", paths=(str(folder / "test_it.py"),), minutes=1, marker=None)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written to the committed results."""
    monkeypatch.setattr(result, "FOLDER", tmp_path / "results")
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)


def test_the_rows_that_a_part_measures_go_to_the_committed_folder(tmp_path: Path) -> None:
    assert verify._passes(_part(tmp_path, PASSES), again=False)
    kept = result.read("tiny")
    assert kept is not None
    assert (kept.passed, kept.failed, kept.workers) == (1, 0, 1)


def test_an_interrupted_part_is_not_kept_although_nothing_failed(tmp_path: Path) -> None:
    assert not verify._passes(_part(tmp_path, INTERRUPTED), again=False)
    assert result.read("tiny") is None
