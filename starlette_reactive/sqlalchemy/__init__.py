"""Commits that announce themselves: what SQLAlchemy sessions change is emitted after their commit.

Four modules: which sessions belong to a factory (``factories``), what is changed in a row and what the row was before
(``rows``), what a flush says of its rows (``flushes``), and the hook that keeps it until the commit and emits it
(``hook``). Nothing else in the package knows SQLAlchemy.
"""

from __future__ import annotations

try:
    from .hook import ORIGIN, CommitHook, emit_on_commit, suppressed
except ModuleNotFoundError as _error:
    if _error.name != "sqlalchemy":
        raise
    raise ModuleNotFoundError(
        "starlette_reactive.sqlalchemy needs SQLAlchemy 2: install 'starlette-reactive[sqlalchemy]'", name="sqlalchemy"
    ) from _error

__all__ = ["ORIGIN", "CommitHook", "emit_on_commit", "suppressed"]
