"""Emit the changes of SQLAlchemy sessions after their commit.

Four modules: the changes of a row and its previous values (``_row_changes``), the changes that a flush describes
(``_flush_recorder``), what becomes of them in transactions (``_transactions``), and the hook that emits them after the
commit (``_hook``). What this has in common with tracked engines is in the room ``_database``.
"""

from __future__ import annotations

try:
    from ._hook import ORIGIN, CommitHook, emit_on_commit, suppressed
except ModuleNotFoundError as _error:
    if _error.name != "sqlalchemy":
        raise
    raise ModuleNotFoundError(
        "starlette_reactive.sqlalchemy needs SQLAlchemy 2: install 'starlette-reactive[sqlalchemy]'", name="sqlalchemy"
    ) from _error

__all__ = ["ORIGIN", "CommitHook", "emit_on_commit", "suppressed"]
