"""Unusual mappings follow the same rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Column, Engine, ForeignKey, ForeignKeyConstraint, Table, func, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    Session,
    WriteOnlyMapped,
    column_property,
    mapped_column,
    relationship,
    sessionmaker,
)

from starlette_reactive import ReactiveBus
from starlette_reactive.sqlalchemy import emit_on_commit

from .models import Card, Note, Photo
from .support import EmittedEvents


class Own(DeclarativeBase):
    pass


member_groups = Table(
    "member_groups",
    Own.metadata,
    Column("member_id", ForeignKey("members.id"), primary_key=True),
    Column("group_id", ForeignKey("groups.id"), primary_key=True),
)


class Country(Own):
    __tablename__ = "countries"

    code: Mapped[str] = mapped_column(unique=True)
    id: Mapped[int] = mapped_column(primary_key=True)


class City(Own):
    """Refers to its country by a column that is not the primary key, and has a version column."""

    __tablename__ = "cities"

    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column()
    country_code: Mapped[str | None] = mapped_column(ForeignKey("countries.code"))
    country: Mapped[Country | None] = relationship()
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - as SQLAlchemy requires it


class Hall(Own):
    """Has a primary key of two columns."""

    __tablename__ = "halls"

    house: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]


class Seat(Own):
    __tablename__ = "seats"
    __table_args__ = (ForeignKeyConstraint(["house", "hall_number"], ["halls.house", "halls.number"]),)

    id: Mapped[int] = mapped_column(primary_key=True)
    house: Mapped[int]
    hall_number: Mapped[int | None]
    hall: Mapped[Hall | None] = relationship()
    neighbours: Mapped[int] = column_property(select(func.count()).select_from(Hall).scalar_subquery())


class Member(Own):
    __tablename__ = "members"

    id: Mapped[int] = mapped_column(primary_key=True)
    groups: WriteOnlyMapped[Group] = relationship(secondary=member_groups)
    seen_groups: Mapped[list[Group]] = relationship(secondary=member_groups, viewonly=True)


class Group(Own):
    __tablename__ = "groups"

    id: Mapped[int] = mapped_column(primary_key=True)


class OwnDataclass(MappedAsDataclass, DeclarativeBase):
    pass


class Point(OwnDataclass):
    """Is unhashable, compares by value, and is falsy."""

    __tablename__ = "points"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    layer: Mapped[int] = mapped_column(default=1)

    def __bool__(self) -> bool:
        return False


@pytest.fixture
def sessions(engine: Engine) -> Iterator[sessionmaker[Session]]:
    bases: list[type[Any]] = [Own, OwnDataclass]
    for base in bases:
        base.metadata.create_all(engine)
    yield sessionmaker(engine)
    for base in bases:
        base.metadata.drop_all(engine)


@pytest.mark.parametrize("expired", [True, False])
@pytest.mark.parametrize("loaded", [True, False])
def test_the_old_row_keeps_a_reference_by_another_column(
    sessions: sessionmaker[Session], bus: ReactiveBus, emitted: EmittedEvents, expired: bool, loaded: bool
) -> None:
    emit_on_commit(sessions, bus, {City: lambda city: city.country and (f"country:{city.country.id}", {"cities"})})
    with sessions() as session:
        session.add_all([Country(id=1, code="at"), Country(id=2, code="ch")])
        session.flush()
        city = City(id=1, country_code="at")
        session.add(city)
        session.commit()
        assert emitted.scopes() == ["country:1"]
        if not expired:
            session.refresh(city)
        if loaded:
            assert city.country is not None
        city.country_code = "ch"
        session.commit()
        assert emitted.scopes() == ["country:1", "country:2"]
        city.country = None
        session.commit()
        assert emitted.scopes() == ["country:2"]
        session.delete(city)
        session.commit()
    assert emitted() == []


@pytest.mark.parametrize("expired", [True, False])
def test_the_old_row_keeps_a_reference_by_two_columns(
    sessions: sessionmaker[Session], bus: ReactiveBus, emitted: EmittedEvents, expired: bool
) -> None:
    emit_on_commit(sessions, bus, {Seat: lambda seat: (f"hall:{seat.hall and seat.hall.name}", {"seats"})})
    with sessions() as session:
        session.add_all([Hall(house=1, number=1, name="a"), Hall(house=1, number=2, name="b")])
        seat = Seat(id=1, house=1, hall_number=1)
        session.add(seat)
        session.commit()
        assert emitted.scopes() == ["hall:a"]
        if not expired:
            session.refresh(seat)
        seat.hall_number = 2
        session.commit()
        assert emitted.scopes() == ["hall:a", "hall:b"]
        seat.hall_number = None
        session.commit()
        assert emitted.scopes() == ["hall:None", "hall:b"]


@pytest.mark.parametrize("expired", [True, False])
def test_rows_of_a_hierarchy_emit_their_old_and_new_scopes(
    sessions: sessionmaker[Session], bus: ReactiveBus, emitted: EmittedEvents, expired: bool
) -> None:
    def describe(card: Card) -> tuple[str, set[str]]:
        return f"board:{card.board_id}", {f"album.a{card.album_id}" if isinstance(card, Photo) else "notes"}

    emit_on_commit(sessions, bus, {Card: describe})
    with sessions() as session:
        photo, note = Photo(board_id=1, album_id=1), Note(board_id=2)
        session.add_all([photo, note])
        session.commit()
        emitted()
        if not expired:
            session.refresh(photo)
            session.refresh(note)
        photo.board_id, photo.album_id, note.board_id = 3, 4, 5
        session.commit()
        assert emitted() == [
            ("board:1", ["album.a1"]),
            ("board:2", ["notes"]),
            ("board:3", ["album.a4"]),
            ("board:5", ["notes"]),
        ]
        photo.album_id, note.board_id = 4, 5
        session.commit()
    assert emitted() == []


def test_changes_of_write_only_collections_are_emitted(
    sessions: sessionmaker[Session], bus: ReactiveBus, emitted: EmittedEvents
) -> None:
    emit_on_commit(sessions, bus, {Member: lambda member: (f"member:{member.id}", {"groups"})})
    with sessions() as session:
        member, group = Member(id=1), Group(id=1)
        session.add_all([member, group])
        session.commit()
        assert emitted.scopes() == ["member:1"]
        member.groups.add(group)
        session.commit()
        assert emitted.scopes() == ["member:1"]
        assert member.seen_groups == [group]
        session.commit()
        assert emitted() == []
        member.groups.remove(group)
        session.commit()
    assert emitted.scopes() == ["member:1"]


def test_rows_may_be_unhashable_and_falsy(
    sessions: sessionmaker[Session], bus: ReactiveBus, emitted: EmittedEvents
) -> None:
    emit_on_commit(sessions, bus, {Point: lambda point: (f"layer:{point.layer}:{str(point)[-8:]}", {"points"})})
    with sessions() as session:
        points = [Point(), Point()]
        session.add_all(points)
        session.commit()
        assert emitted.scopes() == ["layer:1:layer=1)"]
        points[0].layer = 2
        session.commit()
        assert emitted.scopes() == ["layer:1:layer=1)", "layer:2:layer=2)"]
        session.delete(points[1])
        session.commit()
    assert emitted.scopes() == ["layer:1:layer=1)"]
