"""The rows that are emitted: inserted, deleted, changed, moved."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, ForeignKey, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, sessionmaker
from sqlalchemy.orm.attributes import flag_modified

from starlette_reactive import ReactiveBus
from starlette_reactive.sqlalchemy import emit_on_commit

from .models import Base, Board, Card, Note, Photo, Place, Tag, Task
from .support import EmittedEvents, statements

Sessions = sessionmaker[Session]


# Changes


def test_a_new_row_has_its_key_when_it_is_described(
    sessions: Sessions, bus: ReactiveBus, emitted: EmittedEvents
) -> None:
    emit_on_commit(sessions, bus, {Task: lambda task: (f"task:{task.id}", {"title"})})
    with sessions.begin() as session:
        session.add(Task(title="second", board_id=1))
    assert emitted() == [("task:2", ["title"])]


def test_a_new_row_has_its_server_defaults(sessions: Sessions, bus: ReactiveBus, emitted: EmittedEvents) -> None:
    emit_on_commit(sessions, bus, {Task: lambda task: (f"{task.state}:{task.board.slug}", {"title"})})
    with sessions.begin() as session:
        session.add(Task(title="second", board_id=2))
    assert emitted.scopes() == ["new:b"]


def test_writing_an_equal_value_emits_nothing(watched: Sessions, emitted: EmittedEvents) -> None:
    with watched() as session:
        task = session.get_one(Task, 1)
        task.title, task.board_id, task.done = "first", 1, False
        task.board = session.get_one(Board, 1)
        session.commit()
        task.title = "changed"
        task.title = "first"
        session.commit()
    assert emitted() == []


def test_writing_an_equal_value_without_loading_it_emits_nothing(watched: Sessions, emitted: EmittedEvents) -> None:
    with watched() as session:
        task = session.get_one(Task, 1)
        session.commit()
        task.title, task.board_id, task.notes = "first", 1, None
        session.commit()
        assert emitted() == []
        task.board_id, task.title = 1, "changed"
        session.commit()
    assert emitted() == [("board:1", ["tasks"])]


def test_adding_a_persistent_row_emits_nothing(watched: Sessions, emitted: EmittedEvents) -> None:
    with watched() as session:
        session.add(session.get_one(Task, 1))
        session.commit()
    assert emitted() == []


def test_merging_emits_what_it_changes(watched: Sessions, emitted: EmittedEvents) -> None:
    with watched() as session:
        session.merge(Task(id=1, title="first", board_id=1))
        session.commit()
        assert emitted() == []
        session.merge(Task(id=1, title="first", board_id=2))
        session.commit()
    assert emitted.scopes() == ["board:1", "board:2"]


def test_a_value_mutated_in_place_is_a_change(watched: Sessions, emitted: EmittedEvents) -> None:
    with watched() as session:
        task = session.get_one(Task, 1)
        task.data = {"colour": "red"}
        session.commit()
        assert emitted.scopes() == ["board:1"]
        assert task.data == {"colour": "red"}
        task.data["colour"] = "blue"
        session.commit()
        assert emitted.scopes() == ["board:1"]
        assert task.data == {"colour": "blue"}
        flag_modified(task, "data")
        session.commit()
    assert emitted() == []


def test_an_sql_expression_is_a_change(watched: Sessions, emitted: EmittedEvents) -> None:
    with watched() as session:
        task = session.get_one(Task, 1)
        task.title = Task.title + "!"
        session.commit()
        assert emitted.scopes() == ["board:1"]
        task.board_id = Task.board_id + 1
        session.commit()
    assert emitted.scopes() == ["board:1", "board:2"]


# Moved rows


@pytest.mark.parametrize("expired", [True, False])
def test_a_row_whose_foreign_key_is_written_emits_both_scopes(
    watched: Sessions, emitted: EmittedEvents, expired: bool
) -> None:
    with watched() as session:
        task = session.get_one(Task, 1)
        if expired:
            session.commit()
        task.board_id = 2
        session.commit()
    assert emitted.scopes() == ["board:1", "board:2"]


@pytest.mark.parametrize("expired", [True, False])
@pytest.mark.parametrize("backwards", [True, False])
def test_a_row_whose_reference_is_written_emits_both_scopes(
    watched: Sessions, emitted: EmittedEvents, expired: bool, backwards: bool
) -> None:
    with watched() as session:
        task, board = session.get_one(Task, 1), session.get_one(Board, 2)
        if expired:
            session.commit()
        if backwards:
            board.tasks.append(task)
        else:
            task.board = board
        session.commit()
    assert emitted.scopes() == ["board:1", "board:2"]


@pytest.mark.parametrize("loaded", [True, False])
@pytest.mark.parametrize("expired", [True, False])
@pytest.mark.parametrize("by_key", [True, False])
def test_a_moved_row_refers_to_its_old_and_its_new_parent(
    sessions: Sessions, bus: ReactiveBus, emitted: EmittedEvents, loaded: bool, expired: bool, by_key: bool
) -> None:
    emit_on_commit(sessions, bus, {Task: lambda task: (f"board:{task.board.slug}", {"tasks"})})
    with sessions() as session:
        task, board = session.get_one(Task, 1), session.get_one(Board, 2)
        if expired:
            session.commit()
        if loaded:
            assert task.board is not None
        if by_key:
            task.board_id = board.id
        else:
            task.board = board
        session.commit()
    assert emitted.scopes() == ["board:a", "board:b"]


def test_a_moved_row_may_have_no_parent_before_or_after(
    sessions: Sessions, bus: ReactiveBus, emitted: EmittedEvents
) -> None:
    emit_on_commit(sessions, bus, {Task: lambda task: task.board and (f"board:{task.board.slug}", {"tasks"})})
    with sessions() as session:
        task = session.get_one(Task, 1)
        task.board_id = None
        session.commit()
        assert emitted.scopes() == ["board:a"]
        task.board_id = 2
        session.commit()
        assert emitted.scopes() == ["board:b"]


def test_a_row_that_moves_to_a_row_of_the_same_flush_emits_both_scopes(
    sessions: Sessions, bus: ReactiveBus, emitted: EmittedEvents
) -> None:
    emit_on_commit(sessions, bus, {Task: lambda task: (f"board:{task.board.slug}", {"tasks"})})
    with sessions() as session:
        session.get_one(Task, 1).board = Board(slug="c")
        session.delete(session.get_one(Board, 1))
        session.commit()
    assert emitted.scopes() == ["board:a", "board:c"]


def test_a_row_that_moves_twice_in_a_transaction_emits_every_scope(watched: Sessions, emitted: EmittedEvents) -> None:
    with watched() as session:
        session.add(Board(slug="c"))
        session.flush()
        task = session.get_one(Task, 1)
        for board_id in (2, 3):
            task.board_id = board_id
            session.flush()
        session.commit()
    assert emitted.scopes() == ["board:1", "board:2", "board:3"]


def test_a_row_whose_primary_key_is_written_emits_both_keys(
    sessions: Sessions, bus: ReactiveBus, emitted: EmittedEvents
) -> None:
    emit_on_commit(sessions, bus, {Tag: lambda tag: (f"tag:{tag.id}", {"name"})})
    with sessions() as session:
        tag = Tag(id=5, name="old")
        session.add(tag)
        session.commit()
        emitted()
        tag.id = 6
        tag.name = "new"
        session.commit()
    assert emitted.scopes() == ["tag:5", "tag:6"]


def test_the_old_values_are_read_in_the_transaction_that_changes_them(
    engine: Engine, watched: Sessions, emitted: EmittedEvents
) -> None:
    with watched() as session:
        task = session.get_one(Task, 1)
        session.commit()
        with engine.begin() as connection:
            connection.execute(text("UPDATE tasks SET board_id = 2"))
        task.board_id = 1
        with statements(engine) as executed:
            session.commit()
    assert emitted.scopes() == ["board:1", "board:2"]
    assert [statement.partition(" ")[0] for statement in executed][-1] == "COMMIT"


def test_a_loaded_row_is_not_read_again(engine: Engine, watched: Sessions, emitted: EmittedEvents) -> None:
    with watched() as session:
        session.get_one(Task, 1).board_id = 2
        with statements(engine) as executed:
            session.commit()
    assert [statement.split()[0] for statement in executed] == ["UPDATE", "COMMIT"]
    assert emitted.scopes() == ["board:1", "board:2"]


# The old row


@pytest.mark.parametrize(
    "describe",
    [
        lambda task: task.scope,
        lambda task: task.kept_scope,
        lambda task: task.scope_in("board"),
        lambda task: f"board:{vars(task)['board_id']}",
        lambda task: f"board:{str(task)[-1]}",
    ],
    ids=["property", "cached property", "method", "dictionary", "string"],
)
@pytest.mark.parametrize("expired", [True, False])
def test_members_of_the_class_see_the_old_row(
    sessions: Sessions, bus: ReactiveBus, emitted: EmittedEvents, describe: Any, expired: bool
) -> None:
    def check(task: Task) -> tuple[str, set[str]]:
        assert isinstance(task, Task)
        assert task.__class__ is Task
        return describe(task), {"tasks"}

    emit_on_commit(sessions, bus, {Task: check})
    with sessions() as session:
        task = session.get_one(Task, 1)
        if expired:
            session.commit()
        task.board_id = 2
        session.commit()
    assert emitted.scopes() == ["board:1", "board:2"]


def test_synonyms_hybrids_and_composites_show_the_old_row(
    sessions: Sessions, bus: ReactiveBus, emitted: EmittedEvents
) -> None:
    emit_on_commit(
        sessions,
        bus,
        {
            Task: lambda task: (
                f"{task.heading}/{task.shouted}/{task.place.column}/{task.place.row}/{repr(task)[:11]}",
                {"tasks"},
            )
        },
    )
    with sessions() as session:
        task = session.get_one(Task, 1)
        task.title, task.place = "later", Place(1, 2)
        session.commit()
    scopes = emitted.scopes()
    assert [scope.rpartition("/")[0] for scope in scopes] == ["first/FIRST/None/None", "later/LATER/1/2"]


def test_the_old_row_is_read_only(sessions: Sessions, bus: ReactiveBus) -> None:
    def write(task: Task) -> None:
        task.title = "written"

    emit_on_commit(sessions, bus, {Task: write})
    with sessions() as session:
        session.get_one(Task, 1).board_id = 2
        with pytest.raises(Exception, match="only reads"):
            session.commit()


# Deleted rows


@pytest.mark.parametrize("expired", [True, False])
def test_a_deleted_row_is_described_before_it_is_deleted(
    sessions: Sessions, bus: ReactiveBus, emitted: EmittedEvents, expired: bool
) -> None:
    emit_on_commit(sessions, bus, {Task: lambda task: (f"{task.board.slug}:{task.notes}:{len(task.tags)}", {"tasks"})})
    with sessions() as session:
        task = session.get_one(Task, 1)
        if expired:
            session.commit()
        session.delete(task)
        session.commit()
    assert emitted.scopes() == ["a:None:0"]


@pytest.mark.parametrize("expired", [True, False])
def test_a_row_that_is_changed_and_deleted_is_described_as_stored(
    watched: Sessions, emitted: EmittedEvents, expired: bool
) -> None:
    with watched() as session:
        task = session.get_one(Task, 1)
        if expired:
            session.commit()
        task.board_id = 2
        session.delete(task)
        session.commit()
    assert emitted.scopes() == ["board:1"]


def test_rows_deleted_by_a_cascade_are_emitted(watched: Sessions, emitted: EmittedEvents) -> None:
    with watched() as session:
        session.delete(session.get_one(Board, 1))
        session.commit()
    assert emitted.scopes() == ["board:1"]


@pytest.mark.parametrize("expired", [True, False])
def test_a_row_deleted_as_an_orphan_is_emitted(watched: Sessions, emitted: EmittedEvents, expired: bool) -> None:
    with watched() as session:
        board = session.get_one(Board, 1)
        task = board.tasks[0]
        if expired:
            session.expire(task)
        board.tasks.remove(task)
        session.commit()
        assert session.get(Task, 1) is None
    assert emitted.scopes() == ["board:1"]


def test_a_row_that_replaces_a_deleted_one_emits_both_scopes(watched: Sessions, emitted: EmittedEvents) -> None:
    with watched() as session:
        session.delete(session.get_one(Task, 1))
        session.add(Task(id=1, title="another", board_id=2))
        session.commit()
    assert emitted.scopes() == ["board:1", "board:2"]


def test_a_row_that_is_added_and_deleted_in_one_transaction_is_emitted(
    watched: Sessions, emitted: EmittedEvents
) -> None:
    with watched() as session:
        task = Task(title="second", board_id=2)
        session.add(task)
        session.flush()
        session.delete(task)
        session.commit()
    assert emitted.scopes() == ["board:2"]


# Relationships


def test_a_many_to_many_link_is_a_change_of_both_ends(
    sessions: Sessions, bus: ReactiveBus, emitted: EmittedEvents
) -> None:
    emit_on_commit(
        sessions,
        bus,
        {Task: lambda task: (f"task:{task.id}", {"tags"}), Tag: lambda tag: (f"tag:{tag.id}", {"tasks"})},
    )
    with sessions() as session:
        task, tag = session.get_one(Task, 1), Tag(name="urgent")
        session.add(tag)
        session.commit()
        assert emitted.scopes() == ["tag:1"]
        task.tags.append(tag)
        session.commit()
        assert emitted.scopes() == ["tag:1", "task:1"]
        task.tags = [tag]
        session.commit()
        assert emitted.scopes() == []
        tag.tasks.clear()
        session.commit()
        assert emitted.scopes() == ["tag:1", "task:1"]


def test_a_row_that_joins_a_collection_is_a_change_of_its_owner(
    sessions: Sessions, bus: ReactiveBus, emitted: EmittedEvents
) -> None:
    emit_on_commit(sessions, bus, {Board: lambda board: (f"board:{board.id}", {"tasks"})})
    with sessions() as session:
        board = session.get_one(Board, 1)
        board.tasks.append(Task(title="second"))
        session.commit()
        assert emitted.scopes() == ["board:1"]
        session.add(Task(title="third", board=board))
        session.commit()
        assert emitted.scopes() == ["board:1"]
        task = session.get_one(Task, 1)
        assert task.board is board
        task.board = session.get_one(Board, 2)
        session.commit()
        assert emitted.scopes() == ["board:1", "board:2"]


def test_a_reference_written_by_post_update_is_a_change(
    sessions: Sessions, bus: ReactiveBus, emitted: EmittedEvents
) -> None:
    emit_on_commit(sessions, bus, {Board: lambda board: (f"pinned:{board.pinned_id}", {"pinned"})})
    with sessions() as session:
        board, task = session.get_one(Board, 1), session.get_one(Task, 1)
        board.pinned = task
        session.commit()
        assert emitted.scopes() == ["pinned:1", "pinned:None"]
        board.pinned = task
        session.commit()
        assert emitted.scopes() == []
        board.pinned = None
        session.commit()
        assert emitted.scopes() == ["pinned:1", "pinned:None"]


def test_a_foreign_key_written_by_another_rows_flush_is_a_change(
    engine: Engine, bus: ReactiveBus, emitted: EmittedEvents
) -> None:
    class Own(DeclarativeBase):
        pass

    class Shelf(Own):
        __tablename__ = "shelves"
        id: Mapped[int] = mapped_column(primary_key=True)
        books: Mapped[list[Book]] = relationship(post_update=True)

    class Book(Own):
        __tablename__ = "books"
        id: Mapped[int] = mapped_column(primary_key=True)
        shelf_id: Mapped[int | None] = mapped_column(ForeignKey("shelves.id"))

    Own.metadata.create_all(engine)
    sessions = sessionmaker(engine)
    emit_on_commit(sessions, bus, {Book: lambda book: (f"shelf:{book.shelf_id}", {"books"})})
    with sessions() as session:
        shelf, book = Shelf(id=1), Book(id=1)
        session.add_all([shelf, book])
        session.commit()
        assert emitted.scopes() == ["shelf:None"]
        shelf.books, book.shelf_id  # noqa: B018 - loads them
        shelf.books.append(book)
        session.commit()
    assert emitted.scopes() == ["shelf:1", "shelf:None"]
    Own.metadata.drop_all(engine)


# Inheritance


def test_subclasses_use_the_function_of_their_base(engine: Engine, bus: ReactiveBus, emitted: EmittedEvents) -> None:
    sessions = sessionmaker(engine)
    emit_on_commit(sessions, bus, {Card: lambda card: (f"board:{card.board_id}", {type(card).__name__})})
    with sessions() as session:
        photo, note = Photo(board_id=1, album_id=1), Note(board_id=2)
        session.add_all([photo, note])
        session.commit()
        assert emitted() == [("board:1", ["Photo"]), ("board:2", ["Note"])]
        photo.board_id, note.board_id = 3, 4
        session.commit()
        assert emitted.scopes() == ["board:1", "board:2", "board:3", "board:4"]
        photo.album_id = 2
        session.commit()
        assert emitted.scopes() == ["board:3"]
        session.delete(photo)
        session.commit()
        assert emitted.scopes() == ["board:3"]


def test_a_subclass_uses_the_function_of_its_nearest_base(
    engine: Engine, bus: ReactiveBus, emitted: EmittedEvents
) -> None:
    sessions = sessionmaker(engine)
    emit_on_commit(
        sessions,
        bus,
        {
            Card: lambda card: (f"board:{card.board_id}", {"cards"}),
            Photo: lambda photo: (f"album:{photo.album_id}", {"photos"}),
        },
    )
    with sessions.begin() as session:
        session.add_all([Photo(board_id=1, album_id=1), Note(board_id=2)])
    assert emitted() == [("album:1", ["photos"]), ("board:2", ["cards"])]


def test_all_models_use_the_function_of_the_declarative_base(
    sessions: Sessions, bus: ReactiveBus, emitted: EmittedEvents
) -> None:
    emit_on_commit(sessions, bus, {Base: lambda row: (row.__tablename__, {"*"})})
    with sessions.begin() as session:
        session.add_all([Tag(name="urgent"), Note(board_id=2)])
        session.get_one(Task, 1).title = "changed"
    assert emitted.scopes() == ["cards", "tags", "tasks"]


def test_rows_of_other_models_are_ignored(watched: Sessions, emitted: EmittedEvents) -> None:
    with watched.begin() as session:
        session.add(Tag(name="urgent"))
        session.get_one(Board, 1).slug = "c"
    assert emitted() == []
