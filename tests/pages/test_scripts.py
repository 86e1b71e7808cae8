"""``live_scripts()``: the tags in any page, and the scripts that they load."""

from __future__ import annotations

import gzip
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from jinja2 import Environment, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

import starlette_reactive
from starlette_reactive import Reactive, ReactiveError
from starlette_reactive._pages.scripts import _condensed
from starlette_reactive.assets import LIVE_SCRIPT
from tests.support import environment

from .support import SECRET, Seen, request

VENDOR = Path(starlette_reactive.__file__).parent / "static" / "vendor"
SCRIPTS = [
    (None, 0, [VENDOR / "idiomorph-0.8.0" / "idiomorph.min.js", LIVE_SCRIPT]),
    (2, 0, [VENDOR / "htmx-2.0.11" / "htmx.min.js"]),
    (4, 0, [VENDOR / "htmx-4.0.1" / "htmx.min.js"]),
]


class Tags(HTMLParser):
    """The attributes of the script tags of a page."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag == "script"
        self.found.append(dict(attrs))


def tags_of(seen: Seen) -> list[dict[str, str | None]]:
    assert seen.status == 200
    return Tags(seen.text).found


def application(call: str, *, env: Environment | None = None, prefix: str = "/_reactive", **values: Any) -> Starlette:
    """Return an application with a plain page, which is not live."""
    env = env or environment(page="{{ " + call + " }}")
    reactive = Reactive(env, secret=SECRET, prefix=prefix)

    def page(request: Request) -> Response:
        return reactive.templates.TemplateResponse(request, "page.html", values)

    return Starlette(routes=[Route("/", page), *reactive.routes])


async def sources(call: str, **options: Any) -> list[str]:
    return [str(each["src"]) for each in tags_of(await request(application(call, **options), "/"))]


# The tags


async def test_the_live_script_has_one_plain_tag() -> None:
    ((tag),) = tags_of(await request(application("live_scripts()"), "/"))
    assert tag.keys() == {"src"}
    assert re.fullmatch("/_reactive/live-[0-9a-f]{12}[.]js", str(tag["src"]))


@pytest.mark.parametrize(("version", "name"), [(2, "htmx-2.0.11"), (4, "htmx-4.0.1")])
async def test_htmx_is_loaded_before_the_live_script(version: int, name: str) -> None:
    htmx, live = await sources(f"live_scripts(htmx={version})")
    assert re.fullmatch(f"/_reactive/{re.escape(name)}-[0-9a-f]{{12}}[.]js", htmx)
    assert [live] == await sources("live_scripts()")


@pytest.mark.parametrize("value", ["3", "'2'", "[2]", "true", "missing"])
async def test_an_unknown_version_of_htmx_is_an_error(value: str) -> None:
    with pytest.raises(ReactiveError, match=r"'page.html'.*htmx=2 or htmx=4") as raised:
        await request(application(f"live_scripts(htmx={value})"), "/")
    assert raised.value.template == "page.html"


async def test_a_nonce_is_escaped_and_on_every_tag() -> None:
    nonce = 'a"b><script>'
    found = tags_of(await request(application("live_scripts(htmx=4, nonce=csp_nonce)", csp_nonce=nonce), "/"))
    assert [each["nonce"] for each in found] == [nonce, nonce]


@pytest.mark.parametrize("nonce", ["none", "''", "missing"])
async def test_no_nonce_is_no_attribute(nonce: str) -> None:
    (tag,) = tags_of(await request(application(f"live_scripts(nonce={nonce})"), "/"))
    assert tag.keys() == {"src"}


async def test_a_missing_nonce_is_an_error_where_the_environment_says_so() -> None:
    env = environment(page="{{ live_scripts(nonce=csp_nonce) }}")
    env.undefined = StrictUndefined
    with pytest.raises(Exception, match="'csp_nonce' is undefined"):
        await request(application("", env=env), "/")


async def test_the_tags_are_written_in_live_pages_too() -> None:
    reactive = Reactive(environment(page="{{ live_scripts() }}"), secret=SECRET)

    @reactive.page("page.html", scope="all")
    def page() -> dict[str, Any]:
        return {}

    app = FastAPI()
    app.get("/")(page)
    app.include_router(reactive.router)
    assert len(tags_of(await request(app, "/"))) == 1


async def test_without_a_request_the_error_says_what_to_pass() -> None:
    env = environment(page="{{ live_scripts() }}")
    reactive = Reactive(env, secret=SECRET)
    with pytest.raises(ReactiveError, match=r"'page.html' needs the request.*TemplateResponse\(request"):
        env.get_template("page.html").render()
    del reactive


async def test_without_the_routes_the_error_says_what_to_include() -> None:
    reactive = Reactive(environment(page="{{ live_scripts() }}"), secret=SECRET)

    def page(request: Request) -> Response:
        return reactive.templates.TemplateResponse(request, "page.html")

    with pytest.raises(ReactiveError, match=r"include_router\(reactive.router\)"):
        await request(Starlette(routes=[Route("/", page)]), "/")


async def test_outside_of_all_routers_the_error_says_what_to_include() -> None:
    reactive = Reactive(environment(page="{{ live_scripts() }}"), secret=SECRET)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await reactive.templates.TemplateResponse(Request(scope), "page.html")(scope, receive, send)

    with pytest.raises(ReactiveError, match=r"include_router\(reactive.router\)"):
        await request(app, "/")


# The addresses


@pytest.mark.parametrize("root_path", ["", "/behind", "/a'b"])
@pytest.mark.parametrize("prefix", ["/_reactive", "/live/of"])
async def test_the_addresses_lead_to_the_scripts_behind_a_proxy(root_path: str, prefix: str) -> None:
    app = application("live_scripts(htmx=2)", prefix=prefix)
    found = tags_of(await request(app, f"{root_path}/", root_path=root_path))
    assert len(found) == 2
    for tag in found:
        assert str(tag["src"]).startswith(f"{root_path}{prefix}/")
        assert (await request(app, str(tag["src"]), root_path=root_path)).status == 200


@pytest.mark.parametrize("where", ["inner", "outer"])
async def test_the_addresses_lead_to_the_scripts_from_a_mounted_application(where: str) -> None:
    reactive = Reactive(environment(page="{{ live_scripts() }}"), secret=SECRET)

    def page(request: Request) -> Response:
        return reactive.templates.TemplateResponse(request, "page.html")

    inner = Starlette(routes=[Route("/page", page), *(reactive.routes if where == "inner" else [])])
    app = Starlette(routes=[Mount("/inner", inner), *(reactive.routes if where == "outer" else [])])
    (tag,) = tags_of(await request(app, "/behind/inner/page", root_path="/behind"))
    assert str(tag["src"]).startswith("/behind/inner/" if where == "inner" else "/behind/_reactive/")
    assert (await request(app, str(tag["src"]), root_path="/behind")).status == 200


async def test_two_reactive_objects_of_one_environment_and_two_applications() -> None:
    env = environment(page="{{ live_scripts() }}")
    apps = [application("", env=env, prefix=prefix) for prefix in ("/first", "/second")]
    for app, prefix in zip(apps, ("/first", "/second"), strict=True):
        (tag,) = tags_of(await request(app, "/"))
        assert str(tag["src"]).startswith(f"{prefix}/")


# The scripts


@pytest.fixture(params=SCRIPTS, ids=["live", "htmx 2", "htmx 4"])
async def script(request: pytest.FixtureRequest) -> tuple[str, bytes]:
    """The address and the content of a script."""
    version, number, files = request.param
    call = "live_scripts()" if version is None else f"live_scripts(htmx={version})"
    return (await sources(call))[number], b"\n".join(content_of(file) for file in files)


def content_of(file: Path) -> bytes:
    """Return what is served of a file: of the package's own script, less than it holds."""
    return _condensed(file) if file == LIVE_SCRIPT else file.read_bytes()


