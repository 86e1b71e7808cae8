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

from .support import PAGE, SECRET, Clock, request, stream

ENV = environment(page=PAGE)
SALT = '["starlette-reactive.live", "/_reactive", null]'


class Application:
    """A page that counts how often its endpoint ran."""

    def __init__(self, *, shared: bool = False, **options: Any) -> None:
        self.runs = 0
        self.title = "t"
        self.reactive = Reactive(ENV, **{"secret": SECRET, **options})

        async def page(request: Request) -> dict[str, Any]:
            self.runs += 1
            return {"title": self.title, "items": []}

        decorated = self.reactive.page("page.html", scope="all", shared=shared)(page)
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


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    return clock


async def first_id(application: Application, url: str) -> str:
    async with stream(application.app, url) as connection:
        assert connection.start["status"] == 200
        return connection.frames[0].id or ""


async def test_a_url_expires_after_a_day_or_max_age_or_never(clock: Clock) -> None:
    for options, age in (({}, 86_400), ({"max_age": 60}, 60), ({"max_age": None}, None)):
        application = Application(**options)
        url = await application.url()
        clock.now += age or 10_000 * 86_400
        await first_id(application, url)
        if age is not None:
            clock.now += 1
            await application.assert_rejected(url)


async def test_a_url_is_valid_on_a_machine_whose_clock_is_behind(clock: Clock) -> None:
    application = Application()
    url = await application.url()
    event_id = await first_id(application, url)
    clock.now -= 5
    await first_id(application, url)
    clock.now += 2 * 86_400
    async with stream(application.app, url, headers={"Last-Event-ID": event_id}) as connection:
        assert connection.start["status"] == 200


@pytest.mark.parametrize(("max_age", "period"), [(86_400, 3600), (240, 10)])
async def test_the_viewers_of_a_stream_are_sent_the_same_renewal_for_a_while(
    clock: Clock, max_age: int, period: int
) -> None:
    application = Application(max_age=max_age, shared=True)
    urls = [await application.url(), await application.url()]
    async with stream(application.app, urls[0]) as one, stream(application.app, urls[1]) as other:
        seen = [one.frames[0].id]
        for seconds in (0, period - 1, 1):
            clock.now += seconds
            application.title += "+"
            await application.reactive.emit("all", "title")
            assert (await one.next_update()).id == (await other.next_update()).id
            seen.append(one.updates[-1].id)
    cursors, renewals = zip(*((each or "").split("~") for each in seen), strict=True)
    assert len(set(cursors)) == 4
    assert renewals[:3] == (renewals[0],) * 3
    assert renewals[3] != renewals[0]


async def test_the_ids_of_urls_that_never_expire_are_plain_cursors() -> None:
    application = Application(max_age=None)
    async with stream(application.app, await application.url()) as connection:
        assert connection.frames[0].id == application.reactive.bus.cursor("all")


@pytest.mark.parametrize("max_age", [0, -1])
def test_max_age_is_a_positive_number(max_age: int) -> None:
    with pytest.raises(ValueError, match=f"max_age is {max_age}: write how many seconds"):
        Application(max_age=max_age)


@pytest.mark.parametrize("secret", [["x" * 32, None], [b"x" * 32], b"x" * 32])
def test_a_secret_that_is_not_a_string_is_refused(secret: Any) -> None:
    with pytest.raises(TypeError, match="must be a string, not"):
        Application(secret=secret)


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
