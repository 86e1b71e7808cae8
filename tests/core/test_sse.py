from __future__ import annotations

from typing import Any

import pytest

from starlette_reactive import SSEEvent
from starlette_reactive._core.sse import encode_event, with_fields


@pytest.mark.parametrize("field", ["event", "id"])
@pytest.mark.parametrize("character", ["\r", "\n", "\0", "\r\n"])
def test_a_line_break_or_nul_in_a_field_is_refused(field: str, character: str) -> None:
    with pytest.raises(ValueError, match=field):
        SSEEvent(**{"data": "", field: f"a{character}b"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"retry": -1}, ValueError),
        ({"retry": 1.5}, TypeError),
        ({"retry": True}, TypeError),
        ({"event": 1}, TypeError),
        ({"id": 1}, TypeError),
        ({"data": {"a": 1}}, TypeError),
        ({"data": None}, TypeError),
    ],
)
def test_an_event_refuses_what_no_frame_can_hold(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        SSEEvent(**{"data": "", **arguments})


def test_an_event_is_a_frame_of_lf_lines() -> None:
    assert encode_event(SSEEvent("x")) == b"data: x\n\n"
    assert encode_event(SSEEvent("x", event="e", id="1", retry=5)) == b"retry: 5\nid: 1\nevent: e\ndata: x\n\n"


def test_empty_data_is_a_data_line_so_that_browsers_dispatch_it() -> None:
    assert encode_event(SSEEvent("", event="cleared")) == b"event: cleared\ndata: \n\n"


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_each_line_of_data_is_a_data_line_whichever_line_end_it_uses(end: str) -> None:
    assert encode_event(SSEEvent(f"a{end}{end}b{end}")) == b"data: a\ndata: \ndata: b\ndata: \n\n"


def test_characters_that_only_python_takes_for_line_ends_stay() -> None:
    assert encode_event(SSEEvent("a\u2028b\x0bc\x85d")) == "data: a\u2028b\x0bc\x85d\n\n".encode()


def test_the_last_frame_carries_the_cursor_and_the_first_the_retry() -> None:
    frames = [b"event: a\ndata: 1\n\n", b"event: b\ndata: 2\n\n"]
    assert with_fields(frames) == b"".join(frames)
    assert with_fields(frames, event_id="c-1", retry=7) == (
        b"retry: 7\nevent: a\ndata: 1\n\nid: c-1\nevent: b\ndata: 2\n\n"
    )
    assert with_fields(frames[:1], event_id="c-1", retry=7) == b"retry: 7\nid: c-1\nevent: a\ndata: 1\n\n"
