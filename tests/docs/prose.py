"""Find words in Markdown prose that the documentation does not use."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

__all__ = ["REPLACEMENTS", "Finding", "findings"]

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


def _blanked(match: re.Match[str]) -> str:
    """Return a text of the same length and lines that no pattern matches."""
    return re.sub(r"[^\n]", "_", match[0])
