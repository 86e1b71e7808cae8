"""What was read, and which changes of rows meet it."""

from __future__ import annotations

import pytest

from starlette_reactive._core.events import ChangeEvent
from starlette_reactive._core.facts import (
    COMMITS,
    UNKNOWN,
    UNNAMED,
    Fact,
    Facts,
    column_path,
    condition,
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
