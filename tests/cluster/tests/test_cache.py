"""The cache: things appear whole, once, and under their complete name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.cache import CACHE_VARIABLE, cache_folder, make_once
from tests.cluster.images.build import _key, archive_of, qualified
from tests.cluster.versions import TOOLS


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_failed_build_leaves_no_target_and_the_next_one_removes_its_remains(cache: Path) -> None:
    target = cache / "bin" / "thing"

    def broken(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError("no space")

    with pytest.raises(RuntimeError, match="no space"):
        make_once(target, "thing", broken)
    assert not target.exists()

    def sound(temporary: Path) -> None:
        temporary.write_text("whole")

    make_once(target, "thing", sound)
    assert [one.name for one in target.parent.iterdir()] == ["thing"]
    assert target.read_text() == "whole"


def test_a_cached_thing_is_not_built_again(cache: Path) -> None:
    built: list[Path] = []

    def build(temporary: Path) -> None:
        built.append(temporary)
        temporary.touch()

    for _ in range(2):
        make_once(cache / "bin" / "thing", "thing", build)
    assert len(built) == 1


def test_the_cache_is_in_the_users_cache_folder_unless_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(CACHE_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "celery-operator"


@pytest.mark.parametrize(
    ("given", "complete"),
    [
        ("redis", "docker.io/library/redis:latest"),
        ("redis:7", "docker.io/library/redis:7"),
        ("celery-operator/worker:0.1.0", "docker.io/celery-operator/worker:0.1.0"),
        ("localhost/base:1", "localhost/base:1"),
        ("example.com/team/app:2", "example.com/team/app:2"),
        ("host:5000/app", "host:5000/app:latest"),
    ],
)
def test_image_names_are_completed_as_kubelets_do(given: str, complete: str) -> None:
    assert qualified(given) == complete
    assert archive_of(given) == archive_of(complete)


def test_two_versions_of_a_tool_have_two_folders() -> None:
    assert TOOLS["helm"].package_folder == f"helm-{TOOLS['helm'].version}"
    assert TOOLS["kubelet"].package_folder == TOOLS["kubectl"].package_folder


def test_an_image_is_built_again_when_a_file_its_mode_or_an_argument_changes(tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM scratch\n")
    (context / "app.py").write_text("1")
    keys = [_key(context, context / "Dockerfile", {})]
    (context / "app.py").write_text("2")
    keys.append(_key(context, context / "Dockerfile", {}))
    (context / "app.py").chmod(0o755)
    keys.append(_key(context, context / "Dockerfile", {}))
    keys.append(_key(context, context / "Dockerfile", {"VERSION": "2"}))
    assert len(set(keys)) == 4


def test_folders_that_a_dockerignore_names_do_not_cause_a_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / ".dockerignore").write_text("docs/\n")
    before = _key(tmp_path, tmp_path / "Dockerfile", {})
    (tmp_path / "docs" / "page.md").write_text("new")
    assert _key(tmp_path, tmp_path / "Dockerfile", {}) == before
