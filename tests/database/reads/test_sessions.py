"""Asynchronous engines, SQLModel, inheritance, and what the ORM adds to statements."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import sqlmodel
from sqlalchemy import Engine, ForeignKey, create_engine, func, select
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    column_property,
    mapped_column,
    relationship,
    selectin_polymorphic,
    selectinload,
    with_loader_criteria,
    with_polymorphic,
)
from sqlalchemy.pool import StaticPool

from starlette_reactive._core.reads import Reads, reading
from starlette_reactive._database.reads import watch_reads

from . import models
from .models import Board, Task, facts_of, shown, watched_engine


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_asynchronous_session_reads(anyio_backend: str) -> None:
    engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
    watch_reads(engine.sync_engine)
    async with engine.begin() as connection:
        await connection.run_sync(models.Base.metadata.create_all)
    async with AsyncSession(engine) as session:
        session.add(Board(id=7, name="b", tasks=[Task(id=70, title="x")]))
        await session.commit()
    async with AsyncSession(engine) as session:
        with reading(reads := Reads()):
            board = await session.get_one(Board, 7, options=[selectinload(Board.tasks)])
            async for _ in await session.stream(select(Task).where(Task.id == 70).execution_options(yield_per=1)):
                pass
        assert len(board.tasks) == 1
    await engine.dispose()
    assert {shown(fact) for fact in reads.facts.facts} == {"board(id=7)", "task(board_id=7)", "task(id=70)"}


def test_a_run_that_reads_in_a_thread_is_recorded() -> None:
    engine = watched_engine(connect_args={"check_same_thread": False})

    async def run() -> None:
        with Session(engine) as session:
            await anyio.to_thread.run_sync(lambda: session.execute(select(Task).where(Task.board_id == 7)).all())

    with reading(reads := Reads()):
        anyio.run(run)
    assert {shown(fact) for fact in reads.facts.facts} == {"task(board_id=7)"}


class Hero(sqlmodel.SQLModel, table=True):
    id: int | None = sqlmodel.Field(default=None, primary_key=True)
    team_id: int | None = None
    name: str = ""


def test_sqlmodel_reads() -> None:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    Hero.metadata.create_all(engine)
    watch_reads(engine)
    with sqlmodel.Session(engine) as session, reading(reads := Reads()):
        session.exec(sqlmodel.select(Hero).where(Hero.team_id == 7, Hero.name == "x")).all()
        session.get(Hero, 3)
    assert {shown(fact) for fact in reads.facts.facts} == {"hero(team_id=7)", "hero(id=3)"}
    engine.dispose()


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    company_id: Mapped[int | None] = mapped_column(ForeignKey("company.id"))
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}  # noqa: RUF012 - SQLAlchemy's


class Engineer(Person):
    __tablename__ = "engineer"
    id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    level: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "engineer"}  # noqa: RUF012 - SQLAlchemy's


class Guest(Person):
    host_id: Mapped[int | None]
    __mapper_args__ = {"polymorphic_identity": "guest"}  # noqa: RUF012 - SQLAlchemy's


class Company(Base):
    __tablename__ = "company"
    id: Mapped[int] = mapped_column(primary_key=True)
    people: Mapped[list[Person]] = relationship()
    kinds: AssociationProxy[list[str]] = association_proxy("people", "kind")

    @hybrid_property
    def is_first(self) -> bool:
        return self.id == 1


of_company = select(func.count(Person.id)).where(Person.company_id == Company.id).correlate_except(Person)
Company.__mapper__.add_property("size", column_property(of_company.scalar_subquery()))


@pytest.fixture(scope="module")
def companies() -> Iterator[Engine]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    Base.metadata.create_all(engine)
    watch_reads(engine)
    with Session(engine) as session:
        session.add(Company(id=7, people=[Engineer(id=1, level=3), Guest(id=2), Person(id=3)]))
        session.commit()
    yield engine
    engine.dispose()


def get_company(session: Session) -> None:
    found: Any = session.scalars(select(Company).where(Company.id == 7)).one()
    assert found.size == 3


def in_subquery(session: Session) -> None:
    inner = select(Company).where(Company.id == 7).subquery()
    assert session.execute(select(inner)).all()


def with_criteria(session: Session) -> None:
    option = with_loader_criteria(Person, lambda cls: cls.id == 3)
    session.scalars(select(Person).where(Person.company_id == 7).options(option)).all()


def with_proxy(session: Session) -> None:
    assert len(session.get_one(Company, 7).kinds) == 3


def with_all_kinds(session: Session) -> None:
    person = with_polymorphic(Person, "*")
    session.scalars(select(person).where(person.company_id == 7)).all()


def with_kinds_later(session: Session) -> None:
    statement = select(Person).where(Person.company_id == 7).options(selectin_polymorphic(Person, [Engineer]))
    session.scalars(statement).all()


@pytest.mark.parametrize(
    ("run", "facts"),
    [
        (get_company, {"company(id=7)", "person(company_id=7)"}),
        (in_subquery, {"company(id=7)", "person(company_id=7)"}),
        (with_criteria, {"person(company_id=7, id=3)"}),
        (with_proxy, {"company(id=7)", "person(company_id=7)"}),
        (with_all_kinds, {"person(company_id=7)", "engineer()"}),
        (with_kinds_later, {"person(company_id=7)", "engineer(id=1)", "person(id=1)"}),
        (lambda session: session.get(Engineer, 1), {"person(id=1)", "engineer(id=1)"}),
        (lambda session: session.scalars(select(Guest).where(Guest.host_id == 7)).all(), {"person(host_id=7)"}),
        (
            lambda session: session.scalars(select(Company.id).where(Company.is_first)).all(),
            {"company(id=1)"},
        ),
        (
            lambda session: session.scalars(select(Company.id).where(Company.people.any(id=3))).all(),
            {"company()", "person(id=3)"},
        ),
    ],
)
def test_what_the_orm_adds_is_read(run: Callable[[Session], Any], facts: set[str], companies: Engine) -> None:
    assert facts_of(companies, run) == facts


def test_threads_share_what_is_known_of_a_statement(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'test.sqlite3'}")  # each thread has a connection of its own
    Task.metadata.create_all(engine)
    watch_reads(engine)
    found: list[set[str]] = []

    def run(number: int) -> None:
        statement = select(Task.id).where(Task.board_id == number)
        for _ in range(20):
            with engine.connect() as connection, reading(reads := Reads()):
                connection.execute(statement)
            found.append({shown(fact) for fact in reads.facts.facts} ^ {f"task(board_id={number})"})

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.dispose()
    assert found == [set()] * 80
