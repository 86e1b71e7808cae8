from __future__ import annotations

import copy
import dataclasses
import pickle
import time
from typing import Any
from uuid import UUID

import pytest

from starlette_reactive import BlockRef, ChangeEvent, ConnectionInfo


def test_a_change_takes_any_iterable_of_paths_and_freezes_it() -> None:
    for paths in (["a", "b.c"], ("a", "b.c"), {"a", "b.c"}, (path for path in ("a", "b.c"))):
        assert ChangeEvent("s", paths).changed_paths == frozenset({"a", "b.c"})


def test_a_change_takes_any_iterable_of_user_ids_as_audience() -> None:
    assert ChangeEvent("s", {"a"}, audience=["u", "v"]).audience == frozenset({"u", "v"})
    assert ChangeEvent("s", {"a"}, audience=()).audience == frozenset()
    assert ChangeEvent("s", {"a"}).audience is None


def test_user_ids_may_be_integers_or_uuids_and_are_kept_as_text() -> None:
    uuid = UUID("12345678-1234-5678-1234-567812345678")
    assert ChangeEvent("s", {"a"}, audience=[7, "7", uuid]).audience == frozenset({"7", str(uuid)})
    assert ConnectionInfo("session", 7).user_id == "7"  # type: ignore[arg-type]
    assert ConnectionInfo("session", uuid).user_id == str(uuid)  # type: ignore[arg-type]


def test_a_change_is_a_frozen_hashable_value() -> None:
    event = ChangeEvent("s", {"a"}, "tab", {"u"})
    assert event == ChangeEvent("s", ["a"], origin="tab", audience=["u"])
    assert len({event, ChangeEvent("s", {"a"}, "tab", {"u"})}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.scope = "t"  # type: ignore[misc]
    assert not hasattr(event, "__dict__")
    assert pickle.loads(pickle.dumps(event)) == event == copy.deepcopy(event)
    assert dataclasses.replace(event, scope="t").scope == "t"


@pytest.mark.parametrize("paths", ["title", b"title"])
def test_a_bare_string_as_paths_is_a_type_error_that_says_so(paths: Any) -> None:
    with pytest.raises(TypeError, match="bare string"):
        ChangeEvent("s", paths)


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ([], "empty"),
        ([""], "empty"),
        (["a..b"], "empty segment"),
        ([".a"], "empty segment"),
        (["a."], "empty segment"),
        ([" a"], "white space"),
        (["a b"], "white space"),
        (["a\n"], "white space"),
        (["a\u00a0b"], "white space"),
        (["a\x00"], "control characters"),
        (["a.*"], r"'\*' in it"),
        (["**"], r"'\*' in it"),
    ],
)
def test_an_empty_or_malformed_path_is_a_value_error(paths: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ChangeEvent("s", paths)


@pytest.mark.parametrize("path", ["*", "a", "a.b", "a.0", "doc.title_2", "größe", "a-b"])
def test_a_well_formed_path_is_taken(path: str) -> None:
    assert ChangeEvent("s", {path}).changed_paths == {path}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"scope": ""}, ValueError),
        ({"scope": None}, TypeError),
        ({"scope": 3}, TypeError),
        ({"changed_paths": None}, TypeError),
        ({"changed_paths": {1}}, TypeError),
        ({"origin": ""}, ValueError),
        ({"origin": 1}, TypeError),
        ({"audience": "user"}, TypeError),
        ({"audience": {1.5}}, TypeError),
        ({"audience": {True}}, TypeError),
        ({"audience": {None}}, TypeError),
        ({"audience": {""}}, ValueError),
    ],
)
def test_a_change_refuses_what_is_no_change(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        ChangeEvent(**{"scope": "s", "changed_paths": {"a"}, **arguments})


def test_a_connection_knows_when_it_began() -> None:
    before = time.monotonic()
    connection = ConnectionInfo("session")
    assert before <= connection.connected_at <= time.monotonic()
    assert connection.user_id is None
    assert len({connection, connection}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        connection.user_id = "u"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("",), ValueError),
        ((1,), TypeError),
        (("s", ""), ValueError),
        (("s", 1.5), TypeError),
        (("s", True), TypeError),
        (("s", object()), TypeError),
    ],
)
def test_a_connection_refuses_ids_that_name_nobody(arguments: tuple[Any, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        ConnectionInfo(*arguments)


def test_a_block_goes_to_the_element_named_like_it_unless_told_otherwise() -> None:
    plain = BlockRef("page.html", "title")
    assert (plain.target_id, plain.event_name) == ("title", "title")
    elsewhere = BlockRef("page.html", "title", dom_id="doc-title")
    assert (elsewhere.target_id, elsewhere.event_name) == ("doc-title", "doc-title")
    named = BlockRef("page.html", "title", dom_id="doc-title", event="renamed")
    assert (named.target_id, named.event_name) == ("doc-title", "renamed")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("", "b"), ValueError),
        (("t", ""), ValueError),
        (("t", "b", ""), ValueError),
        (("t", "b", "i", ""), ValueError),
        (("t", 1), TypeError),
        (("t", "b", None, "two\nlines"), ValueError),
        (("t", "b", None, "two\rlines"), ValueError),
    ],
)
def test_a_block_reference_refuses_what_names_no_block(arguments: tuple[Any, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        BlockRef(*arguments)
