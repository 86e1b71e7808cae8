"""Notifications: only who they are for, once, until they are read."""

from __future__ import annotations

import pytest

from example_app.live import reactive
from starlette_reactive import ChangeEvent

from .conftest import Enter

pytestmark = pytest.mark.anyio

HTMX = {"HX-Request": "true"}


@pytest.mark.parametrize("htmx", [2, 4])
async def test_only_the_audience_is_told(enter: Enter, htmx: int) -> None:
    ada, ben, cleo = await enter("Ada", htmx), await enter("Ben", htmx), await enter("Chloé", htmx)
    his, hers = await ben.live("/notifications"), await cleo.live("/notifications")
    await ada.post("/chat", data={"text": "@ben are you there?"})
    await his.expect("#notices", contains="Ada mentioned you: “@ben are you there?”")
    await hers.expect_nothing()
    assert "are you there" not in (await cleo.get("/notifications")).text


async def test_what_somebody_missed_waits_and_is_shown_until_it_is_read(enter: Enter) -> None:
    ada = await enter("Ada")
    await ada.post("/chat", data={"text": "@ben are you there?"})
    ben = await enter("Ben")
    page = await ben.live("/notifications")
    assert "Mark 2 as read" in page.text("#notices")
    page.go_offline()
    await ada.post("/chat", data={"text": "@ben hello?"})
    await page.go_online()
    await page.expect("#notices", contains="Mark 3 as read")

    await ben.post("/notifications/read", data={"until": 5}, headers=HTMX)
    await page.expect("#notices", contains="Nothing new")
    await page.expect("#bell", contains="0 unread")
    await page.reconnect()
    assert "Nothing new" in page.text("#notices")


async def test_what_comes_in_while_somebody_marks_the_others_as_read_stays_unread(enter: Enter) -> None:
    ada, ben = await enter("Ada"), await enter("Ben")
    page = await ben.live("/notifications")  # shows number 2, his welcome
    await ada.post("/chat", data={"text": "@ben are you there?"})  # number 4
    await ben.post("/notifications/read", data={"until": 2}, headers=HTMX)
    await page.expect("#notices", contains="Mark 1 as read")
    await page.expect("#notices", contains="are you there?")


async def test_the_cursor_never_goes_back(enter: Enter) -> None:
    ben = await enter("Ben")
    for until in (2, 0):
        await ben.post("/notifications/read", data={"until": until}, headers=HTMX)
    assert "Nothing new" in (await ben.get("/notifications")).text


async def test_all_pages_of_one_person_follow(enter: Enter) -> None:
    ada, ben = await enter("Ada"), await enter("Ben")
    home = await ben.live("/")
    await ada.post("/chat", data={"text": "@ben hello"})
    await home.expect("#bell", contains="2 unread")
    await ben.post("/notifications/read", data={"until": 99})
    await home.expect("#bell", contains="0 unread")


async def test_several_who_are_mentioned_are_told_and_nobody_twice(
    enter: Enter, captured_changes: list[ChangeEvent]
) -> None:
    ada = await enter("Ada")
    await ada.post("/chat", data={"text": "@ben @chloé @ben @ada @nobody come here"})
    told = [event.scope for event in captured_changes if "notices" in event.changed_paths]
    assert sorted(told) == ["person:ben", "person:chloé"]


async def test_presence_knows_who_reads_their_notifications(enter: Enter) -> None:
    ben = await enter("Ben")
    await ben.live("/notifications")
    assert {each.user_id for each in reactive.presence("person:ben")} == {"ben"}
