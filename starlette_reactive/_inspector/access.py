"""Who may see the inspector. Everyone else receives a 404.

By default only browsers on the same machine may: the request comes from a loopback address, names a loopback host, and
was not forwarded. The rule on the host stops DNS rebinding, where another site's name resolves to this machine. A
forwarded request comes from the proxy's address, which may be a loopback one. So requests with a header that proxies
add are refused, and so is HTTP/1.0, which proxies speak and browsers do not. Requests of another origin's scripts are
refused too, because the application's CORS rules may allow these scripts to read the response.
"""

from __future__ import annotations

import inspect
import ipaddress
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.requests import Request

__all__ = ["Allow", "is_allowed", "is_local"]

Allow = Callable[[Request], bool | Awaitable[bool]]
"""A function or coroutine function of the request that returns whether its sender may see the inspector."""

_PROXY_HEADERS = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
)


async def is_allowed(request: Request, allow: Allow) -> bool:
    """Return whether a request may see the inspector."""
    if _is_cross_site(request):
        return False
    answer = allow(request)
    return bool(await answer if inspect.isawaitable(answer) else answer)


def is_local(request: Request) -> bool:
    """Return whether a request comes from this machine and was not forwarded."""
    if request.client is None or request.scope.get("http_version") == "1.0":
        return False
    if any(name in request.headers for name in _PROXY_HEADERS):
        return False
    return _is_loopback(request.client.host) and _is_loopback(_host_name(request.headers.get("host", "")))


def _is_cross_site(request: Request) -> bool:
    if request.headers.get("sec-fetch-mode") == "navigate":
        return False  # a link: the other site cannot read its target
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
