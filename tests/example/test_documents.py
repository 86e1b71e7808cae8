"""Documents: what is live of them, who is there, and what becomes of two who save at once."""

from __future__ import annotations

import re

import pytest

from example_app.live import index, reactive
from starlette_reactive.testing import LivePage, assert_sse_wired

from .conftest import Enter

pytestmark = pytest.mark.anyio

HTMX = {"HX-Request": "true"}


@pytest.fixture(params=[2, 4], ids=["htmx2", "htmx4"])
def htmx(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def own_changes(page: LivePage) -> dict[str, str]:
    """Return the headers by which the editor's form marks its own requests."""
    found = re.search(r"tab=(\w+)", page.streams[0].address)
    assert found is not None
    return HTMX | {"Tab": found[1]}


def test_the_editor_is_not_live_and_what_hangs_on_the_text_is() -> None:
    def blocks(*paths: str) -> set[str]:
        return {ref.block_name for ref in index.affected_blocks(paths)}

    assert blocks("document.text") == {"version", "words"}
    assert blocks("document.title") == {"title"}
    assert blocks("here") == {"here"}
    assert blocks("*") == {"title", "version", "words", "here"}


async def test_saving_is_shown_to_everybody_who_reads(enter: Enter, htmx: int) -> None:
    ada, ben = await enter("Ada", htmx), await enter("Ben", htmx)
    page = await ben.live("/documents/1")
    await ada.post("/documents/1", data={"text": "Three little words", "base": 1}, headers=HTMX)
    await page.expect("#words", "3 words")
    await page.expect("#version", contains="Version 2 by Ada")
    assert "meadow" in page.html("#editor")


async def test_who_saves_is_answered_and_not_told_again(enter: Enter, htmx: int) -> None:
    ada = await enter("Ada", htmx)
    page = await ada.live("/documents/1")
    await page.expect("#here", contains="Ada")
    await page.reconnect()
    answer = await ada.post("/documents/1", data={"text": "Three little words", "base": 1}, headers=own_changes(page))
    assert "Saved as version 2" in answer.text
    assert '<hx-partial hx-target="#words" hx-swap="innerHTML">3 words</hx-partial>' in answer.text
    await ada.post("/documents/1/title", data={"title": "Plan"}, headers=HTMX)
    await page.expect("#title", "Plan")
    assert "Version 1" in page.text("#version")  # the answer's partials are the browser's affair


async def test_of_two_who_save_at_once_the_second_is_shown_what_happened(enter: Enter) -> None:
    ada, ben = await enter("Ada"), await enter("Ben")
    await ada.post("/documents/1", data={"text": "Six\nSame", "base": 1}, headers=HTMX)
    refused = await ben.post("/documents/1", data={"text": "Seven\nSame", "base": 1}, headers=HTMX)
    assert refused.status_code == 422
    assert "Ada saved version 2 while you were writing" in refused.text
    assert "<ins>Six</ins>" in refused.text
    assert "<del>Seven</del>" in refused.text
    assert "Same" not in refused.text
    assert 'name="base" value="2"' in refused.text

    kept = await ben.post("/documents/1", data={"text": "Seven\nSame", "base": 2}, headers=HTMX)
    assert "Saved as version 3" in kept.text
    assert "Seven\nSame" in (await ada.get("/documents/1/editor", headers=HTMX)).text


async def test_without_javascript_a_conflict_is_a_page_with_the_own_text_in_it(enter: Enter) -> None:
    ada, ben = await enter("Ada"), await enter("Ben")
    await ada.post("/documents/1", data={"text": "Six", "base": 1})
    refused = await ben.post("/documents/1", data={"text": "Seven", "base": 1})
    assert refused.status_code == 422
    assert "Seven</textarea>" in refused.text
    assert "Keep mine, as version 3" in refused.text


async def test_names_come_and_go_with_the_pages_that_are_open(enter: Enter, htmx: int) -> None:
    ada, ben = await enter("Ada", htmx), await enter("Ben", htmx)
    hers = await ada.live("/documents/1")
    again = await ada.live("/documents/1")
    his = await ben.live("/documents/1")
    for page in (hers, again, his):
        await page.expect("#here", "A AdaB Ben")
    await his.close()
    await hers.expect("#here", "A Ada")
    await again.close()
    await hers.expect("#here", "A Ada")  # she has one page open still
    assert {each.user_id for each in reactive.presence("document:1")} == {"ada"}


async def test_a_reader_who_was_away_catches_up(enter: Enter, htmx: int) -> None:
    ada, ben = await enter("Ada", htmx), await enter("Ben", htmx)
    page = await ben.live("/documents/1")
    page.go_offline()
    await ada.post("/documents/1", data={"text": "Three little words", "base": 1}, headers=HTMX)
    await page.go_online()
    await page.expect("#words", "3 words")


@pytest.mark.parametrize("title", ["", "x" * 81])
async def test_a_title_that_cannot_be_is_refused(enter: Enter, title: str) -> None:
    ada = await enter("Ada")
    for path in ("/documents", "/documents/1/title"):
        assert (await ada.post(path, data={"title": title}, headers=HTMX)).status_code == 422
    too_long = await ada.post("/documents/1", data={"text": "x" * 20_001, "base": 1}, headers=HTMX)
    assert too_long.status_code == 422


async def test_a_new_document_is_in_the_list(enter: Enter) -> None:
    ada = await enter("Ada")
    home = await ada.live("/")
    answer = await ada.post("/documents", data={"title": "Minutes"})
    assert answer.headers["location"] == "/documents/3"
    await home.expect("#documents", contains="Minutes")


async def test_the_page_and_its_stream_fit(enter: Enter, htmx: int) -> None:
    await assert_sse_wired(await enter("Ada", htmx), "/documents/1")


async def test_nobody_reads_a_stream_without_signing_in(enter: Enter) -> None:
    stranger = await enter(None)
    for path in ("/documents/1/stream?tab=t", "/chat/stream?tab=t&after=0", "/ask/token/stream"):
        assert (await stranger.get(path)).status_code == 401
