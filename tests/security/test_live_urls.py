"""Attacks on live URLs. What an attacker would gain: the stream of a page that is not theirs to open."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from itsdangerous import TimestampSigner
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from starlette_reactive import Reactive

from ..pages.support import PAGE, SECRET, Clock, request, stream
from ..support import environment

ENV = environment(page=PAGE)
OLD, NEW = "the old secret for tests", "the new secret for tests"
DAY = 86_400


class Application:
    """Two pages with live URLs."""

    def __init__(self, **options: Any) -> None:
        self.reactive = Reactive(ENV, **{"secret": SECRET, **options})

        async def page(request: Request) -> dict[str, Any]:
            return {"title": "t", "items": []}

        async def other(request: Request) -> dict[str, Any]:
            return {"title": "t", "items": []}

        routes = [
            Route("/boards/{number}", self.reactive.page("page.html", scope="all")(page)),
            Route("/other/{number}", self.reactive.page("page.html", scope="all")(other)),
        ]
        self.app = Starlette(routes=[*self.reactive.routes, *routes])

    async def url(self, path: str = "/boards/1", **options: Any) -> str:
        return (await request(self.app, path, **options)).url

    async def event_id(self, url: str) -> str:
        """Return the first id of a stream."""
        async with stream(self.app, url) as connection:
            return connection.frames[0].id or ""

    async def status(self, url: str, event_id: str = "") -> int:
        """Return the status that a request of a live URL is answered with."""
        async with stream(self.app, url, headers={"Last-Event-ID": event_id} if event_id else {}) as connection:
            return int(connection.start["status"])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    return clock


# Secrets


async def test_a_secret_that_was_given_up_opens_nothing() -> None:
    """Whoever got hold of a secret signs URLs of any page, until all open pages have moved to a new secret."""
    before, rotating, after = (Application(secret=secret) for secret in (OLD, [NEW, OLD], (NEW,)))
    old_url, new_url = await before.url(), await rotating.url()
    assert [await rotating.status(url) for url in (old_url, new_url)] == [200, 200]
    assert [await after.status(url) for url in (old_url, new_url)] == [403, 200]
    assert await before.status(new_url) == 403


async def test_a_secret_that_was_given_up_renews_nothing(clock: Clock) -> None:
    """Whoever got hold of a secret makes renewals for the expired URLs of a log file."""
    before, rotating, after = (Application(secret=secret) for secret in (OLD, [NEW, OLD], [NEW]))
    url, old_id = await rotating.url(), await before.event_id(await before.url())
    clock.now += 2 * DAY
    assert await rotating.status(url, old_id) == 200
    assert await after.status(url, old_id) == 403


@pytest.mark.parametrize("secret", ["change-me", "x" * 15, [NEW, "change-me"], ["", NEW]])
def test_a_secret_that_can_be_guessed_is_refused(secret: str | Sequence[str]) -> None:
    """Anybody tries words on the signature of one URL, at home, and then signs URLs of any page."""
    with pytest.raises(ValueError, match=r"token_urlsafe\(32\)"):
        Reactive(ENV, secret=secret)


def test_a_secret_that_can_be_guessed_is_refused_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, where the secret comes from a deployment's variables."""
    monkeypatch.setenv("REACTIVE_SECRET", "change-me")
    with pytest.raises(ValueError, match=r"^REACTIVE_SECRET has 9 characters.*token_urlsafe\(32\)"):
        Reactive(ENV)


