"""The scopes of a page or stream, from their formats and the endpoint's parameters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request

from .._core.errors import ReactiveError
from .._core.events import RESERVED

__all__ = ["check_scope_format", "format_scope", "format_scopes", "scope_formats", "scope_of_address"]

_DIGEST_LENGTH = 16


def check_scope_format(scope_format: str, example: str) -> None:
    """Check what an application declares as ``scope=``.

    Args:
        scope_format: The format, with the endpoint's parameters in braces.
        example: What it could be, for the error message.

    Raises:
        TypeError: It is not a string.
        ValueError: It is empty.
    """
    if not isinstance(scope_format, str):
        raise TypeError(f"scope is a format such as {example!r}, not {scope_format!r}")
    if not scope_format:
        raise ValueError(f"scope is empty: it must name something, such as {example!r}")


def scope_formats(scope: str | Sequence[str] | None, example: str) -> tuple[str, ...]:
    """Return the formats of what an application declares as ``scope=`` of a page, each of them once.

    Args:
        scope: A format, or several. ``None`` if the page has none.
        example: What it could be, for the error message.

    Raises:
        TypeError: It is neither a format nor a list of formats.
        ValueError: It is empty, or one of the formats is.
    """
    if scope is None:
        return ()
    formats = (scope,) if isinstance(scope, str) else scope
    if not isinstance(formats, Sequence):
        raise TypeError(f"scope is a format such as {example!r} or a list of them, not {scope!r}")
    if not formats:
        raise ValueError(f"scope is an empty list: it must name something, such as {example!r}")
    for each in formats:
        check_scope_format(each, example)
    return tuple(dict.fromkeys(formats))


def scope_of_address(page: str, request: Request) -> str:
    """Return the scope of a page that declares none. It is the same for all who look at one address of the page.

    Args:
        page: The page's key.
        request: A request of its address.
    """
    asgi_scope = request.scope
    root_path = asgi_scope.get("app_root_path", asgi_scope.get("root_path", ""))
    query = asgi_scope["query_string"].decode("latin-1")
    address = json.dumps([request.headers.get("host", ""), root_path, asgi_scope["path"], query])
    return f"{RESERVED}page {page} {hashlib.sha256(address.encode()).hexdigest()[:_DIGEST_LENGTH]}"


def format_scopes(
    formats: Sequence[str], values: Mapping[str, Any], *, what: str, template_name: str
) -> tuple[str, ...]:
    """Return the scopes for an endpoint's arguments, each of them once. The arguments are those of one scope.

    Raises:
        ReactiveError: A format names something that the parameters do not have, or does not fit their values.
    """
    return tuple(dict.fromkeys(format_scope(each, values, what=what, template_name=template_name) for each in formats))


def format_scope(scope_format: str, values: Mapping[str, Any], *, what: str, template_name: str) -> str:
    """Return the scope for an endpoint's arguments.

    Args:
        scope_format: The format, with the endpoint's parameters in braces.
        values: The endpoint's arguments and path parameters by name.
        what: What declares the scope, for the error message, such as ``the page app.board``.
        template_name: Its template.

    Raises:
        ReactiveError: The format names something that the parameters do not have, does not fit their values, or makes
            an empty scope of them.
    """
    try:
        scope = scope_format.format_map(values)
    except (LookupError, AttributeError, ValueError, TypeError) as error:
        known = ", ".join(values) or "none"
        raise ReactiveError(
            f"the scope {scope_format!r} of {what} does not fit the parameters of its endpoint and path "
            f"({type(error).__name__}: {error}): write their names in braces; there are: {known}",
            template=template_name,
        ) from error
    if not scope:
        raise ReactiveError(
            f"the scope {scope_format!r} of {what} is empty for this request: it must name something",
            template=template_name,
        )
    return scope
