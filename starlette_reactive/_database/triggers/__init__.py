"""Triggers of PostgreSQL that emit which rows a statement changes, no matter who executes it.

Three modules: the migration that creates them (``migration``), the function of a table (``function``), and the origin
that an application's own writes have in them (``origin``).
"""

from .migration import MissingTriggers, drop_sql, missing_triggers, triggers_sql
from .origin import pass_origin

__all__ = ["MissingTriggers", "drop_sql", "missing_triggers", "pass_origin", "triggers_sql"]
