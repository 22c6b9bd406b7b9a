"""A build that fails or is killed leaves nothing that counts as the image, neither a half archive nor an old one."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from tests.cluster.cache import CACHE_VARIABLE
from tests.cluster.errors import ClusterError
from tests.cluster.images.build import archive_of, build

_TAG = "example:1"
# Stands for buildah, whose storage needs root and mounts: `bud` notes that it ran, `push` writes what the file `pushes`
# says to the archive that its last word names, and either fails when a file of its name says so.
_BUILDAH = """
verb=$1; folder=$0
echo "$verb" >> "$folder/calls"
for last; do :; done
archive=${last#oci-archive:}; archive=${archive%%:*}
[ "$verb" = push ] && printf half > "$archive"
[ -e "$folder/$verb-fails" ] && exit 1
[ "$verb" = push ] && cp "$folder/content" "$archive"
exit 0
"""


class Stand:
    """A context to build and the stand-in for buildah."""

    def __init__(self, folder: Path) -> None:
        self.context = folder / "context"
        self.context.mkdir()
        (self.context / "Dockerfile").write_text("FROM scratch\n")
        self._folder = folder

    def change(self, content: str) -> None:
        (self.context / "app.py").write_text(content)
        (self._folder / "content").write_text(content)

    def failing(self, verb: str, *, fails: bool = True) -> None:
        mark = self._folder / f"{verb}-fails"
        mark.touch() if fails else mark.unlink()

    def build(self) -> str:
        return build(self.context, _TAG).read_text()

    def calls(self) -> list[str]:
        return (self._folder / "calls").read_text().split()


@pytest.fixture
def stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stand:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    module = importlib.import_module("tests.cluster.images.build")
    monkeypatch.setattr(module, "buildah", lambda *words: ["sh", "-c", _BUILDAH, tmp_path, *words])
    return Stand(tmp_path)


def test_an_unchanged_context_is_built_once(stand: Stand) -> None:
    stand.change("one")
    assert [stand.build(), stand.build()] == ["one", "one"]
    assert stand.calls() == ["bud", "push"]


@pytest.mark.parametrize("verb", ["bud", "push"])
def test_a_failed_build_leaves_no_archive_and_the_next_one_builds(stand: Stand, verb: str) -> None:
    stand.change("one")
    stand.build()
    stand.change("two")
    stand.failing(verb)
    for _ in range(2):
        with pytest.raises(ClusterError, match="failed with code 1"):
            stand.build()
        assert not archive_of(_TAG).exists()
    stand.failing(verb, fails=False)
    assert stand.build() == "two"
    folder = archive_of(_TAG).parent
    assert {one.name for one in folder.iterdir()} == {archive_of(_TAG).name, archive_of(_TAG).with_suffix(".key").name}


def test_after_a_failure_not_even_the_old_context_counts_as_built(stand: Stand) -> None:
    stand.change("one")
    stand.build()
    stand.change("two")
    stand.failing("push")
    with pytest.raises(ClusterError):
        stand.build()
    stand.failing("push", fails=False)
    stand.change("one")
    assert stand.build() == "one"
    assert stand.calls() == ["bud", "push"] * 3
