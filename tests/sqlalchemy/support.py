"""Helpers for the tests of commit hooks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event

from starlette_reactive import ChangeEvent


class EmittedEvents:
    """The events emitted since the last call.

    Args:
        changes: The list that collects emitted events.
    """

    def __init__(self, changes: list[ChangeEvent]) -> None:
        self._changes = changes

    def events(self) -> list[ChangeEvent]:
        """Return the events, sorted by scope."""
        events = sorted(self._changes, key=lambda each: each.scope)
        self._changes.clear()
        return events

    def __call__(self) -> list[tuple[str, list[str]]]:
        """Return the scope and paths of each event."""
        return [(each.scope, sorted(each.changed_paths)) for each in self.events()]

    def scopes(self) -> list[str]:
        """Return the scope of each event."""
        return [each.scope for each in self.events()]


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """Collect the statements that an engine executes, including COMMIT and SAVEPOINT statements."""
    executed: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        executed.append(statement)

    def note_commit(_connection: object) -> None:
        executed.append("COMMIT")

    event.listen(engine, "before_cursor_execute", note)
    event.listen(engine, "commit", note_commit)
    try:
        yield executed
    finally:
        event.remove(engine, "before_cursor_execute", note)
        event.remove(engine, "commit", note_commit)
