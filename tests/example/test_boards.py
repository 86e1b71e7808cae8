"""Boards: what their forms do, and what commits change on open pages."""

from __future__ import annotations

from functools import partial

import anyio
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from example_app.live import index, reactive
from example_app.models import Notification, Task
from starlette_reactive import ChangeEvent
from starlette_reactive.app import describe_app
from starlette_reactive.testing import assert_fragment_contains, assert_hx_trigger, assert_is_fragment

from .conftest import Enter

HTMX = {"HX-Request": "true"}

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("htmx", [2, 4])
async def test_what_one_person_does_another_sees(enter: Enter, htmx: int) -> None:
    ada, ben = await enter("Ada", htmx), await enter("Ben", htmx)
    page = await ben.live("/boards/1")
    await page.expect("#progress", contains="1 of 6 done")

    await ada.post("/boards/1/tasks", data={"title": "Cake"})
    await page.expect("#columns", contains="Cake")
    await page.expect("#progress", contains="1 of 7 done")
    await page.expect("#activity", contains="Ada added Cake")

    await ada.post("/boards/1/tasks/10/move", data={"state": "done"})
    await page.expect("#progress", contains="2 of 7 done")
    await page.expect("#activity", contains="Ada finished Cake")


async def test_a_commit_updates_its_board_and_the_list_of_boards_and_no_other_board(enter: Enter) -> None:
    ada, ben = await enter("Ada"), await enter("Ben")
    board, home, other = await ben.live("/boards/1"), await ben.live("/"), await ben.live("/boards/2")
    await ada.post("/boards/1/tasks", data={"title": "Cake"})
    await board.expect("#columns", contains="Cake")
    await home.expect("#boards", contains="1 of 7 done")
    await other.expect_nothing()


async def test_what_changes_nothing_tells_nothing(enter: Enter, captured_changes: list[ChangeEvent]) -> None:
    ada = await enter("Ada")
    await ada.post("/boards/1/tasks/1/move", data={"state": "done"})  # it is
    await ada.post("/boards/1/tasks/1", data={"title": "Ask the city for the meadow", "assignee": "ada", "board": 1})
    await ada.post("/boards/1/tasks/2/move", data={"state": "elsewhere"})
    assert captured_changes == []


async def test_a_task_that_moves_updates_both_boards(enter: Enter) -> None:
    ada, ben = await enter("Ada"), await enter("Ben")
    here, there = await ben.live("/boards/1"), await ben.live("/boards/2")
    await ada.post("/boards/1/tasks/4", data={"title": "Order 40 chairs", "board": 2})
    await here.expect("#activity", contains="Ada moved to New website Order 40 chairs")
    await there.expect("#columns", contains="Order 40 chairs")
    assert "Order 40 chairs" not in here.text("#columns")


async def test_htmx_is_answered_with_the_empty_form_and_a_plain_form_is_sent_back(enter: Enter) -> None:
    ada = await enter("Ada")
    plain = await ada.post("/boards/1/tasks", data={"title": "Cake"})
    assert (plain.status_code, plain.headers["location"]) == (303, "/boards/1")
    by_htmx = await ada.post("/boards/1/tasks", data={"title": "Band"}, headers=HTMX)
    assert_is_fragment(by_htmx)
    assert 'value=""' in by_htmx.text


@pytest.mark.parametrize(("title", "said"), [("  ", "The task is missing."), ("x" * 121, "120 characters")])
async def test_a_task_without_a_usable_title_is_refused_at_its_field(enter: Enter, title: str, said: str) -> None:
    ada = await enter("Ada")
    by_htmx = await ada.post("/boards/1/tasks", data={"title": title}, headers=HTMX)
    assert by_htmx.status_code == 422
    assert_fragment_contains(by_htmx, said, selector="#title-error")
    plain = await ada.post("/boards/1/tasks", data={"title": title})
    assert plain.status_code == 422
    assert said in plain.text
    assert "Check the form" in plain.text
    for path, form in {"/boards": {"name": title}, "/boards/1/tasks/1": {"title": title}}.items():
        assert (await ada.post(path, data=form, headers=HTMX)).status_code == 422


