"""Live URLs: valid for the page that they were signed for, and for nothing else."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
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
SALT = '["starlette-reactive.live", "/_reactive", null]'


class Application:
    """A page that counts how often its endpoint ran."""

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

    async def assert_rejected(self, url: str) -> None:
        runs = self.runs
        seen = await request(self.app, url)
        assert (seen.status, seen.text) == (403, "This live URL is not valid here, or no longer valid.")
        assert (self.runs, self.reactive.bus.subscriber_count) == (runs, 0)
        assert self.reactive.presence("all") == frozenset()


async def test_a_url_without_a_token_or_with_a_forged_one_is_rejected() -> None:
    application = Application()
    token = (await application.url()).partition("page=")[2]
    forged = URLSafeTimedSerializer("a guess", salt=SALT).dumps(["page"] * 9)
    no_salt = URLSafeTimedSerializer(SECRET).dumps(["page"] * 9)
    for each in ("", "x", "a.b.c", quote("\0é"), forged, no_salt, token[:-1], token + "x", "." + token):
        await application.assert_rejected(f"/_reactive/live?page={each}")
    await application.assert_rejected("/_reactive/live")


async def test_an_altered_token_is_rejected_wherever_it_is_altered() -> None:
    application = Application()
    prefix, _, token = (await application.url()).partition("page=")
    # The last character of base64 text has bits that are ignored.
    for number in [each for each in range(0, len(token) - 1, 7) if token[each] != "."]:
        altered = "A" if token[number] != "A" else "B"
        await application.assert_rejected(f"{prefix}page={token[:number]}{altered}{token[number + 1 :]}")


async def test_another_secret_another_prefix_and_another_page_are_rejected() -> None:
    application = Application()
    for other in (Application(secret="another secret for tests"), Application(prefix="/elsewhere")):
        url = await other.url()
        await application.assert_rejected("/_reactive/live?" + url.partition("?")[2])
    signer = application.reactive._site._signer
    visit = signer.read((await application.url()).partition("page=")[2])
    assert visit is not None
    await application.assert_rejected("/_reactive/live?page=" + signer.sign(replace(visit, page="some.other_page")))


async def test_a_token_of_another_structure_is_rejected() -> None:
    application = Application()
    serializer = URLSafeTimedSerializer(SECRET, salt=SALT)
    for value in ([], ["x"], {"a": 1}, None, 7, [1] * 9, [["list"]] * 9):
        await application.assert_rejected("/_reactive/live?page=" + str(serializer.dumps(value)))


async def test_a_url_expires_only_with_max_age(monkeypatch: pytest.MonkeyPatch) -> None:
    short, endless = Application(max_age=60), Application()
    urls = [await short.url(), await endless.url()]
    for application, url in zip((short, endless), urls, strict=True):
        async with stream(application.app, url) as connection:
            assert connection.start["status"] == 200
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    await short.assert_rejected(urls[0])
    async with stream(endless.app, urls[1]) as connection:
        assert connection.start["status"] == 200


async def test_the_secret_is_the_argument_or_the_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REACTIVE_SECRET", SECRET)
    one, same, different = Application(secret=None), Application(), Application(secret="a different secret")
    url = await one.url()
    async with stream(same.app, url) as connection:
        assert connection.start["status"] == 200
    await different.assert_rejected(url)


async def test_without_a_secret_a_random_one_is_used_with_a_warning_about_the_consequences(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("REACTIVE_SECRET", raising=False)
    with caplog.at_level(logging.WARNING):
        one, other = Application(secret=None), Application(secret=None)
    assert "after a restart, and on another worker, open pages get 403" in caplog.text
    assert "pass secret= or set REACTIVE_SECRET" in caplog.text
    await other.assert_rejected(await one.url())


def test_a_secret_causes_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    Application()
    assert not caplog.records


@pytest.mark.parametrize("secret", ["", None])
def test_an_empty_secret_is_not_used(secret: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REACTIVE_SECRET", "")
    application = Application(secret=secret)
    assert application.reactive._site._signer._serializer.secret_keys != [b""]


@pytest.mark.parametrize("prefix", ["reactive", "/reactive/", "/", ""])
def test_a_prefix_needs_a_leading_slash_and_no_trailing_one(prefix: str) -> None:
    with pytest.raises(ValueError, match="with a leading slash and no trailing one"):
        Reactive(ENV, secret=SECRET, prefix=prefix)
