"""Every code block in the README and the documentation runs, parses, or names commands that exist."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from jinja2 import Environment

from .blocks import PAGES, Block, blocks_of, dedented, name_of
from .running import PRELUDES, run_page
from .shell import check_commands

RUN_ELSEWHERE = {"testing.md": "tests/testing/test_recipes.py"}
"""Pages whose test files another test runs."""

ALLOWED_NOT_RUN = 6

BLOCKS = {page: blocks_of(page) for page in PAGES}


def _parse_jinja(text: str) -> object:
    return Environment(extensions=["jinja2.ext.i18n", "jinja2.ext.do", "jinja2.ext.loopcontrols"]).parse(text)


def _check_diff(text: str) -> None:
    assert all(line[:1] in ("+", "-", " ", "@", "") for line in text.splitlines()), text


CHECKS: dict[str, Callable[[str], object]] = {
    "diff": _check_diff,
    "html": _parse_jinja,
    "jinja": _parse_jinja,
    "json": json.loads,
    "sh": check_commands,
    "toml": tomllib.loads,
}
NOT_CODE = {"css", "ini", "javascript", "nginx", "python", "sql", "text"}
"""Languages that are not parsed. Python is run, and the others belong to programs that are not installed."""


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = BLOCKS[page]
    if name_of(page) not in RUN_ELSEWHERE:
        assert not [block.place for block in blocks if block.title.startswith("test_")]
    run_page(page, blocks, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "block",
    [block for page in PAGES for block in BLOCKS[page] if block.language in CHECKS],
    ids=lambda block: block.place,
)
def test_a_block_is_sound(block: Block) -> None:
    CHECKS[block.language](dedented(block))


def test_every_block_names_its_language() -> None:
    blocks = [block for page in PAGES for block in BLOCKS[page]]
    assert [block.place for block in blocks if block.language not in {*CHECKS, *NOT_CODE}] == []


def test_few_blocks_are_not_run_and_their_titles_give_the_reason() -> None:
    blocks = [block for page in PAGES for block in BLOCKS[page] if block.not_run]
    assert len(blocks) <= ALLOWED_NOT_RUN, [block.place for block in blocks]


def test_python_that_is_not_run_is_parsed() -> None:
    blocks = [block for page in PAGES for block in BLOCKS[page] if block.not_run and block.language == "python"]
    assert blocks
    for block in blocks:
        compile(dedented(block), block.place, "exec", dont_inherit=True)


def test_pages_run_elsewhere_are_run_there() -> None:
    root = Path(__file__).parents[2]
    for page, test in RUN_ELSEWHERE.items():
        assert f'"{page}"' in (root / test).read_text()


def test_every_prelude_belongs_to_a_page() -> None:
    names = {name_of(page).replace("/", "_").replace("-", "_").removesuffix(".md") for page in PAGES}
    assert {path.stem for path in PRELUDES.glob("*.py")} <= {*names, "__init__"}
