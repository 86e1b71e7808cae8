"""Whether a request is an update, for the application's own middleware, dependencies and endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import HTTPConnection

from .update import UPDATE, Update

__all__ = ["is_update"]


def is_update(connection: HTTPConnection | Mapping[str, Any]) -> bool:
    """Return whether a request is an update of a live page, and not a browser's own request.

    An update runs a page's request through the whole application again, because something that the page shows has
    changed. Call this before you count, write or renew what stands for a visit. It works in middleware, dependencies
    and endpoints. The requests for the page itself and for its stream are a browser's own.

    A browser cannot make its request count as an update: nothing that it sends has an influence.

    Args:
        connection: A Starlette or FastAPI ``Request`` or ``HTTPConnection``, or a raw ASGI scope.

    Raises:
        TypeError: ``connection`` is neither a connection nor an ASGI scope.
    """
    if not isinstance(connection, Mapping):  # an HTTPConnection is a mapping: that of its ASGI scope
        raise TypeError(
            f"is_update takes a Request or an ASGI scope, not {type(connection).__name__}: pass the request itself"
        )
    return isinstance(connection.get(UPDATE), Update)
