"""The tables of the documentation are what the tests of the kinds find."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .kinds import KINDS
from .test_kinds import SAME

DOCUMENT = Path(__file__).parents[2] / "docs" / "guides" / "elements.md"
EQUAL = "as a reload"


def rows() -> Iterator[str]:
    for kind in KINDS.values():
        shown = [kind.differs.get(client, EQUAL) for client in ("htmx 2", "htmx 4", "Turbo")]
        yield " | ".join([kind.title, EQUAL, *shown])
    for title in SAME:
        yield " | ".join([title, *[EQUAL] * 4])


def table(heading: str) -> list[str]:
    """Return the rows of the table below a row of headings."""
    lines = DOCUMENT.read_text().splitlines()
    start = lines.index(heading) + 2
    return [line.strip("| ") for line in lines[start : lines.index("", start)]]


def test_the_documentation_says_what_each_client_does() -> None:
    assert table("| markup | live script | htmx 2 | htmx 4 | Turbo |") == list(rows())


def test_the_documentation_says_what_to_write_instead() -> None:
    expected = [f"{kind.title} | {kind.instead}" for kind in KINDS.values() if kind.instead]
    assert table("| markup | instead |") == expected
