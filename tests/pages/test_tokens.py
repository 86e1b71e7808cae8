"""Live URLs: good for the page that they were signed for, and for nothing else."""

from __future__ import annotations

import logging
import time
from typing import Any
from urllib.parse import quote

import pytest
from itsdangerous import URLSafeTimedSerializer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from starlette_reactive import Reactive
from tests.support import environment

from .support import PAGE, SECRET, request, stream

ENV = environment(page=PAGE)


class Application:
    """A page, and how often it was run."""

    def __init__(self, **options: Any) -> None:
        self.runs = 0
        self.reactive = Reactive(ENV, **{"secret": SECRET, **options})

        async def page(request: Request) -> dict[str, Any]:
            self.runs += 1
            return {"title": "t", "items": []}

        decorated = self.reactive.page("page.html", scope="all")(page)
        self.app = Starlette(routes=[*self.reactive.routes, Route("/", decorated)])

    async def url(self) -> str:
        return (await request(self.app, "/")).url

    async def refuses(self, url: str) -> None:
        runs = self.runs
        seen = await request(self.app, url)
        assert (seen.status, seen.text) == (403, "This live URL is not valid here, or no longer valid.")
        assert (self.runs, self.reactive.bus.subscriber_count) == (runs, 0)
        assert self.reactive.presence("all") == frozenset()


async def test_a_url_without_a_token_or_with_a_forged_one_is_refused() -> None:
    application = Application()
    token = (await application.url()).partition("page=")[2]
    forged = URLSafeTimedSerializer("a guess", salt="starlette-reactive.live /_reactive").dumps(["page"] * 9)
    no_salt = URLSafeTimedSerializer(SECRET).dumps(["page"] * 9)
    for each in ("", "x", "a.b.c", quote("\0é"), forged, no_salt, token[:-1], token + "x", "." + token):
        await application.refuses(f"/_reactive/live?page={each}")
    await application.refuses("/_reactive/live")


async def test_every_altered_character_is_noticed() -> None:
    application = Application()
    prefix, _, token = (await application.url()).partition("page=")
    # The last character of a base64 text holds bits that do not count.
    for number in [each for each in range(0, len(token) - 1, 7) if token[each] != "."]:
        altered = "A" if token[number] != "A" else "B"
        await application.refuses(f"{prefix}page={token[:number]}{altered}{token[number + 1 :]}")


async def test_another_secret_another_prefix_and_another_page_are_refused() -> None:
    application = Application()
    for other in (Application(secret="another"), Application(prefix="/elsewhere")):
        url = await other.url()
        await application.refuses("/_reactive/live?" + url.partition("?")[2])
    signer = application.reactive._site._signer
    visit = signer.read((await application.url()).partition("page=")[2])
    assert visit is not None
    from dataclasses import replace

    await application.refuses("/_reactive/live?page=" + signer.sign(replace(visit, page="some.other_page")))


async def test_a_token_of_another_shape_is_refused() -> None:
    application = Application()
    serializer = URLSafeTimedSerializer(SECRET, salt="starlette-reactive.live /_reactive")
    for value in ([], ["x"], {"a": 1}, None, 7, [1] * 9, [["list"]] * 9):
        await application.refuses("/_reactive/live?page=" + str(serializer.dumps(value)))


async def test_a_url_expires_where_that_is_asked_for_only(monkeypatch: pytest.MonkeyPatch) -> None:
    short, endless = Application(max_age=60), Application()
    urls = [await short.url(), await endless.url()]
    for application, url in zip((short, endless), urls, strict=True):
        async with stream(application.app, url) as connection:
            assert connection.start["status"] == 200
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    await short.refuses(urls[0])
    async with stream(endless.app, urls[1]) as connection:
        assert connection.start["status"] == 200


async def test_the_secret_comes_from_the_argument_else_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REACTIVE_SECRET", SECRET)
    one, same, different = Application(secret=None), Application(), Application(secret="different")
    url = await one.url()
    async with stream(same.app, url) as connection:
        assert connection.start["status"] == 200
    await different.refuses(url)


async def test_without_a_secret_a_random_one_is_used_with_a_warning_that_says_what_follows(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("REACTIVE_SECRET", raising=False)
    with caplog.at_level(logging.WARNING):
        one, other = Application(secret=None), Application(secret=None)
    assert "after a restart, and on another worker, open pages get 403" in caplog.text
    assert "pass secret= or set REACTIVE_SECRET" in caplog.text
    await other.refuses(await one.url())


def test_a_secret_that_is_given_warns_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    Application()
    assert not caplog.records


@pytest.mark.parametrize("secret", ["", None])
def test_an_empty_secret_is_not_used(secret: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REACTIVE_SECRET", "")
    application = Application(secret=secret)
    assert application.reactive._site._signer._serializer.secret_keys != [b""]


@pytest.mark.parametrize("prefix", ["reactive", "/reactive/", "/", ""])
def test_a_prefix_is_written_with_a_slash_before_and_none_after(prefix: str) -> None:
    with pytest.raises(ValueError, match="with a leading slash and no trailing one"):
        Reactive(ENV, secret=SECRET, prefix=prefix)