def test_a_list_of_secrets_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list would be one long secret: the operator believes that it can be rotated, and a leaked one retired."""
    monkeypatch.setenv("REACTIVE_SECRET", f"{NEW},{OLD}")
    with pytest.raises(ValueError, match=r"holds one secret: pass several as secret=\[new, old\]"):
        Reactive(ENV)


def test_an_empty_list_of_secrets_is_refused() -> None:
    """A random secret in its place would go unnoticed until the next restart."""
    with pytest.raises(ValueError, match="secret is an empty list"):
        Reactive(ENV, secret=[])


async def test_a_url_of_staging_is_not_valid_in_production(clock: Clock) -> None:
    """A tester has production show a board that only exists, or is only public, on staging: with a common secret its
    URL names the same page."""
    staging, production, unnamed = (Application(app_name=name) for name in ("staging", "production", None))
    url, event_id = await staging.url(), await staging.event_id(await staging.url())
    own = await production.url()
    assert [await each.status(url) for each in (staging, production, unnamed)] == [200, 403, 403]
    clock.now += 2 * DAY
    assert await production.status(own, event_id) == 403


# Expiry


async def test_a_url_of_a_log_file_cannot_be_used_after_a_day(clock: Clock) -> None:
    """Whoever reads the access log of a proxy opens the streams of pages that were visited at any time."""
    application = Application()
    url = await application.url()
    clock.now += DAY - 1
    assert await application.status(url) == 200
    clock.now += 2
    assert await application.status(url) == 403
    for plain in ("unknown", "0-0", "x~", "~"):
        assert await application.status(url, plain) == 403


@pytest.mark.parametrize("place", ["header", "resume", "cursor"])
async def test_the_id_of_a_stream_lets_its_own_page_come_back(clock: Clock, place: str) -> None:
    """No attack: a laptop that slept over a weekend. It would otherwise have to be reloaded."""
    application = Application()
    url = await application.url()
    event_id = await application.event_id(url)
    await application.reactive.emit("all", "title")
    clock.now += 3 * DAY
    headers, more = ({"Last-Event-ID": event_id}, "") if place == "header" else ({}, f"&{place}={event_id}")
    async with stream(application.app, url + more, headers=headers) as connection:
        missed = await connection.next_update()
        assert 'target="#title"' in (missed.data or "")
        renewed = missed.id or ""
    clock.now += 29 * DAY
    assert await application.status(url, renewed) == 200


Forge = Callable[[str, str], str]


@pytest.mark.parametrize(
    "forge",
    [
        lambda cursor, renewal: f"{cursor}~",
        lambda cursor, renewal: f"{cursor}~{renewal}x",
        lambda cursor, renewal: f"{cursor}~x{renewal}",
        lambda cursor, renewal: f"{cursor}~~{renewal}",
        lambda cursor, renewal: f"{cursor}~.{renewal}",
        lambda cursor, renewal: f"{cursor}~zzzzzz.{renewal.partition('.')[2]}",
        lambda cursor, renewal: f"{cursor}~{'z' * 400}.{renewal.partition('.')[2]}",
        lambda cursor, renewal: f"{cursor}~{renewal.partition('.')[0]}.",
        lambda cursor, renewal: f"{cursor}~{TimestampSigner('a guess').sign('').decode()[1:]}",
        lambda cursor, renewal: f"{cursor}~é.ü.ß",
    ],
)
async def test_a_forged_renewal_renews_nothing(clock: Clock, forge: Forge) -> None:
    """Whoever has an expired URL makes up the id that its stream would have sent."""
    application = Application()
    url = await application.url()
    cursor, _, renewal = (await application.event_id(url)).partition("~")
    clock.now += 2 * DAY
    assert await application.status(url, f"{cursor}~{renewal}") == 200
    assert await application.status(url, forge(cursor, renewal)) == 403


@pytest.mark.parametrize(
    ("path", "options"),
    [("/other/1", {}), ("/boards/2", {}), ("/boards/1?q=1", {}), ("/boards/1", {"base": "http://elsewhere"})],
)
async def test_a_renewal_is_for_one_page_at_one_address(clock: Clock, path: str, options: dict[str, Any]) -> None:
    """Whoever may see one board renews the expired URLs of all the others."""
    application = Application()
    url, other = await application.url(), await application.url(path, **options)
    event_id = await application.event_id(other)
    clock.now += 2 * DAY
    assert await application.status(other, event_id) == 200
    assert await application.status(url, event_id) == 403


async def test_a_renewal_is_no_live_url_and_a_live_url_no_renewal(clock: Clock) -> None:
    """Whoever has one of the two signatures uses it in place of the other."""
    application = Application()
    url = await application.url()
    path, _, token = url.partition("page=")
    renewal = (await application.event_id(url)).partition("~")[2]
    for forged in (renewal, f"{token.partition('.')[0]}.{renewal}"):
        assert await application.status(f"{path}page={forged}", f"x~{renewal}") == 403
    clock.now += 2 * DAY
    for forged in (token, token.partition(".")[2]):
        assert await application.status(url, f"x~{forged}") == 403


@pytest.mark.parametrize(("max_age", "days"), [(60, 30), (DAY, 30), (90 * DAY, 90)])
async def test_a_renewal_expires_as_well(clock: Clock, max_age: int, days: int) -> None:
    """Whoever finds the profile of an old browser opens the pages that it once had open."""
    application = Application(max_age=max_age)
    url = await application.url()
    event_id = await application.event_id(url)
    clock.now += days * DAY
    assert await application.status(url, event_id) == 200
    clock.now += 1
    assert await application.status(url, event_id) == 403
