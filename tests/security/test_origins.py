"""Attacks with the header ``Reactive-Origin``, whose value is kept in the log and sent to every process.

What an attacker would gain: the memory of all processes and of the engine, for the price of one request each.
"""

from __future__ import annotations

import json

import pytest
from starlette.requests import Request

from starlette_reactive import ChangeEvent, Reactive, ReactiveBus
from starlette_reactive._core.events import LONGEST_ORIGIN
from starlette_reactive._engines.redis import codec

from ..support import environment

ENV = environment(page='<p id="title">{% block title %}{% endblock %}</p><div {{ live() }}></div>')
NO_MARKS = {
    "20 MB": "x" * 20_000_000,
    "one too many": "x" * 65,
    "empty": "",
    "space": "a b",
    "line break": "abc\n",
    "NUL": "a\0",
    "letters that are not ASCII": "\N{LATIN SMALL LETTER E WITH ACUTE}",
    "quotes": "\"'",
    "markup": "<b>",
    "selector": '"]',
}


def request_with(mark: str) -> Request:
    headers = [(b"reactive-origin", mark.encode("latin-1"))]
    return Request({"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers})


@pytest.fixture
def reactive() -> Reactive:
    return Reactive(ENV, secret="a secret for tests")


@pytest.mark.parametrize("kind", NO_MARKS)
def test_what_is_not_like_a_mark_is_no_origin(reactive: Reactive, kind: str) -> None:
    assert reactive.origin(request_with(NO_MARKS[kind])) is None


@pytest.mark.parametrize("mark", ["a", "AZaz09_-", "x" * 39, "x" * 64])
def test_what_only_looks_like_a_mark_is_no_origin(reactive: Reactive, mark: str) -> None:
    assert reactive.origin(request_with(mark)) is None


@pytest.mark.parametrize("kind", NO_MARKS)
async def test_what_is_not_like_a_mark_is_no_origin_of_what_an_endpoint_emits(
    reactive: Reactive, kind: str, captured_changes: list[ChangeEvent]
) -> None:
    @reactive.html
    async def change(request: Request) -> str:
        await reactive.emit("s", "a")
        return "changed"

    assert (await change(request_with(NO_MARKS[kind]))).body == b"changed"
    assert captured_changes == [ChangeEvent("s", {"a"})]


def test_a_long_origin_that_an_application_passes_on_by_itself_is_refused() -> None:
    """An application that reads the header itself does not repeat the attack."""
    assert ChangeEvent("s", {"a"}, "x" * LONGEST_ORIGIN).origin == "x" * LONGEST_ORIGIN
    with pytest.raises(ValueError, match="origin has 201 characters, which is more than 200: pass reactive.origin"):
        ChangeEvent("s", {"a"}, "x" * (LONGEST_ORIGIN + 1))


async def test_a_refused_origin_changes_nothing(reactive: Reactive) -> None:
    bus: ReactiveBus = reactive.bus
    before = bus.cursor("s")
    with pytest.raises(ValueError, match="origin has"):
        await reactive.emit("s", "a", origin="x" * 20_000_000)
    with pytest.raises(ValueError, match="origin has"):
        reactive.emit_sync("s", "a", origin="x" * 20_000_000)
    assert bus.cursor("s") == before


def test_a_process_survives_a_long_origin_of_another_program() -> None:
    """An older version of the package may still send one. All are notified then, the tab that made the change too."""
    body = json.dumps({"scope": "s", "paths": ["a"], "origin": "x" * 201, "audience": None})
    assert codec.parse_event(f"2 1 {body}".encode()).event == ChangeEvent("s", {"a"})
    entry = json.dumps(["a", None]).encode(), f"2 0 {json.dumps('x' * 201)}".encode()
    assert [record.origin for record in codec.parse_history(2, b"0", entry).records] == [None]
