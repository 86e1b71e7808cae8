"""The chat: nothing is lost and nothing comes twice, however often a page goes away and comes back."""

from __future__ import annotations

import re

import anyio
import pytest
from fastapi import FastAPI, HTTPException
from sqlalchemy import select

from example_app import model
from example_app.chat import Position
from example_app.models import Message
from starlette_reactive.testing import LivePage

from .conftest import Enter

pytestmark = pytest.mark.anyio

HTMX = {"HX-Request": "true"}
HOW = "@guide how does it work?"


@pytest.fixture(params=[2, 4], ids=["htmx2", "htmx4"])
def htmx(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def ids(page: LivePage) -> list[str]:
    return re.findall(r'id="(message-\d+)"', page.html("#messages"))


async def test_messages_and_replies_come_to_everybody_once(enter: Enter, htmx: int) -> None:
    ada, ben = await enter("Ada", htmx), await enter("Ben", htmx)
    pages = [await ada.live("/chat"), await ben.live("/chat")]
    await ada.post("/chat", data={"text": HOW}, headers=HTMX)
    for page in pages:
        await page.expect("#messages", contains="after the last word that reached you.")
        await page.expect("#message-5 .text", model.reply_to(HOW, []))
        assert ids(page) == [f"message-{number}" for number in range(1, 6)]


async def test_a_reply_is_sent_in_pieces_and_each_piece_once(enter: Enter) -> None:
    ada = await enter("Ada")
    page = await ada.live("/chat")
    await ada.post("/chat", data={"text": HOW}, headers=HTMX)
    await page.expect("#message-5:not([aria-busy]) .text", model.reply_to(HOW, []))
    pieces = [frame.data for frame in page.frames if 'hx-target="#text-5"' in frame.data]
    assert len(pieces) > 3
    assert all(piece.count(" ") < 30 for piece in pieces)


async def test_a_page_that_comes_back_in_the_middle_of_a_reply_goes_on_there(
    enter: Enter, htmx: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXAMPLE_PAUSE", "0.01")
    ada = await enter("Ada", htmx)
    page = await ada.live("/chat")
    await ada.post("/chat", data={"text": HOW}, headers=HTMX)
    for words in ("Each word", "one open stream", "appends that"):
        await page.expect("#message-5 .text", contains=words)
        await page.reconnect()
    await page.expect("#message-5 .text", model.reply_to(HOW, []))
    assert ids(page) == [f"message-{number}" for number in range(1, 6)]


async def test_what_was_said_while_a_page_was_away_is_appended_when_it_returns(enter: Enter) -> None:
    ada, ben = await enter("Ada"), await enter("Ben")
    page = await ben.live("/chat")
    page.go_offline()
    await ada.post("/chat", data={"text": "One"})
    await ada.post("/chat", data={"text": "Two"})
    await page.go_online()
    await page.expect("#messages", contains="Two")
    assert ids(page)[-2:] == ["message-4", "message-5"]


async def test_a_reply_that_was_cut_off_is_not_waited_for(app: FastAPI, enter: Enter) -> None:
    ada = await enter("Ada")
    async with app.state.sessions() as session:
        message = Message("Guide", "Each word", done=False)
        message.at = message.at.replace(year=2020)
        session.add(message)
        await session.commit()
    assert "aria-busy" not in (await ada.get("/chat")).text


async def test_the_guide_knows_what_is_to_do(app: FastAPI, enter: Enter) -> None:
    ada = await enter("Ada")
    await ada.post("/chat", data={"text": "@guide what is to do?"})
    with anyio.fail_after(20):
        while True:
            async with app.state.sessions() as session:
                reply = await session.scalar(select(Message).where(Message.author == "Guide"))
            if reply is not None and reply.done:
                break
            await anyio.sleep(0.01)
    assert reply.text.startswith("There are 7 things to do: Draw the map of the stalls;")


@pytest.mark.parametrize("text", ["  ", "x" * 501])
async def test_a_message_that_cannot_be_is_refused(enter: Enter, text: str) -> None:
    ada = await enter("Ada")
    assert (await ada.post("/chat", data={"text": text}, headers=HTMX)).status_code == 422
    assert (await ada.post("/chat", data={"text": text})).status_code == 422


async def test_messages_are_escaped(enter: Enter) -> None:
    ada, ben = await enter("Ada"), await enter("Ben")
    page = await ben.live("/chat")
    await ada.post("/chat", data={"text": "<b>bold</b>"})
    await page.expect("#message-4 .text", "<b>bold</b>")


def test_a_position_is_read_as_it_was_written() -> None:
    for text in ("0", "17", "17-16.120", "19-18.0-19.33"):
        assert str(Position.read(text)) == text


@pytest.mark.parametrize("text", ["", "x", "17-", "17-16", "1" * 19, "17-16.120-", "17\n"])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(HTTPException):
        Position.read(text)
