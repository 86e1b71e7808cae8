"""The scope of a page or stream, from its format and the endpoint's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._core.errors import ReactiveError

__all__ = ["check_scope_format", "format_scope"]


def check_scope_format(scope_format: str, example: str) -> None:
    """Check what an application declares as ``scope=``.

    Args:
        scope_format: The format, with the endpoint's parameters in braces.
        example: What it could be, for the error message.

    Raises:
        ValueError: It is empty.
    """
    if not scope_format:
        raise ValueError(f"scope is empty: it must name something, such as {example!r}")


def format_scope(scope_format: str, values: Mapping[str, Any], *, what: str, template_name: str) -> str:
    """Return the scope for an endpoint's arguments.

    Args:
        scope_format: The format, with the endpoint's parameters in braces.
        values: The endpoint's arguments and path parameters by name.
        what: What declares the scope, for the error message, such as ``the page app.board``.
        template_name: Its template.

    Raises:
        ReactiveError: The format names something that the parameters do not have, or does not fit their values.
    """
    try:
        return scope_format.format_map(values)
    except (LookupError, AttributeError, ValueError, TypeError) as error:
        known = ", ".join(values) or "none"
        raise ReactiveError(
            f"the scope {scope_format!r} of {what} does not fit the parameters of its endpoint and path "
            f"({type(error).__name__}: {error}): write their names in braces; there are: {known}",
            template=template_name,
        ) from error
