"""The README, the documentation and the changelog match the project."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

import pytest

from .blocks import DOCS, PAGES, ROOT, name_of

SMALLEST = ROOT / "docs" / "examples" / "smallest"
README = (ROOT / "README.md").read_text()
RUN = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[example]' && .venv/bin/python -m example_app"
TEST = (
    "python3 -m venv .venv && .venv/bin/pip install -q -U pip && .venv/bin/pip install -q -e . --group dev && "
    ".venv/bin/python -m pytest"
)


def fenced(markdown: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", markdown, re.MULTILINE | re.DOTALL)


def test_the_readme_gives_the_two_commands_first() -> None:
    first, second = (block.strip() for block in fenced(README, "sh")[:2])
    assert (first, second) == (RUN, TEST)


def test_ci_runs_the_readmes_test_command() -> None:
    assert "grep -m 1 'python -m pytest$' README.md" in (ROOT / ".ci" / "run").read_text()
    assert next(line for line in README.splitlines() if line.endswith("python -m pytest")) == TEST


def test_the_readme_shows_the_smallest_program_as_it_is() -> None:
    assert (SMALLEST / "app.py").read_text() in fenced(README, "python")
    assert (SMALLEST / "templates" / "page.html").read_text() in fenced(README, "html")


def test_the_smallest_program_is_small() -> None:
    assert len((SMALLEST / "app.py").read_text().splitlines()) <= 25


REPOSITORY = re.compile(r"^https://\S+/starlette-reactive/starlette-reactive/(?:blob/)?main/([^#\s]+)")


def test_the_links_of_the_readme_work_outside_the_repository() -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", README) + re.findall(r"^\[[^\]]+\]: (\S+)$", README, re.MULTILINE)
    assert [target for target in targets if "://" not in target] == []
    files = [found[1] for target in targets if (found := REPOSITORY.match(target))]
    assert len(files) > 20
    assert [name for name in files if not (ROOT / name).exists()] == []


def test_every_reference_of_the_readme_is_defined_and_used() -> None:
    text = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    defined = re.findall(r"^\[([^\]]+)\]: ", text, re.MULTILINE)
    assert set(re.findall(r"\]\[([^\]]+)\]", text)) == set(defined)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_to_a_file_has_a_target(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=name_of)
def test_every_link_to_a_heading_has_a_target(page: Path) -> None:
    for path, anchor in re.findall(r"\]\(([^)#:\s]*)#([^)\s]+)\)", page.read_text()):
        target = page.parent / path if path else page
        assert anchor in anchors(target), f"{path}#{anchor}"


def anchors(page: Path) -> list[str]:
    """Return the ids that the headings of a page get in the documentation."""
    without_code = re.sub(r"^( *`{3,}).*?^\1$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", without_code, re.MULTILINE)
    return [re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings]


def test_every_page_is_in_the_menu() -> None:
    menu = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(menu) == sorted(name_of(page) for page in PAGES if page.is_relative_to(DOCS))


def test_the_changelog_has_an_entry_for_the_version_of_the_package() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[:2] == ["Unreleased", version]


@pytest.mark.parametrize(
    ("page", "module"),
    [
        ("reference.md", "starlette_reactive"),
        ("reference/testing.md", "starlette_reactive.testing"),
        ("reference/assets.md", "starlette_reactive.assets"),
    ],
)
def test_the_reference_documents_every_public_name(page: str, module: str) -> None:
    documented = re.findall(rf"^::: {re.escape(module)}\.(\w+)$", (DOCS / page).read_text(), re.MULTILINE)
    assert sorted(documented) == sorted(importlib.import_module(module).__all__)
