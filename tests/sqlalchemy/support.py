"""Helpers for the tests of commit hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event, text

from starlette_reactive import ChangeEvent, ReactiveBus
from starlette_reactive.sqlalchemy import CommitHook

Watch = Callable[..., CommitHook]
"""Starts a hook, with the arguments of ``emit_on_commit``. The functions of models are optional."""


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


class SeeingBus(ReactiveBus):
    """Notes with each event which tasks a page would show that is rendered then.

    Args:
        titles: Returns the titles of the visible tasks.
    """

    def __init__(self, titles: Callable[[], list[str]]) -> None:
        super().__init__()
        self._titles = titles
        self.emitted: list[tuple[ChangeEvent, list[str]]] = []

    def emit_sync(self, event: ChangeEvent) -> None:
        self.emitted.append((event, self._titles()))
        super().emit_sync(event)

    @property
    def scopes(self) -> list[str]:
        """The scopes of the events, each once."""
        return list(dict.fromkeys(event.scope for event, _ in self.emitted))

    def shows(self, title: str) -> bool:
        """Return whether a page shows a task after the last event."""
        return bool(self.emitted) and title in self.emitted[-1][1]


def is_idle(hook: CommitHook) -> bool:
    """Return whether a hook has nothing to emit later."""
    return hook._in_doubt._thread is None


def visible_titles(engine: Engine) -> list[str]:
    """Return the titles of the tasks that a new connection sees."""
    with engine.connect() as connection:
        return list(connection.scalars(text("SELECT title FROM tasks ORDER BY id")))


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