@pytest.fixture
def app() -> Starlette:
    return application("live_scripts()")


async def test_a_script_is_served_for_good(app: Starlette, script: tuple[str, bytes]) -> None:
    address, content = script
    seen = await request(app, address, headers={"Accept-Encoding": "identity"})
    assert seen.status == 200
    assert seen.text.encode() == content
    assert seen.headers["content-type"] == "text/javascript; charset=utf-8"
    assert seen.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert seen.headers["x-content-type-options"] == "nosniff"
    assert seen.headers["vary"] == "Accept-Encoding"
    assert "content-encoding" not in seen.headers
    assert hashlib.sha256(content).hexdigest().startswith(address.rpartition("-")[2].removesuffix(".js"))


@pytest.mark.parametrize("accepted", ["gzip", "br, GZIP;q=0.5", "*", "gzip;q=1.0, identity"])
async def test_a_browser_that_accepts_gzip_gets_it(app: Starlette, script: tuple[str, bytes], accepted: str) -> None:
    address, content = script
    seen = await request(app, address, headers={"Accept-Encoding": accepted})
    assert seen.headers["content-encoding"] == "gzip"
    assert seen.headers["vary"] == "Accept-Encoding"
    assert int(seen.headers["content-length"]) < len(content)
    assert seen.text.encode() == content  # the client decompresses it


