"""Attacks with one bad value. What an attacker would gain: the streams of all other viewers end."""

from __future__ import annotations

from typing import Any

import pytest

from starlette_reactive import ChangeEvent, DependencyIndex, EventStream, ReactiveBus, reactive_stream
from starlette_reactive._streams import backoff

from ..support import connect, environment, eventually

ENV = environment(page="{% block name %}{{ name }}{% endblock %}|{% block count %}{{ count }}{% endblock %}")
LONE_SURROGATE = "\ud800"  # FastAPI accepts it in JSON for a `str`


@pytest.mark.parametrize("debug", [False, True])
async def test_text_that_utf_8_cannot_encode_fails_its_block_and_no_other(
    debug: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "FIRST_RETRY", 0.02)
    bus, index = ReactiveBus(), DependencyIndex()
    index.register_template(ENV, "page.html")
    data: dict[str, Any] = {"name": "Ann", "count": 1}
    stream = reactive_stream(bus, scope="s", index=index, context_builder=lambda: dict(data), debug=debug)

    async with connect(stream) as connection:
        data.update(name=LONE_SURROGATE, count=2)
        await bus.emit(ChangeEvent("s", {"name", "count"}))
        await eventually(lambda: any(frame.data == "2" for frame in connection.updates))
        assert not connection.ended.is_set()
        assert "the block 'name' of 'page.html' contains the lone surrogate '\\ud800'" in caplog.text

        data.update(name="Ben")  # what failed is tried again, without a further change
        await eventually(lambda: any(frame.data == "Ben" for frame in connection.updates))


async def test_a_viewer_who_reconnects_gets_the_other_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_RETRY", 3600)
    monkeypatch.setattr(backoff, "LAST_RETRY", 3600)
    bus, index = ReactiveBus(), DependencyIndex()
    index.register_template(ENV, "page.html")
    before = bus.cursor("s")
    await bus.emit(ChangeEvent("s", {"name", "count"}))
    stream = reactive_stream(
        bus, scope="s", index=index, context_builder=lambda: {"name": LONE_SURROGATE, "count": 2}, after=before
    )
    async with connect(stream) as connection:
        assert (await connection.next_update()).data == "2"
        assert not connection.ended.is_set()


async def test_a_generator_may_yield_such_text_and_goes_on() -> None:
    async def items() -> Any:
        yield LONE_SURROGATE
        yield {"text": LONE_SURROGATE}
        yield "after"

    async with connect(EventStream(items())) as connection:
        assert (await connection.next_update()).data == "after"
