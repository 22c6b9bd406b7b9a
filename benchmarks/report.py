"""The report of a run, as docs/benchmarks.md has it."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.figure import Figure
from tests.cluster.versions import KUBERNETES
from tests.e2e.release import VERSION

PATH = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def render(figures: Sequence[Figure], *, command: str, cluster: str, minutes: float, title: str = "Benchmarks") -> str:
    """The whole page, in Markdown."""
    lines = [
        f"<!-- Written by `{command}`. Do not edit. -->",
        f"# {title}",
        "",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, `{command}`, {minutes:.0f} minutes.",
        "",
        f"- Machine: {_machine()}",
        f"- Cluster: provider `{cluster}`, Kubernetes {KUBERNETES}, everything on this one machine",
        f"- Versions: celery-operator {VERSION}, {_versions()}",
        "",
        "| figure | measured | target | |",
        "|---|---|---|---|",
    ]
    lines += [f"| {one.name} | {one.measured} | {one.target} | {_verdict(one)} |" for one in figures]
    for one in figures:
        if one.note:
            lines += ["", f"{one.note}."]
    for one in figures:
        if one.details:
            lines += ["", f"## {one.name}", "", *(f"- `{line}`" for line in one.details)]
    return "\n".join(lines) + "\n"


def save(page: str) -> None:
    """Put a page in the place of the last one of the same command; what other commands wrote stays."""
    mark = "<!-- Written by "
    first = page.splitlines()[0]
    old = PATH.read_text().split(mark) if PATH.exists() else []
    kept = [mark + part for part in old if part and not (mark + part).startswith(first)]
    PATH.write_text("\n".join([*(part.rstrip("\n") + "\n" for part in kept), page]))


def _verdict(figure: Figure) -> str:
    return "pass" if figure.passed else "**fail**"


def _machine() -> str:
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {gibibytes:.0f} GiB of memory, {platform.system()} {platform.release()}"


def _versions() -> str:
    python = ".".join(str(part) for part in sys.version_info[:3])
    packages = (f"{name} {version(name)}" for name in ("kopf", "kubernetes", "pydantic", "aiohttp"))
    return f"Python {python} (of the pass figure; the rest runs in the image), {', '.join(packages)}"
