"""Cookies as browsers keep them, following RFC 6265: what an answer makes of the cookies of a request."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

from starlette.types import Message, Scope

__all__ = [
    "cookie_header",
    "cookies_after",
    "names_of",
    "replaced_names",
    "set_cookies_of",
    "with_cookie_header",
    "with_path",
    "without_cookies",
]


_BLANKS = " \t"  # no others: text that is not ASCII arrives as Latin-1, in which some are


def cookie_header(asgi_scope: Scope) -> str:
    """Return the ``Cookie`` header of a request in a form that is equal for equal cookies."""
    values = [value.decode("latin-1") for name, value in asgi_scope["headers"] if name == b"cookie"]
    return _joined(_pairs("; ".join(values)))


def with_cookie_header(asgi_scope: Scope, cookies: str) -> Scope:
    """Return the ASGI scope of a request with other cookies."""
    headers = [pair for pair in asgi_scope["headers"] if pair[0] != b"cookie"]
    if cookies:
        headers.append((b"cookie", cookies.encode("latin-1")))
    return {**asgi_scope, "headers": headers}


def without_cookies(cookies: str, names: Collection[str]) -> str:
    """Return a ``Cookie`` header without some cookies."""
    return _joined({name: value for name, value in _pairs(cookies).items() if name not in names})


def set_cookies_of(start: Message, but: str | None = None) -> list[str]:
    """Return the ``Set-Cookie`` headers of an answer.

    Args:
        start: The ASGI message that starts the answer.
        but: The name of a cookie that does not count.
    """
    values = (value.decode("latin-1") for name, value in start.get("headers", ()) if name.lower() == b"set-cookie")
    return [value for value in values if but is None or not value.startswith(f"{but}=")]


def names_of(cookies: Iterable[str]) -> set[str]:
    """Return the names in cookies, each of which begins with a name and ``=``."""
    return {each.partition("=")[0] for each in cookies}


def replaced_names(before: str, after: str) -> set[str]:
    """Return the names of the cookies that have other values in a later ``Cookie`` header."""
    old, new = _pairs(before), _pairs(after)
    return {name for name in old.keys() & new.keys() if old[name] != new[name]}


def cookies_after(cookies: str, set_cookies: Iterable[str], *, path: str) -> str:
    """Return the ``Cookie`` header that a browser sends after an answer.

    Args:
        cookies: The header that it would have sent before.
        set_cookies: The ``Set-Cookie`` headers of the answer.
        path: The path that was answered, and that the header is for.
    """
    pairs = _pairs(cookies)
    for cookie in map(_parse, set_cookies):
        if not cookie.name or not cookie.covers(path):
            continue
        if cookie.is_expired:
            pairs.pop(cookie.name, None)
        else:
            pairs[cookie.name] = cookie.value
    return _joined(pairs)


def with_path(set_cookie: str, path: str) -> str:
    """Return a ``Set-Cookie`` header that the answer to another path may bring (RFC 6265, section 5.1.4).

    Args:
        set_cookie: The header.
        path: The percent-encoded path that was answered.
    """
    if _parse(set_cookie).attributes.get("path", "").startswith("/"):
        return set_cookie
    directory = path.partition(";")[0].rpartition("/")[0]  # a semicolon would begin another attribute
    return f"{set_cookie}; Path={directory or '/'}"


def _pairs(cookies: str) -> dict[str, str]:
    pairs = {}
    for each in cookies.split(";"):
        name, separator, value = each.strip(_BLANKS).partition("=")
        if separator:
            pairs[name] = value
    return pairs


def _joined(pairs: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in pairs.items())


@dataclass(frozen=True, slots=True)
class _SetCookie:
    name: str
    value: str
    attributes: dict[str, str]

    @property
    def is_expired(self) -> bool:
        max_age = self.attributes.get("max-age", "")
        if max_age.removeprefix("-").isdecimal():
            return max_age.startswith("-") or not max_age.strip("0")
        try:
            return parsedate_to_datetime(self.attributes["expires"]).timestamp() <= time.time()
        except (KeyError, ValueError, OverflowError):
            return False

    def covers(self, path: str) -> bool:
        """Return whether the browser sends the cookie to a path that has set it (RFC 6265, section 5.1.4)."""
        own = unquote(self.attributes.get("path", "/"))  # without the attribute, it is the directory of the path
        return not own.startswith("/") or path == own or path.startswith(own.rstrip("/") + "/")


def _parse(set_cookie: str) -> _SetCookie:
    pair, *rest = set_cookie.split(";")
    name, separator, value = pair.partition("=")
    if not separator:
        name = ""  # browsers send the text alone, which no application reads as a cookie with a name
    attributes = (each.partition("=") for each in rest)
    texts = {key.strip(_BLANKS).lower(): text.strip(_BLANKS) for key, _, text in attributes}
    return _SetCookie(name.strip(_BLANKS), value.strip(_BLANKS), texts)
