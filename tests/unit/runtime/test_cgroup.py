"""concurrency: auto follows the container's CPU limit, in both versions of cgroups."""

from __future__ import annotations

from pathlib import Path

import pytest

from celery_operator.runtime.cgroup import concurrency, cpu_limit

NO_LIMIT = {"cpu.max": "max 100000\n"}


def lay_out(root: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        (NO_LIMIT, None),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4.0),
        ({"cpu,cpuacct/cpu.cfs_quota_us": "50000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "nonsense here\n"}, None),
        ({}, None),
    ],
)
def test_the_limit_is_read(files: dict[str, str], cores: float | None, tmp_path: Path) -> None:
    assert cpu_limit(lay_out(tmp_path, files)) == cores


@pytest.mark.parametrize(
    ("files", "request_", "slots"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.0, 2),
        ({"cpu.max": "10000 100000\n"}, None, 1),
        (NO_LIMIT, 2.5, 3),
        (NO_LIMIT, None, 1),
    ],
)
def test_slots_are_the_limit_else_the_request_else_one(
    files: dict[str, str], request_: float | None, slots: int, tmp_path: Path
) -> None:
    assert concurrency(request_, lay_out(tmp_path, files)) == slots
