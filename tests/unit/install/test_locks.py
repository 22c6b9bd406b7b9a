"""What is installed is pinned with hashes, and no lock names the host of a registry: each machine has its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.install.files import ROOT

LOCKS = sorted(
    path
    for pattern in ("requirements/*.lock", "worker_image/*.lock", "tests/integration/**/requirements/*.txt")
    for path in ROOT.glob(pattern)
)
GO_MODULES = sorted((ROOT / "tests" / "cluster" / "go").glob("*/go.mod"))
PIN = re.compile(r"^[a-z0-9][a-z0-9._-]*(\[[a-z0-9,._-]+\])?==[^\s;\\]+")


def _requirements(path: Path) -> list[str]:
    """Each requirement with the lines that go on with it."""
    text = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("#"))
    return [one for one in text.replace("\\\n", " ").splitlines() if one.strip()]


def test_every_place_has_its_locks() -> None:
    names = {str(path.relative_to(ROOT)) for path in LOCKS}
    assert {"requirements/operator.lock", "requirements/dev.lock", "worker_image/requirements.lock"} <= names
    assert len([name for name in names if name.startswith("tests/")]) >= 5
    assert len(GO_MODULES) >= 2


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_requirement_is_pinned_and_hashed(path: Path) -> None:
    found = _requirements(path)
    assert found or path.stem == "empty"
    assert [one for one in found if not PIN.match(one) or "--hash=sha256:" not in one] == []


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_lock_names_a_host(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    assert not re.search(r"^\s*--(extra-)?index-url", text, re.MULTILINE)


@pytest.mark.parametrize("path", GO_MODULES, ids=lambda path: path.parent.name)
def test_go_modules_have_their_sums(path: Path) -> None:
    sums = (path.parent / "go.sum").read_text()
    required = re.findall(r"^\s*(?:require )?([a-z0-9][^\s(]*/\S+) (v[0-9]\S+)", path.read_text(), re.MULTILINE)
    assert required
    replaced = set(re.findall(r"^\s*(?:replace )?(\S+)(?: v\S+)? => ", path.read_text(), re.MULTILINE))
    assert [name for name, version in required if name not in replaced and f"{name} {version}" not in sums] == []
