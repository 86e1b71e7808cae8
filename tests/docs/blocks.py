"""The code blocks of Markdown pages, with their snippets inserted and their positions."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DOCS", "PAGES", "ROOT", "Block", "blocks_of", "dedented", "name_of"]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted(DOCS.rglob("*.md"))]

_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,})(?P<info>[^`]*)$")
_SNIPPET = re.compile(r'^ *--8<-- "(?P<path>.+)"$')
_TITLE = re.compile(r'title="(?P<title>[^"]*)"')
_NOT_RUN = re.compile(r"\(not run: (?P<reason>.{10,})\)")


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Args:
        page: The page's file.
        line: The line of its fence, from 1.
        language: The language that the fence names.
        title: The title above the block, or an empty string.
        text: The content.
    """

    page: Path
    line: int
    language: str
    title: str
    text: str

    @property
    def place(self) -> str:
        """The path and the line."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def not_run(self) -> str | None:
        """The reason in the title why the block is not run, if it has one."""
        found = _NOT_RUN.search(self.title)
        return found["reason"] if found else None


def name_of(page: Path) -> str:
    """Return a page's name for a test: its path below ``docs``."""
    return str(page.relative_to(DOCS if page.is_relative_to(DOCS) else ROOT))


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page, in order."""
    return list(_blocks(page, page.read_text().splitlines()))


def _blocks(page: Path, lines: list[str]) -> Iterator[Block]:
    number = 0
    while number < len(lines):
        opening = _FENCE.match(lines[number])
        if opening is None:
            number += 1
            continue
        start = number
        number += 1
        while lines[number].strip() != opening["ticks"]:
            number += 1
        body = [line.removeprefix(opening["indent"]) for line in lines[start + 1 : number]]
        language, title = _info(opening["info"])
        title = title or _heading(lines[:start])
        yield Block(page, start + 1, language, title, "".join(_expanded(body)))
        number += 1


def _heading(before: list[str]) -> str:
    """Return the file that the line before a block names. In the README, blocks have no titles."""
    text = next((line for line in reversed(before) if line), "")
    found = re.fullmatch(r"`([\w./-]+)`:", text)
    return found[1] if found else ""


def _info(info: str) -> tuple[str, str]:
    found = _TITLE.search(info)
    language = re.match(r"\s*\{?\s*\.?(\w*)", info)
    return language[1] if language else "", found["title"] if found else ""


def _expanded(lines: list[str]) -> Iterator[str]:
    for line in lines:
        snippet = _SNIPPET.match(line)
        yield (ROOT / snippet["path"]).read_text() if snippet else line + "\n"


def dedented(block: Block) -> str:
    """Return the text of a block without common indentation."""
    return textwrap.dedent(block.text)
