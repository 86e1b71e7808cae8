"""What a statement does that is only known as text: judged by its first word, and in doubt as a write."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

__all__ = ["Effect", "effect_of"]


class Effect(Enum):
    """What a statement does."""

    NOTHING = auto()
    WRITE = auto()
    COMMIT = auto()
    COMMIT_OF_OTHERS = auto()
    DEFINITION = auto()


_HARMLESS: Final = frozenset(
    (
        *("SELECT", "VALUES", "TABLE", "SHOW", "EXPLAIN", "DESCRIBE", "DESC", "PRAGMA", "SET", "RESET", "USE"),
        *("BEGIN", "START", "SAVEPOINT", "RELEASE", "ROLLBACK", "ABORT", "WITH"),
        *("ANALYZE", "VACUUM", "REINDEX", "CLUSTER", "CHECKPOINT", "DISCARD"),
        *("LISTEN", "NOTIFY", "UNLISTEN", "DECLARE", "FETCH", "MOVE", "CLOSE", "LOCK", "PREPARE", "DEALLOCATE"),
        *("GRANT", "REVOKE", "COMMENT"),
    )
)
_COMMITS: Final = frozenset(("COMMIT", "END"))
_WRITING: Final = re.compile(
    r"\b(?:INSERT|(?<!FOR )(?<!KEY )UPDATE|DELETE|MERGE|REPLACE|TRUNCATE|DROP|ALTER|CALL|DO|EXECUTE|COPY|REFRESH"
    r"|IMPORT)\b",
    re.IGNORECASE,
)
_FIRST_WORD: Final = re.compile(r"(?:\s|\(|;|--[^\n]*(?:\n|$)|/\*.*?\*/)*([a-z]*)", re.IGNORECASE | re.DOTALL)
_PREPARED: Final = re.compile(r"\bPREPARED\b", re.IGNORECASE)
_MORE: Final = re.compile(r";\s*\S")
_REDEFINES: Final = re.compile(r"\bOR\s+REPLACE\b", re.IGNORECASE)


def effect_of(statement: str) -> Effect:
    """Return what a statement does.

    A function that writes is not seen in a ``SELECT``. A ``CREATE`` changes no rows that were there, unless it replaces
    a view or a function.
    """
    found = _FIRST_WORD.match(statement)
    word = "" if found is None else found[1].upper()
    if word in _HARMLESS:
        may_write = word in ("WITH", "EXPLAIN") or _MORE.search(statement)
        return Effect.WRITE if may_write and _WRITING.search(statement) else Effect.NOTHING
    if word in _COMMITS:
        if _MORE.search(statement) and _WRITING.search(statement):
            return Effect.WRITE
        return Effect.COMMIT_OF_OTHERS if _PREPARED.search(statement) else Effect.COMMIT
    if word == "CREATE" and not _REDEFINES.search(statement) and not _MORE.search(statement):
        return Effect.DEFINITION
    return Effect.WRITE
