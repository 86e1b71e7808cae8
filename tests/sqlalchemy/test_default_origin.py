"""The origin of what an endpoint changes is known when it is flushed, whenever that is committed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from starlette_reactive._core.origins import emitting_as
from starlette_reactive.sqlalchemy import ORIGIN

from .models import Task
from .support import EmittedEvents

Sessions = sessionmaker[Session]


def add(session: Session, board: int = 1) -> None:
    session.add(Task(title="second", board_id=board))
    session.flush()


def origins(emitted: EmittedEvents) -> list[str | None]:
    return [each.origin for each in emitted.events()]


def test_what_an_endpoint_flushes_and_commits_has_its_origin(watched: Sessions, emitted: EmittedEvents) -> None:
    with emitting_as("tab"), watched.begin() as session:
        add(session)
    assert origins(emitted) == ["tab"]


def test_what_is_committed_after_the_endpoint_has_returned_has_its_origin(
    watched: Sessions, emitted: EmittedEvents
) -> None:
    with watched.begin() as session, emitting_as("tab"):
        add(session)
    assert origins(emitted) == ["tab"]


def test_what_was_flushed_before_or_after_the_endpoint_has_none(watched: Sessions, emitted: EmittedEvents) -> None:
    with watched() as session:
        add(session)
        with emitting_as("tab"):
            session.commit()
        with emitting_as("tab"):
            pass
        add(session)
        session.commit()
    assert origins(emitted) == [None, None]


def test_changes_of_both_kinds_are_kept_apart(watched: Sessions, emitted: EmittedEvents) -> None:
    with watched.begin() as session:
        add(session, board=1)
        with emitting_as("tab"), session.begin_nested():
            add(session, board=2)
    assert [(each.scope, each.origin) for each in emitted.events()] == [("board:1", None), ("board:2", "tab")]


def test_an_origin_of_the_session_counts_more(watched: Sessions, emitted: EmittedEvents) -> None:
    with emitting_as("tab"), watched(info={ORIGIN: "explicit"}) as session:
        add(session)
        session.commit()
    assert origins(emitted) == ["explicit"]


def test_a_commit_in_doubt_has_no_origin(engine: Engine, watched: Sessions, emitted: EmittedEvents) -> None:
    lost = lose_the_answer_to_commits(engine)
    try:
        with emitting_as("tab"), watched() as session:
            add(session)
            with pytest.raises(OperationalError):
                session.commit()
            session.close()
    finally:
        lost()
    found = origins(emitted)
    assert found
    assert set(found) == {None}


def lose_the_answer_to_commits(engine: Engine) -> Callable[[], None]:
    """Let the next commits fail as if their connection was lost. Return a function that stops it."""
    do_commit = engine.dialect.do_commit

    def commit(connection: object) -> None:
        do_commit(connection)  # type: ignore[arg-type]
        raise OperationalError("COMMIT", None, ConnectionError("lost"))

    engine.dialect.do_commit = commit  # type: ignore[method-assign,assignment]

    def stop() -> None:
        engine.dialect.do_commit = do_commit  # type: ignore[method-assign]

    return stop
