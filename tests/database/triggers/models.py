"""Tables whose changes triggers emit: all types of keys, and names, schemas and partitions that need care."""

from __future__ import annotations

import enum

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
)

metadata = MetaData()


class Colour(enum.Enum):
    RED = "r"
    DARK_RED = "d"


board = Table("board", metadata, Column("id", Integer, primary_key=True), Column("name", Text))
task = Table(
    "task",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("board_id", ForeignKey("board.id", ondelete="CASCADE")),
    Column("title", Text),
    Column("data", JSON),
)
slot = Table(
    "slot",
    metadata,
    Column("day", Date, primary_key=True),
    Column("room", Uuid, primary_key=True),
    Column("is_open", Boolean, primary_key=True),
    Column("note", Text),
)
booking = Table(
    "booking",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("day", Date),
    Column("room", Uuid),
    Column("is_open", Boolean),
    ForeignKeyConstraint(["day", "room", "is_open"], ["slot.day", "slot.room", "slot.is_open"], onupdate="CASCADE"),
)
paint = Table(
    "paint",
    metadata,
    Column("colour", Enum("red", "dark red", "gr\u00fcn", "50%", "", name="colour"), primary_key=True),
    Column("kind", Enum(Colour, name="kind"), primary_key=True),
)
page = Table("page", metadata, Column("slug", Text, primary_key=True), Column("text", Text))
odd = Table(
    'odd "table"',
    metadata,
    Column("Order", Integer, primary_key=True),
    Column("origin", Integer, ForeignKey("board.id")),
    Column("paths", Integer, ForeignKey("board.id")),
    Column("a.b c", Integer, ForeignKey("board.id")),
    Column("value", Text),
    schema="Other",
)
entry = Table("entry", metadata, Column("board_id", ForeignKey("board.id")), Column("data", JSON))
plain = Table("plain", metadata, Column("text", Text))
legacy = Table("legacy", metadata, Column("id", Uuid(native_uuid=False), primary_key=True))
long = Table("l" * 63, metadata, Column("id", Integer, primary_key=True))
measure = Table(
    "measure",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("year", Integer, primary_key=True),
    Column("level", Integer),
    postgresql_partition_by="range (year)",
)