@pytest.mark.parametrize("accepted", ["", "br", "gzip;q=0", "gzip; q=0.000, *", "*;q=0", "x-gzip-not"])
async def test_a_browser_that_does_not_accept_gzip_does_not_get_it(app: Starlette, accepted: str) -> None:
    (address,) = await sources("live_scripts()")
    seen = await request(app, address, headers={"Accept-Encoding": accepted})
    assert "content-encoding" not in seen.headers


@pytest.mark.parametrize("accepted", ["identity", "gzip"])
async def test_head_has_the_headers_of_get(app: Starlette, script: tuple[str, bytes], accepted: str) -> None:
    address, content = script
    length = len(content if accepted == "identity" else gzip.compress(content, mtime=0))
    seen = await request(app, address, method="HEAD", headers={"Accept-Encoding": accepted})
    assert seen.status == 200
    assert seen.text == ""
    assert int(seen.headers["content-length"]) == length


@pytest.mark.parametrize(
    "name", ["live-0123456789ab.js", "live.js", "live-.js", "htmx-2.0.11.js", "vendor/htmx-2.0.11/htmx.min.js", "x.js"]
)
async def test_an_unknown_script_is_not_found(app: Starlette, name: str) -> None:
    seen = await request(app, f"/_reactive/{name}")
    assert seen.status == 404
    assert "immutable" not in seen.headers.get("cache-control", "")


async def test_a_digest_of_another_script_is_not_found(app: Starlette) -> None:
    htmx, live = await sources("live_scripts(htmx=2)")
    digest = htmx.rpartition("-")[2]
    assert (await request(app, f"{live.rpartition('-')[0]}-{digest}")).status == 404


def test_the_live_script_is_served_without_comments_and_with_the_same_strings() -> None:
    lines = [line for line in LIVE_SCRIPT.read_text().splitlines() if not line.strip().startswith("//")]
    served = content_of(LIVE_SCRIPT).decode()
    literals = r'"[^"]*"|`[^`]*`'
    assert re.findall(literals, served) == re.findall(literals, "\n".join(lines))
    assert "'" not in served  # nor other literals that the server does not know
    assert "\n//" not in served


def test_the_live_script_adds_less_than_7_5_kb_to_idiomorph() -> None:
    idiomorph = (VENDOR / "idiomorph-0.8.0" / "idiomorph.min.js").read_bytes()
    served = gzip.compress(idiomorph + b"\n" + content_of(LIVE_SCRIPT))
    # Of these, 1.6 kB update lists row by row: each change of a long list otherwise takes 100 kB.
    assert len(served) - len(gzip.compress(idiomorph)) < 7_500
