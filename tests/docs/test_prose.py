"""The documentation and the texts of the code are in plain English: without the words and phrases in ``words.toml``."""

from __future__ import annotations

from pathlib import Path

import pytest

from .blocks import PAGES, ROOT, name_of
from .prose import REPLACEMENTS, findings, findings_in_code

FOLDERS = ("starlette_reactive", "example_app")
MODULES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
ASSETS = [
    path
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".css", ".html", ".js", ".tmpl"} and "vendor" not in path.parts
]


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_is_in_plain_english(page: Path) -> None:
    problems = [f"{page.relative_to(ROOT)}:{finding}" for finding in findings(page.read_text())]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_the_docstrings_messages_and_comments_of_a_module_are_in_plain_english(module: Path) -> None:
    problems = [f"{module.relative_to(ROOT)}:{finding}" for finding in findings_in_code(module.read_text())]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("asset", ASSETS, ids=name_of)
def test_the_texts_of_templates_and_scripts_are_in_plain_english(asset: Path) -> None:
    problems = [f"{asset.relative_to(ROOT)}:{finding}" for finding in findings(asset.read_text())]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    ("source", "line", "found"),
    [
        ('"""One.\n\nWhom it serves."""', 3, "Whom"),
        ('raise ValueError("a name "\n    "that is to be given")', 1, "is to be"),
        ('logger.info(f"{page} is mended")', 1, "mended"),
        ("x = 1\ny = 2  # for ever", 2, "for ever"),
    ],
)
def test_a_phrase_is_found_in_code_with_its_line(source: str, line: int, found: str) -> None:
    first = findings_in_code(source)[0]
    assert (first.line, first.found) == (line, found)


def test_names_and_words_without_a_sentence_are_not_prose_in_code() -> None:
    assert findings_in_code('whom = {"mend": "say, so".split()}\nanew = "mend"') == []


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
