"""Names and text in SQL for PostgreSQL."""

from __future__ import annotations

import hashlib
import itertools

from sqlalchemy import Table

__all__ = ["dollar_quoted", "function_name", "literal", "name", "qualified"]

_MAX_BYTES = 63


def name(text: str) -> str:
    """Return a quoted name."""
    return '"' + text.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text literal. It is the same with and without ``standard_conforming_strings``."""
    quoted = "'" + text.replace("'", "''").replace("\\", "\\\\") + "'"
    return f"E{quoted}" if "\\" in text else quoted


def dollar_quoted(text: str) -> str:
    """Return a text literal that shows the text as it is."""
    tags = (f"$rx{number or ''}$" for number in itertools.count())
    tag = next(tag for tag in tags if tag not in text)
    return f"{tag}{text}{tag}"


def qualified(table: Table, local: str | None = None) -> str:
    """Return the quoted name of a table, or of something else in its schema."""
    own = name(table.name if local is None else local)
    return own if table.schema is None else f"{name(table.schema)}.{own}"


def function_name(table: Table) -> str:
    """Return the name of a table's trigger function. Names that are too long for PostgreSQL end in a digest."""
    found = f"reactive_{table.name}"
    if len(found.encode()) <= _MAX_BYTES:
        return found
    digest = hashlib.sha256(table.name.encode()).hexdigest()[:8]
    return found.encode()[: _MAX_BYTES - 9].decode(errors="ignore") + f"_{digest}"
