"""The sessions and models of SQLModel are those of SQLAlchemy."""

from __future__ import annotations

import pytest
import sqlmodel
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import registry, sessionmaker
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from starlette_reactive import ReactiveBus
from starlette_reactive.sqlalchemy import emit_on_commit

from .support import EmittedEvents


class Own(SQLModel, registry=registry()):
    """Has its own registry, because all other SQLModel models share one."""


class HeroBase(Own):
    name: str
    team_id: int


class Hero(HeroBase, table=True):
    id: int | None = Field(default=None, primary_key=True)


FUNCTIONS = {Hero: lambda hero: (f"team:{hero.team_id}", {"heroes"})}


@pytest.mark.parametrize("model", [Hero, HeroBase, SQLModel])
def test_the_sessions_of_a_factory_are_watched(
    url: str, bus: ReactiveBus, emitted: EmittedEvents, model: type[SQLModel]
) -> None:
    engine = create_engine(url)
    Hero.__table__.create(engine)  # type: ignore[attr-defined]
    sessions = sessionmaker(engine, class_=sqlmodel.Session)
    emit_on_commit(sessions, bus, {model: FUNCTIONS[Hero]})
    with sessions() as session:
        hero = Hero(name="Deadpond", team_id=1)
        session.add(hero)
        session.commit()
        assert emitted.scopes() == ["team:1"]
        hero.sqlmodel_update({"team_id": 2})
        session.commit()
        assert emitted.scopes() == ["team:1", "team:2"]
        found = session.exec(sqlmodel.select(Hero)).one()
        session.delete(found)
        session.rollback()
    assert emitted() == []
    Hero.__table__.drop(engine)  # type: ignore[attr-defined]
    engine.dispose()


def test_sessions_made_by_calling_the_class_are_watched(url: str, bus: ReactiveBus, emitted: EmittedEvents) -> None:
    engine = create_engine(url)
    Hero.__table__.create(engine)  # type: ignore[attr-defined]
    hook = emit_on_commit(sqlmodel.Session, bus, FUNCTIONS)
    try:
        with sqlmodel.Session(engine) as session:
            session.add(Hero(name="Deadpond", team_id=1))
            session.commit()
    finally:
        hook.remove()
    assert emitted.scopes() == ["team:1"]
    Hero.__table__.drop(engine)  # type: ignore[attr-defined]
    engine.dispose()


async def test_asynchronous_sessions_are_watched(async_url: str, bus: ReactiveBus, emitted: EmittedEvents) -> None:
    engine = create_async_engine(async_url)
    async with engine.begin() as connection:
        await connection.run_sync(Hero.__table__.create)  # type: ignore[attr-defined]
    sessions = async_sessionmaker(engine, class_=AsyncSession)
    emit_on_commit(sessions, bus, FUNCTIONS)
    async with sessions() as session:
        hero = Hero(name="Deadpond", team_id=1)
        session.add(hero)
        await session.commit()
        hero.team_id = 2
        await session.commit()
        assert isinstance(session.sync_session, sqlmodel.Session)
        assert (await session.exec(sqlmodel.select(Hero))).one() is hero
    assert emitted.scopes() == ["team:1", "team:1", "team:2"]
    async with engine.begin() as connection:
        await connection.run_sync(Hero.__table__.drop)  # type: ignore[attr-defined]
    await engine.dispose()
