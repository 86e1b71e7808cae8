"""Ask: one stream for several regions, and an answer that can be shared."""

from __future__ import annotations

import re

import pytest

from example_app.model import Source, answer_from, find_sources

from .conftest import Enter

pytestmark = pytest.mark.anyio

HTMX = {"HX-Request": "true"}
QUESTION = "When does the band play?"


async def test_the_sources_come_first_then_the_answer_then_the_link(enter: Enter) -> None:
    ada = await enter("Ada")
    regions = await ada.post("/ask", data={"question": QUESTION}, headers=HTMX)
    stream = re.search(r"/ask/[\w-]+/stream", regions.text)
    assert stream is not None
    result = await ada.sse(stream[0], max_events=100, disconnect_after=5)
    targets = [re.findall(r'hx-target="#(\w+)"', event.data) for event in result.events[:-1]]
    assert targets[0] == ["answer", "sources"]
    assert {tuple(each) for each in targets[1:-1]} == {("answer",)}
    assert targets[-1] == ["share"]
    assert result.events[-1].event == "answered"

    again = await ada.sse(stream[0], max_events=100, disconnect_after=5)  # a browser that lost its connection
    assert [event.data for event in again.events] == [event.data for event in result.events]


async def test_without_javascript_the_answer_is_a_page(enter: Enter) -> None:
    ada, stranger = await enter("Ada"), await enter(None)
    answer = await ada.post("/ask", data={"question": QUESTION})
    assert answer.status_code == 303
    shared = await stranger.get(answer.headers["location"])
    assert "The band plays from six" in shared.text
    assert "Plan for the summer fair" in shared.text
    assert QUESTION in (await ada.get("/ask")).text


@pytest.mark.parametrize("question", ["", "x" * 201])
async def test_a_question_that_cannot_be_is_refused(enter: Enter, question: str) -> None:
    ada = await enter("Ada")
    assert (await ada.post("/ask", data={"question": question}, headers=HTMX)).status_code == 422


async def test_an_answer_that_is_not_there_is_not_found(enter: Enter) -> None:
    stranger = await enter(None)
    assert (await stranger.get("/answers/none")).status_code == 404


def test_sources_are_those_that_share_words_the_best_first() -> None:
    fair, cake, work = (Source(name, "/", text) for name, text in [("Fair", "band"), ("Cake", "band tent"), ("W", "x")])
    assert find_sources("Which band has a tent?", [fair, cake, work]) == [cake, fair]
    assert answer_from("Which band?", []).startswith("Nothing on your boards")
