"""The documentation is in plain English: it uses none of the words and phrases in ``words.toml``."""

from __future__ import annotations

from pathlib import Path

import pytest

from .blocks import PAGES, ROOT
from .prose import REPLACEMENTS, findings


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_is_in_plain_english(page: Path) -> None:
    problems = [f"{page.relative_to(ROOT)}:{finding}" for finding in findings(page.read_text())]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    ("markdown", "line", "found"),
    [
        ("This is to be mended here.", 1, "is to be"),
        ("Who tells\nof changes", 1, "tells of"),
        ("Good.\n\nThe viewer is not told.", 3, "is not told"),
        ("All headers, less\nthose of the stream", 1, "less those"),
        ("A team, say, shares it.", 1, ", say,"),
        ("Keep it outside\n  of the block", 1, "outside of"),
        ("```text\nfor ever\n```\nfor ever", 4, "for ever"),
        ("- A list:\n\n    ```text\n    anew\n    ```\n\n- Anew", 7, "Anew"),
        ("[Whom](guides/anew.md)", 1, "Whom"),
    ],
)
def test_a_phrase_is_found_with_its_line(markdown: str, line: int, found: str) -> None:
    first = findings(markdown)[0]
    assert (first.line, first.found) == (line, found)


@pytest.mark.parametrize(
    "markdown",
    [
        "Write `outside of` in code.",
        "```python\nfor ever\n```",
        '``` { .python title="whom.py" }\nwhom\n```',
        "See [the page](guides/anew.md#for-ever).",
        '<span class="anew">again</span>',
        '--8<-- "docs/anew.svg"',
        "Recommend shallow, uponly and 12-time-outsider.",
    ],
)
def test_code_addresses_and_parts_of_words_are_not_prose(markdown: str) -> None:
    assert findings(markdown) == []


def test_no_replacement_is_itself_replaced() -> None:
    assert {new: findings(new) for new in REPLACEMENTS.values() if findings(new)} == {}
