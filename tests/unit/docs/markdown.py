"""Reads Markdown as far as the tests need it: headings with their anchors, links, and blocks of code."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
DOCS: Final = ROOT / "docs"

_FENCE: Final = re.compile(r"^(\s*)```(\w*)\s*$")
_MARK: Final = re.compile(r"^\s*<!-- yaml: (.+?) -->\s*$")
_HEADING: Final = re.compile(r"^#{1,6} +(.+?)\s*$")
_LINK: Final = re.compile(r"!?\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(([^()\s]+)\)")
_CODE: Final = re.compile(r"`[^`]*`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of code. `mark` is the comment `<!-- yaml: … -->` right before it; `line` counts from 1."""

    page: str
    line: int
    language: str
    text: str
    mark: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One file. `prose` are its lines without those of code, with their numbers."""

    path: Path
    prose: list[tuple[int, str]] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The path within the project."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def links(self) -> list[tuple[int, str]]:
        """The targets of links and pictures, with their lines."""
        return [(line, link) for line, text in self.prose for link in _LINK.findall(_CODE.sub("``", text))]

    @property
    def anchors(self) -> set[str]:
        """What a link to a part of this page may name."""
        found: set[str] = set()
        for _, text in self.prose:
            if (heading := _HEADING.match(text)) is None:
                continue
            plain = slug(heading[1])
            number, one = 0, plain
            while one in found:
                number += 1
                one = f"{plain}-{number}"
            found.add(one)
        return found


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it and mkdocs.yml asks Python-Markdown to."""
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


@cache
def read(path: Path) -> Page:
    """The page that a file holds."""
    page = Page(path=path)
    lines = path.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        opened = _FENCE.match(lines[number])
        if opened is None:
            page.prose.append((number + 1, lines[number]))
            number += 1
            continue
        mark = _MARK.match(lines[number - 1]) if number else None
        end = next(n for n in range(number + 1, len(lines)) if lines[n].strip() == "```")
        text = textwrap.dedent("\n".join(lines[number + 1 : end])) + "\n"
        block = Block(
            page=page.name, line=number + 1, language=opened[2], text=text, mark=mark[1] if mark is not None else ""
        )
        page.blocks.append(block)
        number = end + 1
    return page


def pages() -> list[Page]:
    """Everything for people: the documentation, and what stands at the top of the project."""
    files = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
    return [read(path) for path in files]


def indented(page: Page) -> Iterator[Block]:
    """Code that is marked by four spaces alone, outside of lists."""
    lines: list[str] = []
    first, before = 0, ""
    for number, text in [*page.prose, (0, "end")]:
        if text.startswith("    ") and (lines or not before.strip()):
            first = first or number
            lines.append(text)
        elif lines and not text.strip():
            lines.append("")
        elif lines:
            yield Block(page=page.name, line=first, language="", text=textwrap.dedent("\n".join(lines)).strip() + "\n")
            lines, first = [], 0
        before = text
