"""README, documentation and changelog say what is so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import starlette_reactive

ROOT = Path(__file__).parents[2]
SMALLEST = ROOT / "docs" / "examples" / "smallest"
README = (ROOT / "README.md").read_text()
RUN = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[example]' && .venv/bin/python -m example_app"
TEST = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[dev]' && .venv/bin/python -m pytest"


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
    assert (SMALLEST / "page.html").read_text() in fenced(README, "html")


def test_the_smallest_program_is_small() -> None:
    assert len((SMALLEST / "app.py").read_text().splitlines()) <= 30


def test_the_smallest_program_has_the_examples_scripts() -> None:
    vendor = ROOT / "example_app" / "static" / "vendor"
    for copy, original in {
        "htmx.min.js": vendor / "htmx-2.0.11" / "htmx.min.js",
        "sse.min.js": vendor / "htmx-ext-sse-2.2.4" / "sse.min.js",
    }.items():
        assert (SMALLEST / "static" / copy).read_bytes() == original.read_bytes()


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_changelog_holds_the_version_of_the_package() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[:2] == ["Unreleased", version]


def test_the_reference_documents_every_public_name() -> None:
    documented = re.findall(
        r"^::: starlette_reactive\.(\w+)$", (ROOT / "docs" / "reference.md").read_text(), re.MULTILINE
    )
    assert sorted(documented) == sorted(starlette_reactive.__all__)
