"""The scripts that pages load: the live script and htmx, their routes, and the tags that templates write.

The name of a script in its URL holds a digest of its content, so browsers keep it for good. One URL never has two
contents: a digest that this process does not know is not found.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2.runtime import Context
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from .._clients.htmx import VENDORED
from .._core.encodings import accepts_gzip
from .._core.errors import ReactiveError
from .mounts import path_in

__all__ = ["LIVE_SCRIPT", "VENDOR", "script_routes", "script_tags"]

STATIC = Path(__file__).parents[1] / "static"
VENDOR = STATIC / "vendor"
"""The folder of the files of other projects."""
LIVE_SCRIPT = STATIC / "live.js"
"""The path of the live script, without Idiomorph."""

_LIVE = "live"
_HTMX = {major: f"htmx-{version}" for major, version in VENDORED.items()}
_ROUTE_NAME = "reactive-scripts"  # the same for every Reactive object: what the routes serve is the same, too
_DIGEST_LENGTH = 12  # in hexadecimal characters
_NOT_FOUND = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_FOUND = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Script:
    """A script as it is served.

    Args:
        file_name: Its name in the URL, with the digest of its content.
        content: Its text.
        compressed: The same with gzip.
    """

    file_name: str
    content: bytes
    compressed: bytes


@functools.cache
def _scripts() -> Mapping[str, Script]:
    """Return the scripts by name."""
    live = (VENDOR / "idiomorph-0.8.0" / "idiomorph.min.js").read_bytes() + b"\n" + _condensed(LIVE_SCRIPT)
    htmx = {name: (VENDOR / name / "htmx.min.js").read_bytes() for name in _HTMX.values()}
    return {name: _script(name, content) for name, content in {_LIVE: live, **htmx}.items()}


_SPACE = re.compile(r"""("[^"]*"|`[^`]*`)|(?<=[=&|?:+<>,{([*])\s+|\s+(?=[)}])| *([-+*=<>!?:;,{}()|&[\]]+) *""")


def _condensed(path: Path) -> bytes:
    """Return a script without lines of comment, and without white space beside operators outside strings."""
    lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    code = "\n".join(line for line in lines if line and not line.startswith("//"))
    return _SPACE.sub(r"\1\2", code).encode()


def _script(name: str, content: bytes) -> Script:
    digest = hashlib.sha256(content).hexdigest()[:_DIGEST_LENGTH]
    return Script(f"{name}-{digest}.js", content, gzip.compress(content, mtime=0))


# The routes


def script_routes(prefix: str) -> list[Route]:
    """Return the routes of the scripts.

    Args:
        prefix: The path prefix.
    """
    return [Route(f"{prefix}/{{script}}.js", _serve, methods=["GET"], name=_ROUTE_NAME)]


async def _serve(request: Request) -> Response:
    file_name = f"{request.path_params['script']}.js"
    script = next((each for each in _scripts().values() if each.file_name == file_name), None)
    if script is None:
        return PlainTextResponse("There is no such script here.", status_code=404, headers=_NOT_FOUND)
    compresses = accepts_gzip(request.headers.get("accept-encoding", ""))
    body = script.compressed if compresses else script.content
    headers = {**_FOUND, "Content-Length": str(len(body)), **({"Content-Encoding": "gzip"} if compresses else {})}
    return Response(b"" if request.method == "HEAD" else body, headers=headers, media_type="text/javascript")


# What templates call


def script_tags(context: Context, htmx: object = None, nonce: object = None) -> Markup:
    """Return the tags that load the live script, after htmx if a version is given.

    The scripts run in their order, before those that are deferred.

    Args:
        context: The template's context.
        htmx: The version of htmx to load: 2 or 4. ``None`` if the page loads it itself, or has none.
        nonce: The nonce of the page's Content-Security-Policy.

    Raises:
        ReactiveError: There is no such version, the context has no request, or the application lacks the routes.
    """
    if htmx is not None and htmx not in tuple(_HTMX):
        raise ReactiveError(
            f"live_scripts() in {context.name!r} has htmx={htmx!r}: write htmx=2 or htmx=4, or leave it out if the "
            "page loads htmx itself",
            template=context.name,
        )
    request = context.get("request")
    if not isinstance(request, Request):
        raise ReactiveError(
            f"live_scripts() in {context.name!r} needs the request for its URLs, and the context has none: render the "
            "template with templates.TemplateResponse(request, …), or add the request to its context; import macros "
            "that call it 'with context'",
            template=context.name,
        )
    names = [*(name for version, name in _HTMX.items() if version == htmx), _LIVE]
    own = f' nonce="{html.escape(str(nonce))}"' if nonce is not None and str(nonce) else ""
    tags = [f'<script src="{html.escape(_url(request, name, context))}"{own}></script>' for name in names]
    return Markup("\n".join(tags))  # noqa: S704 - escaped above


def _url(request: Request, name: str, context: Context) -> str:
    path = path_in(request, _ROUTE_NAME, script=_scripts()[name].file_name.removesuffix(".js"))
    if path is None:
        raise ReactiveError(
            f"live_scripts() in {context.name!r} finds no routes of a Reactive object in the application: add "
            "app.include_router(reactive.router), or routes=[*reactive.routes, …] with Starlette",
            template=context.name,
        )
    root_path: str = request.scope.get("app_root_path", request.scope.get("root_path", ""))
    return root_path.rstrip("/") + path
