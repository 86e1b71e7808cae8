"""Event streams are parsed as the WHATWG HTML standard specifies."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import anyio
import pytest
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse as FastAPIStream
from fastapi.sse import ServerSentEvent as FastAPIEvent
from hypothesis import given
from hypothesis import strategies as st
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from starlette_reactive import SSEEvent
from starlette_reactive._core.sse import encode_event
from starlette_reactive.testing import ReceivedEvent, TestClient
from starlette_reactive.testing._sse import EventParser

from .apps import streaming


def read(text: str | bytes, *, chunks: int | None = None) -> list[ReceivedEvent]:
    data = text.encode() if isinstance(text, str) else text
    parser, size = EventParser(), chunks or len(data) or 1
    return [event for at in range(0, len(data), size) for event in parser.feed(data[at : at + size])]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("chunks", [None, 1, 2, 3])
def test_lines_end_with_lf_cr_or_crlf_for_any_chunk_size(end: str, chunks: int | None) -> None:
    text = "event: a\ndata: one\ndata: two\nid: 1\nretry: 7\n\ndata: é\n\n: more\n".replace("\n", end)
    assert read(text, chunks=chunks) == [ReceivedEvent("one\ntwo", "a", "1", 7), ReceivedEvent("é")]


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("\ufeffdata: a\n\n", ["a"]),
        ("\ufeff\ufeffdata: a\n\n", []),
        ("data:a\n\n", ["a"]),
        ("data:  a\n\n", [" a"]),
        ("data\n\n", [""]),
        ("data\ndata\n\n", ["\n"]),
        ("data:\n\n", [""]),
        ("data: cut", []),
        ("data: cut\n", []),
        (": a comment\n\n", []),
        ("event: a\n\n", []),
        ("DATA: a\n\n", []),
        ("unknown: a\ndata: b\n\n", ["b"]),
        ("data: a:b\n\n", ["a:b"]),
        ("\n\n\ndata: a\n\n\n\n", ["a"]),
    ],
)
def test_only_blocks_with_data_are_events(text: str, events: list[str]) -> None:
    assert [event.data for event in read(text)] == events


def test_invalid_utf8_is_replaced() -> None:
    assert [event.data for event in read(b"data: \xff\n\n")] == ["\N{REPLACEMENT CHARACTER}"]


def test_the_last_event_id_lasts_until_the_next_and_ignores_nul() -> None:
    parser = EventParser()
    ids = []
    for text in ("id: 1\ndata: a\n\n", "data: b\n\n", "id: 2\0\ndata: c\n\n", "id: 3\n\n", "id\n\n", "id: 4\n"):
        list(parser.feed(text.encode()))
        ids.append(parser.last_event_id)
    assert ids == ["1", "1", "1", "3", "", ""]


@pytest.mark.parametrize(
    ("value", "retry"),
    [("5", 5), ("007", 7), ("+5", None), ("5s", None), ("", None), ("\N{ARABIC-INDIC DIGIT FIVE}", None)],
)
def test_retry_accepts_only_ascii_digits(value: str, retry: int | None) -> None:
    assert [event.retry for event in read(f"retry: {value}\ndata: a\n\n")] == [retry]


def test_heartbeats_are_distinguished_from_other_comments() -> None:
    parser = EventParser()
    list(parser.feed(b":\n\n: heartbeat\n\n: ping - 2026-01-01\n\n: hello\n\n:keep-alive\n\n"))
    assert parser.heartbeats == 3
    assert len(parser.comments) == 5


@given(st.lists(st.tuples(st.text(), st.none() | st.text("abc-:", min_size=1))), st.integers(1, 9))
def test_encoded_events_are_parsed_back(items: list[tuple[str, str | None]], chunks: int) -> None:
    written = b"".join(encode_event(SSEEvent(data, event=name)) for data, name in items)
    plain = [(data.replace("\r\n", "\n").replace("\r", "\n"), name) for data, name in items]
    assert [(event.data, event.event) for event in read(written, chunks=chunks)] == plain


async def test_a_stream_of_this_package() -> None:
    app = streaming("a\nb", {"n": 1}, SSEEvent("c", event="e", id="9", retry=5), event_type="t", endless=False)
    async with TestClient(app) as client:
        result = await client.sse("/stream")
    assert result.events == [
        ReceivedEvent("a\nb", "t"),
        ReceivedEvent('{"n":1}', "t"),
        ReceivedEvent("c", "e", "9", 5),
    ]
    assert (result.status, result.last_event_id, result.retry) == (200, "9", 5)
    assert result.headers["Content-Type"].startswith("text/event-stream")


async def test_a_stream_of_sse_starlette_with_its_crlf() -> None:
    async def generate() -> AsyncIterator[dict[str, str]]:
        yield {"event": "e", "data": "a\nb", "id": "1"}
        yield {"data": "c"}
        await anyio.sleep_forever()

    async def stream(request: Request) -> EventSourceResponse:
        return EventSourceResponse(generate(), ping=0.02, sep="\r\n")

    async with TestClient(Starlette(routes=[Route("/", stream)])) as client:
        result = await client.sse("/", max_events=2)
        assert result.events == [ReceivedEvent("a\nb", "e", "1"), ReceivedEvent("c")]
        assert (await client.sse("/", disconnect_after=1)).heartbeats > 0


async def test_a_stream_of_fastapi() -> None:
    app = FastAPI()

    @app.get("/", response_class=FastAPIStream)
    async def stream() -> AsyncIterator[FastAPIEvent]:
        yield FastAPIEvent(data={"n": 1}, event="e", id="1", retry=9)
        yield FastAPIEvent(data="text")
        await anyio.sleep_forever()

    async with TestClient(app) as client:
        result = await client.sse("/", max_events=2)
    assert [json.loads(event.data) for event in result.events] == [{"n": 1}, "text"]
    assert result.events[0].event == "e"
    assert (result.events[0].id, result.events[0].retry) == ("1", 9)
