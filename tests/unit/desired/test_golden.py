"""The manifests are those that were reviewed: an unnoticed change would restart every user's pods at an upgrade."""

from __future__ import annotations

import pytest

from tests.unit.desired import golden_files


@pytest.mark.parametrize("name", golden_files.CLUSTERS)
def test_manifests_are_the_reviewed_ones(name: str) -> None:
    golden = golden_files.FOLDER.joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    assert golden_files.render(name) == golden, (
        "if wanted: python -m tests.unit.desired.golden_files, and read the diff"
    )


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in golden_files.FOLDER.glob("*.yaml")} == set(golden_files.CLUSTERS)
