"""Entry points that keep SIGTERM from the worker, or give it to the pool's children as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from celery_operator.runtime.process_tree import judge, warnings


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("/bin/sh -c python launch.py worker", "exec"),
        ("/usr/bin/bash /entrypoint.sh", "exec"),
        ("/sbin/tini -g -- python launch.py worker", "-g"),
        ("tini -vg python launch.py worker", "-g"),
        ("dumb-init python launch.py worker", "--single-child"),
        ("tini -- python launch.py worker -g", None),
        ("tini python launch.py worker", None),
        ("dumb-init -c -- python launch.py", None),
        ("dumb-init --single-child python launch.py", None),
        ("/pause", None),
        ("s6-svscan /run/service", None),
    ],
)
def test_process_1_is_judged(command: str, word: str | None) -> None:
    said = judge(command.split())
    assert said is None if word is None else word in (said or "")


def test_only_a_parent_that_is_process_1_is_asked(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "cmdline").write_bytes(b"/bin/sh\0-c\0python launch.py\0")
    assert len(warnings(str(tmp_path), parent=1)) == 1
    assert warnings(str(tmp_path), parent=77) == []
    assert warnings(str(tmp_path / "nowhere"), parent=1) == []
