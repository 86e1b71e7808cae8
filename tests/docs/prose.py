"""Find words that the documentation and the texts of the code do not use."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["REPLACEMENTS", "Finding", "findings", "findings_in_code"]

_WORDS = tomllib.loads((Path(__file__).parent / "words.toml").read_text())

REPLACEMENTS: dict[str, str] = {pattern: new for group in _WORDS.values() for pattern, new in group.items()}
"""What to write, by the regular expression for what not to write."""


def _whole_words(pattern: str) -> re.Pattern[str]:
    with_line_breaks = pattern.replace(" ", r"\s+")
    return re.compile(rf"(?:(?<!\w)|(?=\W))(?:{with_line_breaks})(?:(?!\w)|(?<=\W))", re.IGNORECASE)


_PATTERNS = {_whole_words(pattern): new for pattern, new in REPLACEMENTS.items()}

_NOT_PROSE = re.compile(
    r"^(?P<indent> *)(?P<ticks>`{3,}).*?^(?P=indent)(?P=ticks)$"  # a code block
    r"|`+[^`]*`+"
    r"|(?<=\])\([^)]*\)"  # the target of a link
    r"|<[^>\n]*>"
    r'|^ *--8<-- ".*"$',
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A word or phrase to replace.

    Args:
        line: The line on which it begins, from 1.
        found: The word or phrase.
        replacement: What to write instead.
    """

    line: int
    found: str
    replacement: str

    def __str__(self) -> str:
        return f"{self.line}: {self.found!r}; write: {self.replacement}"


def findings(markdown: str) -> list[Finding]:
    """Return what the prose of a page should not contain, in order. Code, link targets and HTML tags are not prose."""
    prose = _NOT_PROSE.sub(_blanked, markdown)
    found = [(match, new) for pattern, new in _PATTERNS.items() for match in pattern.finditer(prose)]
    return [
        Finding(prose.count("\n", 0, match.start()) + 1, " ".join(match[0].split()), new)
        for match, new in sorted(found, key=lambda each: each[0].start())
    ]


def findings_in_code(source: str) -> list[Finding]:
    """Return what the docstrings, messages and comments of a Python module should not contain, in order.

    A string is a message if it has a space. A finding in a concatenated string may have the line of its beginning.
    """
    found = [
        Finding(line + each.line - 1, each.found, each.replacement)
        for line, text in (*_strings(source), *_comments(source))
        for each in findings(text)
    ]
    return sorted(found, key=lambda each: each.line)


def _strings(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value


def _comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _blanked(match: re.Match[str]) -> str:
    """Return a text of the same length and lines that no pattern matches."""
    return re.sub(r"[^\n]", "_", match[0])
