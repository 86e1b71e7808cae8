"""When a list is sent whole, although its rows are known."""

from __future__ import annotations

import pytest

from starlette_reactive._core.blocks import BlockRef, Patch, Placement
from starlette_reactive._core.rows import KeyedText, keyed_text
from starlette_reactive._streams.row_changes import change_of


def list_of(block: str, *names: str, placement: Placement = Placement.INSIDE) -> Patch:
    rows = (f"<li id={name}>{name * 9}</li>" for name in names)
    return Patch(BlockRef("page.html", block), keyed_text("|".join(["", *rows, ""]), "|"), placement)


def test_rows_with_the_same_id_make_the_list_whole_and_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    unique, repeated = list_of("twice", *"abcde"), list_of("twice", *"abcdea")
    for _ in range(3):
        assert change_of(unique, repeated) is None
        assert change_of(repeated, unique) is None
    (record,) = caplog.records
    assert record.getMessage() == (
        "the block 'twice' of 'page.html' is sent whole, because two of its rows have the id 'a': give each row an id "
        "of its own"
    )


def test_a_row_without_an_id_makes_the_list_whole() -> None:
    text = keyed_text("|<li id=a>1</li>|<li id=b>2</li>|<li>3</li>|", "|")
    assert change_of(list_of("bare", *"abcde"), Patch(BlockRef("page.html", "bare"), text)) is None


@pytest.mark.parametrize("row", [f"{'<!-- -->' * 60}text", f"<li data-url={'/a=b' * 60} id>"])
def test_a_row_whose_id_is_not_found_takes_no_time(row: str) -> None:
    text = keyed_text(f"|{row}|<li id=a>1</li>|", "|")
    assert isinstance(text, KeyedText)
    assert text.ids is None


@pytest.mark.parametrize(
    ("row", "dom_id"),
    [
        ('<li data-x=\'id="no"\' id="yes">', "yes"),
        ("<!-- <li id=no> --> <li\n ID = 'a&amp;b'>", "a&b"),
        ("<a href=/x?a=b/c=d id=yes>", "yes"),
        ("<li data-id=no idx=no id=yes id=no>", "yes"),
        ("<my-row/id=yes>", "yes"),
    ],
)
def test_the_id_of_a_row_is_that_of_its_first_element(row: str, dom_id: str) -> None:
    text = keyed_text(f"|{row}|", "|")
    assert isinstance(text, KeyedText)
    assert text.ids == (dom_id,)


def test_a_list_that_is_placed_in_another_way_is_whole() -> None:
    assert change_of(list_of("moved", *"abc"), list_of("moved", *"abd")) is not None
    assert change_of(list_of("moved", *"abc"), list_of("moved", *"abd", placement=Placement.AROUND)) is None


def test_a_text_that_is_no_list_is_whole() -> None:
    plain = Patch(BlockRef("page.html", "plain"), "<li id=a>1</li>")
    assert change_of(plain, list_of("plain", *"abc")) is None
    assert change_of(list_of("plain", *"abc"), plain) is None
