"""What several tests of commit hooks need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event

from starlette_reactive import ChangeEvent


class Told:
    """What has been told since it was last asked.

    Args:
        changes: Where the changes are that are emitted.
    """

    def __init__(self, changes: list[ChangeEvent]) -> None:
        self._changes = changes

    def events(self) -> list[ChangeEvent]:
        """Return the events, by scope."""
        events = sorted(self._changes, key=lambda each: each.scope)
        self._changes.clear()
        return events

    def __call__(self) -> list[tuple[str, list[str]]]:
        """Return scopes and paths; a scope that is told twice is there twice."""
        return [(each.scope, sorted(each.changed_paths)) for each in self.events()]

    def scopes(self) -> list[str]:
        """Return the scopes."""
        return [each.scope for each in self.events()]


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """Give the list of the statements that an engine executes, with COMMIT and SAVEPOINT statements among them."""
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
