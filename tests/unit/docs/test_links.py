"""Every link of the documentation leads somewhere, on a code host and on the site."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.unit.docs.markdown import DOCS, ROOT, Page, pages, read, slug

PAGES = pages()


class _Loader(yaml.SafeLoader):
    """Reads mkdocs.yml without making the Python objects that it names."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda _loader, _suffix, _node: None)


def _problem(page: Page, link: str) -> str | None:
    """What is wrong with a link within the project."""
    file, _, part = link.partition("#")
    target = (page.path.parent / file).resolve() if file else page.path
    if not target.exists():
        return "there is no such file"
    if page.path.is_relative_to(DOCS) and not target.is_relative_to(DOCS):
        return "the site has only what is in docs/; name the file instead"
    if part and target.suffix == ".md" and part not in read(target).anchors:
        return f"there is no such heading; there are {', '.join(sorted(read(target).anchors))}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Page) -> None:
    within = [(line, link) for line, link in page.links if not re.match(r"(https?|mailto):", link)]
    found = [f"{page.name}:{line}: {link}: {why}" for line, link in within if (why := _problem(page, link))]
    assert found == []


def test_links_to_headings_are_looked_at() -> None:
    """Else the test above could not fail for them."""
    page = read(DOCS / "api.md")
    assert _problem(page, "concepts.md#what-becomes-of-it") is None
    assert "no such heading" in (_problem(page, "concepts.md#what-becomes-of-us") or "")
    assert "no such file" in (_problem(page, "nowhere.md") or "")
    assert "the site has only" in (_problem(page, "../README.md") or "")


def test_anchors_are_those_of_github() -> None:
    assert slug("`kubectl scale`") == "kubectl-scale"
    assert slug("How a task ends, and where: `spec.workers[]`") == "how-a-task-ends-and-where-specworkers"
    assert slug("Argo CD & Flux") == "argo-cd--flux"


def test_the_site_shows_every_page() -> None:
    """A page that the navigation forgets can only be found by who knows its address."""
    site = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader=_Loader)

    def named(entry: object) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        values = entry if isinstance(entry, list) else list(entry.values()) if isinstance(entry, dict) else []
        return [name for value in values for name in named(value)]

    in_navigation = named(site["nav"])
    assert sorted(in_navigation) == sorted(set(in_navigation))
    assert set(in_navigation) == {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_list_begins_after_an_empty_line(page: Page) -> None:
    """A code host does without; the site would print the list as one paragraph."""
    stuck = []
    for (number, before), (line, text) in zip(page.prose, page.prose[1:], strict=False):
        begins = re.match(r"(- |1\. )", text) is not None
        if begins and line == number + 1 and before.strip() and not re.match(r"\s|- |\d+\. |<!--|#|\|", before):
            stuck.append(f"{page.name}:{line}: {text[:60]}")
    assert stuck == []
