"""The net: a page runs again after changes that its facts rule out, and what differs is reported."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import pytest

from starlette_reactive import BlockRef, DependencyIndex, ReactiveBus
from starlette_reactive._bus.bus import hub_of
from starlette_reactive._index.index import registry_of
from starlette_reactive._streams import net
from starlette_reactive._streams.alarm import Alarm
from starlette_reactive._streams.group_options import GroupOptions
from starlette_reactive._streams.group_reads import GroupReads
from starlette_reactive._streams.net import watch_misjudged
from starlette_reactive._streams.rendering import Rendered
from starlette_reactive._streams.trace import GroupTraces
from starlette_reactive.testing import TestClient
from tests.pages.support import quiet
from tests.support import environment, eventually

from .site import Site, shows, text

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net, "SETTLING", 0)


def misjudged_site(**options: Any) -> Site:
    """Return a site whose page shows all tasks, and records only those of its board."""
    site = Site(**options)
    read = site.read_board
    site.read = lambda: {**read(), "tasks": list(site.db.rows["task"].values())}
    return site


async def test_a_block_that_a_ruled_out_change_alters_is_reported_with_its_statements() -> None:
    site = misjudged_site()
    with watch_misjudged() as found:
        async with site.stream(await site.visit()) as page:
            await site.change("task", 2, name="rest")
            await eventually(lambda: found)
            assert "rest" not in text(page)
    (misjudged,) = found
    assert [block.block_name for block in misjudged.blocks] == ["tasks"]
    assert misjudged.scopes == ("db:task",)
    assert any("task" in each for each in misjudged.statements)
    assert "'tasks'" in str(misjudged)
    assert "report " in str(misjudged)


async def test_a_ruled_out_change_that_alters_nothing_is_not_reported() -> None:
    site = Site()
    with watch_misjudged() as found:
        async with site.stream(await site.visit()) as page:
            runs = len(site.runs)
            await site.change("task", 2, name="rest")
            await eventually(lambda: len(site.runs) > runs)
            await quiet(page)
            assert not found
            await site.change("task", 1, name="weed")
            await shows(page, "weed")
            await site.change("task", 2, name="again")
            await quiet(page)
    assert not found


async def test_what_differs_from_run_to_run_is_not_reported() -> None:
    site = Site()
    numbers, read = itertools.count(), site.read_board
    site.read = lambda: {**read(), "title": next(numbers)}
    with watch_misjudged() as found:
        async with site.stream(await site.visit()) as page:
            runs = len(site.runs)
            await site.change("task", 2, name="rest")
            await eventually(lambda: len(site.runs) >= runs + 2)
            await quiet(page)
    assert not found


async def test_a_difference_that_a_change_explains_which_is_on_its_way_is_not_reported() -> None:
    site = Site()

    async def change_another_task() -> None:
        site.before_reading = None
        site.change_meanwhile("task", 1, name="late")

    with watch_misjudged() as found:
        async with site.stream(await site.visit()) as page:
            site.before_reading = change_another_task
            await site.change("task", 2, name="rest")
            await shows(page, "late")
            await quiet(page)
    assert not found


async def test_own_changes_that_the_stream_leaves_out_are_not_reported() -> None:
    site = Site()
    seen = await site.visit()
    with watch_misjudged() as found:
        async with site.stream(seen) as page:
            await site.change("task", 1, name="own", origin=seen.origin)
            await site.change("task", 2, name="rest")
            await site.change("task", 1, name="weed")
            await shows(page, "weed")
    assert not found


async def test_the_test_client_fails_for_a_block_that_differs() -> None:
    site = misjudged_site()
    client = TestClient(site.app)
    await client.__aenter__()
    await client.live("/1")
    await site.change("task", 2, name="rest")
    await eventually(lambda: client._misjudged)
    with pytest.raises(AssertionError, match="'tasks'"):
        await client.aclose()


async def test_debug_mode_logs_a_part_of_the_differences(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(net, "DEBUG_PART", 1.0)
    site = misjudged_site(debug=True)
    async with site.stream(await site.visit()):
        await site.change("task", 2, name="rest")
        await eventually(lambda: [each for each in caplog.records if each.levelno == logging.ERROR])
    assert "'tasks'" in caplog.text


async def test_nothing_runs_again_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net, "DEBUG_PART", 1.0)
    site = misjudged_site()
    async with site.stream(await site.visit()) as page:
        with site.not_running():
            await site.change("task", 2, name="rest")
            await quiet(page)


async def test_a_group_compares_only_the_blocks_that_it_sends() -> None:
    env = environment(page="{% block shared %}{{ a }}{% endblock %}{% block own %}{{ b }}{% endblock %}")
    index = DependencyIndex(env)
    index.register_template(env, "page.html")
    whole, hub = registry_of(index), hub_of(ReactiveBus())
    html = {"shared": "old", "own": "old"}

    async def render(_paths: frozenset[str], blocks: list[BlockRef]) -> Rendered:
        return {ref.key: html[ref.block_name] for ref in blocks}

    own = whole.part({("page.html", "own")})
    options = GroupOptions(hub, "s", own, render, 0, None, debug=False, tracked=whole.blocks())
    reads = GroupReads(options, Alarm(hub, "s", None, None), GroupTraces(hub, "s", own), lambda: None)
    with watch_misjudged() as found:
        await reads.render((), 0, frozenset(), [])
        html["shared"] = "new"
        reads._net.rule_out(["db:task"])
        await reads.render((), 0, frozenset(), [])
        assert not found
        html["own"] = "new"
        reads._net.rule_out(["db:task"])
        await reads.render((), 0, frozenset(), [])
    (misjudged,) = found
    assert [block.block_name for block in misjudged.blocks] == ["own"]
