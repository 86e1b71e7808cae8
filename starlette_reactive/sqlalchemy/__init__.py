"""Emit the changes of SQLAlchemy sessions after their commit.

Four modules: the sessions of a factory (``_factories``), the changes of a row and its previous values
(``_row_changes``), the changes that a flush describes (``_flush_recorder``), and the hook that keeps them until the
commit and then emits them (``_hook``). Nothing else in the package imports SQLAlchemy.
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
