"""Random transactions of all kinds of writes."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from random import Random
from typing import Any

from sqlalchemy import Engine, case, delete, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from .models import Board, Document, Person, Report, State, Tag, Task, task_tags

tasks: Any = Task.__table__
boards: Any = Board.__table__
tags: Any = Tag.__table__


class Writer:
    """Makes random transactions.

    Args:
        engine: Where.
        random: Decides.
    """

    def __init__(self, engine: Engine, random: Random) -> None:
        self.engine = engine
        self.random = random
        self.name = ""
        self._stale = Session(engine, expire_on_commit=False)
        self._kept: list[Task] = []
        with Session(engine) as session:
            people = [Person(name="kept") for _ in range(3)]
            session.add_all(people)
            session.commit()
            self._owners = [person.id for person in people]

    def close(self) -> None:
        """Close the session that is kept."""
        self._stale.close()

    def transaction(self) -> None:
        """Write something, and commit it or not."""
        way = self.random.choice((self._in_a_session, self._in_a_session, self._on_a_connection, self._out_of_date))
        self.name = way.__name__
        with suppress(SQLAlchemyError):
            way()

    # Ways

    def _in_a_session(self) -> None:
        with Session(self.engine, autoflush=self.random.random() < 0.8) as session:
            for _ in range(self.random.randint(1, 4)):
                if self.random.random() < 0.3:
                    self._in_a_savepoint(session)
                else:
                    self._step(session)
            if self.random.random() < 0.9:
                session.commit()

    def _in_a_savepoint(self, session: Session) -> None:
        with suppress(LookupError, SQLAlchemyError), session.begin_nested():
            for _ in range(self.random.randint(1, 2)):
                self._step(session)
            session.flush()
            if self.random.random() < 0.5:
                raise LookupError

    def _on_a_connection(self) -> None:
        level = self.random.choice((None, None, "AUTOCOMMIT"))
        engine = self.engine if level is None else self.engine.execution_options(isolation_level=level)
        with engine.connect() as connection:
            for _ in range(self.random.randint(1, 3)):
                for statement, values in self._statements():
                    connection.execute(statement, values)
            if self.random.random() < 0.9:
                connection.commit()

    def _out_of_date(self) -> None:
        """Change rows that were loaded long ago."""
        session = self._stale
        try:
            if not self._kept or self.random.random() < 0.2:
                session.expunge_all()
                self._kept = list(session.scalars(select(Task)))
            for task in self.random.sample(self._kept, min(2, len(self._kept))):
                self._change(session, task)
            session.commit()
        except SQLAlchemyError:
            session.rollback()
            session.expunge_all()
            self._kept = []
            raise

    # Steps

    def _step(self, session: Session) -> None:
        step = self.random.choice(
            (self._add, self._alter, self._alter, self._remove, self._tag, self._document, self._in_bulk, self._execute)
        )
        self.name += " " + step.__name__
        step(session)

    def _execute(self, session: Session) -> None:
        for statement, values in self._statements():
            session.execute(statement, values)

    def _add(self, session: Session) -> None:
        session.add_all([Task(**self._values()) for _ in range(self.random.randint(1, 3))])
        if self.random.random() < 0.3:
            session.add(Board(name="new"))
        if self.random.random() < 0.3:
            session.add(Person(name="new"))

    def _alter(self, session: Session) -> None:
        if task := self._one(session, Task):
            self._change(session, task)

    def _change(self, session: Session, task: Task) -> None:
        for name, value in self._values().items():
            if self.random.random() < 0.4:
                setattr(task, name, value)
        if self.random.random() < 0.1:
            task.position = Task.position + 1
        if self.random.random() < 0.1 and (other := session.get(Board, self._board())):
            task.board = other

    def _remove(self, session: Session) -> None:
        model = self.random.choice((Task, Task, Task, Board, Person, Tag))
        if row := self._one(session, model):
            session.delete(row)

    def _tag(self, session: Session) -> None:
        task, tag = self._one(session, Task), self._one(session, Tag)
        if tag is None or self.random.random() < 0.4:
            parent = None if tag is None else tag.id
            session.add(Tag(name=str(self.random.random()), uses=self.random.randint(0, 3), parent_id=parent))
        elif task is not None and tag in task.tags:
            task.tags.remove(tag)
        elif task is not None:
            task.tags.append(tag)

    def _document(self, session: Session) -> None:
        document = self._one(session, Document)
        choice = self.random.random()
        if document is None or choice < 0.4:
            if self._one(session, Board) is not None:
                model = self.random.choice((Document, Report))
                session.add(model(board_id=self._existing(session, Board)))
        elif choice < 0.8:
            document.board_id = self._existing(session, Board)
            if isinstance(document, Report):
                document.pages = self.random.randint(1, 3)
        else:
            session.delete(document)

    def _in_bulk(self, session: Session) -> None:
        session.flush()
        keys = list(session.scalars(select(Task.id)))
        chosen = self.random.sample(keys, min(3, len(keys)))
        rows = [self._values() for _ in range(self.random.randint(1, 3))]
        changed: list[dict[str, Any]] = [{"id": key, "board_id": self._board(), "done": True} for key in chosen]
        ways: list[Callable[[], Any]] = [
            lambda: session.bulk_save_objects([Task(**row) for row in rows]),
            lambda: session.bulk_insert_mappings(Task, rows),
            lambda: session.execute(insert(Task), rows),
            lambda: list(session.scalars(insert(Task).returning(Task), rows)),
        ]
        if changed:
            ways += [
                lambda: session.bulk_update_mappings(Task, changed),
                lambda: session.execute(update(Task), changed),
                lambda: session.execute(
                    update(Task).where(Task.id == changed[0]["id"]).values({Task.board_id: self._board()})
                ),
            ]
        self.random.choice(ways)()

    # Statements

    def _statements(self) -> list[tuple[Any, Any]]:
        choice = self.random.choice(
            (self._insertions, self._updates, self._updates, self._deletions, self._upserts, self._odd_ones)
        )
        self.name += " " + choice.__name__
        found = choice()
        self.name += f"[{found[0][0]}]"
        return found

    def _insertions(self) -> list[tuple[Any, Any]]:
        rows = [self._values() for _ in range(self.random.randint(1, 3))]
        return self.random.choice(
            (
                lambda: [(insert(tasks), rows)],
                lambda: [(insert(tasks).values(rows), None)],
                lambda: [(insert(tasks).values(**rows[0]), None)],
                lambda: [
                    (insert(tasks).values(title="x", board_id=select(boards.c.id).limit(1).scalar_subquery()), None)
                ],
                lambda: [(insert(tasks).values(title="x").returning(tasks.c.id), None)],
                lambda: [(insert(tasks).from_select(["title", "done", "state", "board_id"], self._copied()), None)],
                lambda: [(insert(boards), [{"name": "x"}, {"name": "y"}])],
            )
        )()

    def _copied(self) -> Any:
        return select(tasks.c.title, tasks.c.done, tasks.c.state, tasks.c.board_id).limit(2)

    def _condition(self) -> Any:
        return self.random.choice(
            (
                lambda: tasks.c.board_id == self._board(),
                lambda: tasks.c.board_id.in_([self._board(), self._board()]),
                lambda: (tasks.c.board_id == self._board()) & tasks.c.done.is_(True),
                lambda: (tasks.c.board_id == self._board()) | tasks.c.done,
                lambda: tasks.c.board_id.is_(None),
                lambda: (tasks.c.state == State.OPEN) & (tasks.c.done == self._flag()),
                lambda: tasks.c.id == self._number(),
                lambda: tasks.c.id.in_([self._number(), self._number()]),
                lambda: (tasks.c.id == self._number()) & (tasks.c.title != "x"),
                lambda: tasks.c.due > date(2024, 1, 2),
                lambda: tasks.c.id.in_(select(tasks.c.id).where(tasks.c.done).limit(2)),
                lambda: ~(tasks.c.board_id == self._board()),
            )
        )()

    def _updates(self) -> list[tuple[Any, Any]]:
        values = self._values()
        some = {name: values[name] for name in self.random.sample(list(values), self.random.randint(1, 3))}
        condition = self._condition()
        return self.random.choice(
            (
                lambda: [(update(tasks).where(condition).values(some), None)],
                lambda: [(update(tasks).where(condition).values(some), None)],
                lambda: [(update(tasks).where(condition), some)],
                lambda: [(update(Task).where(condition).values(some), None)],
                lambda: [(update(tasks).where(condition).values(position=tasks.c.position + 1), None)],
                lambda: [(update(tasks).values(board_id=case((tasks.c.done, self._board()), else_=None)), None)],
                lambda: [(update(tasks).where(condition).values(id=tasks.c.id + 1000), None)],
                lambda: [(update(tags).where(tags.c.name != "").values(id=tags.c.id + 1000), None)],
                lambda: [(update(tags).where(tags.c.id == 1).values(id=5), None)],
                lambda: [
                    (
                        update(tasks).where(tasks.c.board_id == boards.c.id, boards.c.name == "x").values(done=True),
                        None,
                    )
                ],
            )
        )()

    def _deletions(self) -> list[tuple[Any, Any]]:
        return self.random.choice(
            (
                lambda: [(delete(tasks).where(self._condition()), None)],
                lambda: [(delete(Task).where(self._condition()), None)],
                lambda: [(delete(boards).where(boards.c.id == self._board()), None)],
                lambda: [(delete(Person), None)],
                lambda: [(delete(tags).where(tags.c.uses == 1), None)],
                lambda: [(delete(task_tags).where(task_tags.c.tag_id == 1), None)],
            )
        )()

    def _upserts(self) -> list[tuple[Any, Any]]:
        make: Any = sqlite.insert if self.engine.dialect.name == "sqlite" else postgresql.insert
        values = {**self._values(), "id": self._number()}
        task = make(tasks).values(values)
        tag = make(tags).values(name=self.random.choice("xyz"), uses=self.random.randint(0, 5))
        return self.random.choice(
            (
                lambda: [(task.on_conflict_do_update(index_elements=["id"], set_={"title": "u", "done": True}), None)],
                lambda: [
                    (
                        task.on_conflict_do_update(
                            index_elements=[tasks.c.id], set_={"board_id": task.excluded.board_id, "position": 7}
                        ),
                        None,
                    )
                ],
                lambda: [(tag.on_conflict_do_update(index_elements=["name"], set_={"uses": tags.c.uses + 1}), None)],
                lambda: [(tag.on_conflict_do_nothing(), None)],
                lambda: [(tag.on_conflict_do_nothing(index_elements=["name"]).returning(tags.c.id), None)],
                lambda: [
                    (
                        make(tags).on_conflict_do_update(index_elements=["name"], set_={"uses": 9}),
                        [{"name": "x"}, {"name": "w"}],
                    )
                ],
            )
        )()

    def _odd_ones(self) -> list[tuple[Any, Any]]:
        board = self._board()
        found: list[tuple[Any, Any]] = [
            (text(f"UPDATE tasks SET board_id = {board} WHERE board_id IS NULL"), None),
            (text("/* why */ DELETE FROM tasks WHERE id = :id"), {"id": self._number()}),
            (
                text("WITH some AS (SELECT id FROM tasks LIMIT 1) DELETE FROM tasks WHERE id IN (SELECT id FROM some)"),
                None,
            ),
        ]
        if self.engine.dialect.name == "sqlite":
            found.append(
                (insert(tasks).prefix_with("OR REPLACE").values({**self._values(), "id": self._number()}), None)
            )
            found.append((insert(tags).prefix_with("OR IGNORE").values(name="x"), None))
        else:
            moved = update(tasks).where(tasks.c.board_id == board).values(done=True).returning(tasks.c.id).cte()
            gone = delete(tags).where(tags.c.uses == 2).returning(tags.c.id).cte()
            found.append((select(moved), None))
            found.append((insert(boards).values(name="c").add_cte(gone), None))
            found.append((delete(tasks).where(tasks.c.board_id == boards.c.id, boards.c.name == "y"), None))
        return [self.random.choice(found)]

    # Values

    def _values(self) -> dict[str, Any]:
        return {
            "title": self.random.choice("xyz"),
            "done": self._flag(),
            "state": self.random.choice(list(State)),
            "due": self.random.choice((None, date(2024, 1, 1), date(2024, 1, 3))),
            "board_id": self.random.choice((None, self._board())),
            "owner_id": self.random.choice((None, self._owner())),
        }

    def _owner(self) -> uuid.UUID | None:
        return self.random.choice((None, self.random.choice(self._owners)))

    def _flag(self) -> bool:
        return self.random.random() < 0.5

    def _number(self) -> int:
        return self.random.randint(1, 12)

    def _board(self) -> int:
        return self.random.randint(1, 4)

    def _one(self, session: Session, model: type[Any]) -> Any:
        rows = list(session.scalars(select(model)))
        return self.random.choice(rows) if rows else None

    def _existing(self, session: Session, model: type[Any]) -> Any:
        row = self._one(session, model)
        return None if row is None else row.id