async def test_a_new_board_is_opened(enter: Enter) -> None:
    ada = await enter("Ada")
    home = await ada.live("/")
    answer = await ada.post("/boards", data={"name": "Party"}, headers=HTMX)
    assert answer.headers["hx-redirect"] == "/boards/3"
    await home.expect("#boards", contains="Party")
    assert "Party" in (await ada.get("/boards/3")).text


async def test_the_dialog_is_told_when_it_is_done(enter: Enter) -> None:
    ada = await enter("Ada")
    form = await ada.get("/boards/1/tasks/2", headers=HTMX)
    assert_is_fragment(form)
    edited = await ada.post("/boards/1/tasks/2", data={"title": "Draw it", "assignee": "ben"}, headers=HTMX)
    assert_hx_trigger(edited, "dialog-done")
    deleted = await ada.post("/boards/1/tasks/2/delete", headers=HTMX)
    assert_hx_trigger(deleted, "dialog-done")


async def test_who_is_given_a_task_is_told_and_nobody_else(
    app: FastAPI, enter: Enter, captured_changes: list[ChangeEvent]
) -> None:
    ada, ben, cleo = await enter("Ada"), await enter("Ben"), await enter("Chloé")
    his, hers = await ben.live("/boards/1"), await cleo.live("/boards/1")
    await ada.post("/boards/1/tasks/4", data={"title": "Order 40 chairs", "assignee": "ben"})
    await his.expect("#bell", contains="2 unread")
    await hers.expect("#columns", contains="Ben")
    assert "1 unread" in hers.text("#bell")
    told = {(event.scope, event.audience) for event in captured_changes if "unread" in event.changed_paths}
    assert told == {("person:ben", None), ("chat", frozenset({"ben"}))}
    async with app.state.sessions() as session:
        texts = await session.scalars(select(Notification.text).where(Notification.person_id == "ben"))
        assert list(texts)[-1] == "Ada gave you “Order 40 chairs”."


async def test_nobody_is_told_of_what_they_gave_themselves(enter: Enter, captured_changes: list[ChangeEvent]) -> None:
    ada = await enter("Ada")
    await ada.post("/boards/1/tasks/4", data={"title": "Order 40 chairs", "assignee": "ada"})
    assert not [event for event in captured_changes if event.audience]


async def test_fifty_people_adding_at_once_lose_nothing(app: FastAPI, enter: Enter) -> None:
    ada = await enter("Ada")
    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(partial(ada.post, "/boards/1/tasks", data={"title": f"Number {number}"}))
    async with app.state.sessions() as session:
        titles = set(await session.scalars(select(Task.title)))
    assert {f"Number {number}" for number in range(50)} <= titles


async def test_the_wall_is_rendered_once_for_all_its_screens_and_shows_nobody(enter: Enter) -> None:
    ada, screen, other = await enter("Ada"), await enter(None), await enter(None)
    pages = [await screen.live("/wall/1"), await other.live("/wall/1")]
    await ada.post("/boards/1/tasks", data={"title": "Cake"})
    for page in pages:
        await page.expect("#columns", contains="Cake")
        await page.expect("#tally", "6 to go")
    assert "Ada</strong>" not in (await ada.get("/wall/1")).text


async def test_titles_are_escaped_wherever_they_are_shown(enter: Enter) -> None:
    ada = await enter("Ada")
    await ada.post("/boards", data={"name": '"><b>Bold'})
    await ada.post("/boards/3/tasks", data={"title": '"><b>Cake'})
    for path in ("/", "/boards/3", "/boards/3/tasks/10", "/wall/3"):
        page = (await ada.get(path)).text
        assert "&#34;&gt;&lt;b&gt;" in page
        assert "<b>Bold" not in page
        assert "<b>Cake" not in page


def test_every_block_that_shows_tasks_is_known_to_show_tasks() -> None:
    pages = {page.template_name: page.index for page in describe_app(reactive).pages}

    def blocks(*paths: str) -> set[str]:
        return {ref.block_name for ref in pages["board.html"].affected_blocks(paths)}

    assert blocks("columns") == {"progress", "columns"}
    assert blocks("activity") == {"activity"}
    assert blocks("unread") == {"bell"}
    assert index is reactive.index
