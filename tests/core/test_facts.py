"""What was read, and which changes of rows meet it."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Mapping
from datetime import date, datetime

import pytest

from starlette_reactive._core.events import ChangeEvent
from starlette_reactive._core.facts import (
    COMMITS,
    UNKNOWN,
    UNNAMED,
    Fact,
    Facts,
    bounded,
    column_path,
    condition,
    fact_by_hand,
    table_path,
    table_scope,
    value_path,
)
from starlette_reactive._core.reads import Read, Reads, current_reads, reading, untracked

BOARD_7 = condition("board_id", ["7"], is_key=True)
OPEN = condition("done", ["false"], is_key=False)
TASKS = table_scope("task")


def test_paths_of_any_names_and_values_are_paths_of_events() -> None:
    odd = ["", ".", "a.b", "a b", "*", "ä=ö", "\x1f", None]
    paths = {value_path("odd.column name*", each) for each in odd} | {column_path("a b.*"), table_path("a.b *")}
    assert len(paths) == len(odd) + 2
    assert ChangeEvent(table_scope("a b"), paths | {UNNAMED}).changed_paths == paths | {UNNAMED}


@pytest.mark.parametrize(
    ("changed", "is_met"),
    [
        ({"id=1", "board_id=7", "done=false"}, True),
        ({"id=1", "board_id=8", "done=false"}, False),
        ({"id=1", "board_id=7", "done=true"}, False),
        ({"id=1", "board_id", "done=false"}, True),
        ({"id=1", "board_id=7", UNNAMED}, True),
        ({"id=1", "board_id=8", UNNAMED}, False),
        ({"*"}, True),
    ],
)
def test_a_fact_is_met_if_each_condition_is(changed: set[str], is_met: bool) -> None:
    facts = Facts(frozenset({Fact("task", frozenset({BOARD_7, OPEN}))}))
    assert facts.are_met_by({TASKS: changed}) is is_met
    assert not facts.are_met_by({table_scope("board"): changed, COMMITS: {"task"}})


def test_a_write_to_what_is_not_known_meets_every_fact_and_everything_meets_every_commit() -> None:
    known, everything = Facts(frozenset({Fact("task", frozenset({BOARD_7}))})), Facts(everything=True)
    assert known.scopes == {TASKS, UNKNOWN}
    assert known.are_met_by({UNKNOWN: {"*"}})
    assert everything.scopes == {COMMITS, UNKNOWN}
    assert everything.are_met_by({COMMITS: {"task"}})
    assert (known | everything).are_met_by({COMMITS: {"board"}})
    assert not Facts()
    assert not Facts().scopes
    assert not Facts().are_met_by({UNKNOWN: {"*"}})


def test_reads_are_recorded_in_the_block_only_and_not_while_untracked() -> None:
    reads, read = Reads(), Read(Facts(frozenset({Fact("task")})), "SELECT task.id FROM task")
    assert current_reads() is None
    with reading(reads):
        assert current_reads() is reads
        with untracked():
            assert current_reads() is None
        reads.add(read)
        reads.add(read)
    assert current_reads() is None
    assert reads.entries == (read,)
    assert reads.facts == read.facts


class State(enum.Enum):
    OPEN = "is open"


class Level(enum.IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("columns", "changed"),
    [
        ({"board_id": 7}, "board_id=7"),
        ({"board_id": [7, 8]}, "board_id=8"),
        ({"board_id": 7}, "board_id"),
        ({"board_id": None}, "board_id="),
        ({"done": False}, "done=false"),
        ({"state": State.OPEN}, "state=OPEN"),
        ({"state": State.OPEN}, value_path("state", "is open")),
        ({"level": Level.HIGH}, "level=3"),
        ({"due": date(2024, 2, 29)}, "due=2024-02-29"),
        ({"token": uuid.UUID(int=7)}, "token=00000000-0000-0000-0000-000000000007"),
        ({"board_id": 7}, UNNAMED),
        ({}, "board_id=7"),
    ],
)
def test_a_fact_by_hand_is_met_by_what_it_names(columns: Mapping[str, object], changed: str) -> None:
    fact = fact_by_hand("task", columns)
    assert fact.is_met_by({changed})
    assert not columns or not fact.is_met_by({"board_id=9", "done=true", "state=DONE", "level=4", "due="})


@pytest.mark.parametrize("value", ["x", 1.5, datetime(2024, 2, 29), b"x", [7, "x"]])
def test_a_fact_by_hand_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=r"board_id=.* cannot be watched: pass an int, bool, UUID, Enum, date or None"):
        fact_by_hand("task", {"board_id": value})


def keyed(column: str, value: int) -> Fact:
    return Fact("task", frozenset({condition(column, [str(value)], is_key=True)}))


def test_many_facts_on_one_column_become_one_with_all_values() -> None:
    many = {keyed("board_id", number) for number in range(300)}
    (only,) = bounded(many)
    assert all(only.is_met_by({f"board_id={number}"}) for number in range(300))
    assert not only.is_met_by({"board_id=300"})
    assert bounded({keyed("board_id", number) for number in range(256)}) == {
        keyed("board_id", number) for number in range(256)
    }


def test_many_facts_on_several_columns_become_their_table() -> None:
    many = {Fact("task", keyed("board_id", number).conditions | {OPEN}) for number in range(300)}
    assert bounded(many | {Fact("board")}) == {Fact("task"), Fact("board")}


def test_the_facts_of_a_run_are_bounded() -> None:
    reads = Reads()
    for number in range(1000):
        reads.add(Read(Facts(frozenset({keyed("board_id", number)})), "select"))
    assert len(reads.facts.facts) == 1
    assert reads.facts.are_met_by({TASKS: {"board_id=999"}})
