"""What the check, the inspector, the log and errors report of pages that are live because of what they read."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from starlette_reactive import Reactive, ReactiveError
from starlette_reactive._cli.main import _scopes
from starlette_reactive._core.facts import Facts
from starlette_reactive._core.reads import Read, current_reads
from tests.inspector.support import view_of
from tests.support import environment, eventually

from .site import OWNERS, TITLE, Site, shows

pytestmark = pytest.mark.anyio


def declare(**options: Any) -> Reactive:
    reactive = Reactive(environment(page="<html>{% block a %}{{ a }}{% endblock %}<div {{ live() }}></div>"))

    @reactive.page("page.html", **options)
    def page() -> dict[str, Any]:
        return {}

    return reactive


def test_the_check_reports_a_page_that_nothing_updates() -> None:
    reactive = declare()
    (issue,) = [issue for issue in reactive.check() if issue.category == "no_scope"]
    assert "no database is tracked" in issue.message
    assert "reactive.track(engine)" in issue.fix
    reactive._databases.add(lambda: None)
    assert not [issue for issue in reactive.check() if issue.category == "no_scope"]


async def test_an_application_with_a_page_that_nothing_updates_does_not_start() -> None:
    site = Site(track=False)
    with pytest.raises(ReactiveError, match="has no scope=, and no database is tracked"):
        async with site.reactive.lifespan(site.app):
            pass


def test_a_page_without_a_scope_that_is_not_tracked_is_refused() -> None:
    with pytest.raises(ValueError, match="tracked=False and no scope="):
        declare(tracked=False)


def test_explain_prints_that_a_page_is_tracked() -> None:
    for options, tracked, printed in (
        ({"scope": "a"}, False, "scope a"),
        ({"scope": ["a", "b"]}, True, "scope a, b, live because of what it reads from the database"),
        ({}, True, "no scope, live because of what it reads from the database"),
        ({"scope": "a", "tracked": False}, True, "scope a"),
    ):
        reactive = declare(**options)
        if tracked:
            reactive._databases.add(lambda: None)
        (page,) = reactive._site
        assert _scopes(page.described) == printed


async def test_the_inspector_lists_what_open_pages_have_read() -> None:
    site = Site(TITLE + OWNERS, debug=True, inspector=True)
    async with site.stream(await site.visit()) as page:
        rows = view_of(site.reactive).reads
        assert ("page.html", ["task where board = 1"], None) in [(row.page, list(row.rows), row.why) for row in rows]
        await site.change("setting", 1, board=2)
        await shows(page, "second board")
        await eventually(lambda: ["person where id = 2"] in [list(row.rows) for row in view_of(site.reactive).reads])
    await eventually(lambda: view_of(site.reactive).reads == [])


async def test_the_log_names_once_in_debug_mode_what_makes_a_page_run_after_each_commit(
    caplog: pytest.LogCaptureFixture, anyio_backend: str
) -> None:
    site = Site("<p id=names>{% block names %}{{ names }}{% endblock %}</p>", debug=True)

    def read() -> Any:
        if (reads := current_reads()) is not None:
            why = "calls pg_now(), which may read anything"
            reads.add(Read(Facts(everything=True), f"select pg_now('{anyio_backend}')", why))
        return {"names": site.db.rows["person"][1]["name"]}

    site.read = read
    with caplog.at_level(logging.WARNING, "starlette_reactive.streams"):
        for _ in range(2):
            async with site.stream(await site.visit()) as page:
                await site.change("person", 1, name="Cy")
                await shows(page, "Cy")
                site.db.rows["person"][1]["name"] = "Ada"
    (message,) = [record.getMessage() for record in caplog.records if "pg_now" in record.getMessage()]
    assert f"runs again after each commit, because select pg_now('{anyio_backend}') calls pg_now()" in message


async def test_reads_by_hand_outside_of_updates_do_nothing() -> None:
    reactive = declare(scope="a")
    reactive.reads("task", board_id=7)
    assert current_reads() is None
