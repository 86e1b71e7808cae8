"""Who may see the inspector. Everybody else is told that there is nothing.

By default that is who sits at the machine: the request comes from a loopback address, names a loopback host, and has
come directly. The host keeps a page of another site from reaching in under a name of its own that resolves to this
machine. A request that a proxy has passed on comes from the proxy's address, which may be a loopback one, whoever sent
it; so one that a proxy has left a mark on is refused, and so is HTTP/1.0, which no browser speaks and proxies do. What
another origin's script asks for is refused as well, for the application may allow such requests to be read.
"""

from __future__ import annotations

import inspect
import ipaddress
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.requests import Request

__all__ = ["Allow", "is_allowed", "is_local"]

Allow = Callable[[Request], bool | Awaitable[bool]]
"""A function, or coroutine function, of the request: whether who sends it may see the inspector."""

_MARKS_OF_PROXIES = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
)


async def is_allowed(request: Request, allow: Allow) -> bool:
    """Tell whether a request may see the inspector."""
    if _is_of_another_site(request):
        return False
    answer = allow(request)
    return bool(await answer if inspect.isawaitable(answer) else answer)


def is_local(request: Request) -> bool:
    """Tell whether a request comes from this machine, and directly."""
    if request.client is None or request.scope.get("http_version") == "1.0":
        return False
    if any(name in request.headers for name in _MARKS_OF_PROXIES):
        return False
    return _is_loopback(request.client.host) and _is_loopback(_host_name(request.headers.get("host", "")))


def _is_of_another_site(request: Request) -> bool:
    if request.headers.get("sec-fetch-mode") == "navigate":
        return False  # a link, whose target the other site cannot read
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        return True
    return request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
