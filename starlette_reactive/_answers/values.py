"""Values that an endpoint returns, or a stream yields, instead of a ready response."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from starlette.responses import Response

from .._core.blocks import Fragment

__all__ = ["OOB", "Action", "ValidationError", "fragments_of"]


class OOB:
    """A main fragment, and others that go to elements of their own elsewhere in the page.

    Args:
        main: What goes into the request's own target.
        *fragments: What else changes. Each goes to the element whose id is its target.
        style: ``"partial"`` sends each as an ``<hx-partial>``, for htmx 4 and htmx 2.0.11 or later. ``"oob"`` sends
            each as an element with ``hx-swap-oob``, for any version of htmx, except for rows of a table.
        swap: The swap styles of htmx by target, such as ``{"log": "beforeend"}``. By default, a block that begins with
            the element of that id replaces it, and any other block is its new content.

    Raises:
        TypeError: A value is not a :class:`Fragment`.
        ValueError: ``style`` is not one of the two, or ``swap`` names something that is no target or has no style.
    """

    __slots__ = ("fragments", "main", "style", "swap")

    def __init__(
        self,
        main: Fragment,
        *fragments: Fragment,
        style: Literal["partial", "oob"] = "partial",
        swap: Mapping[str, str] | None = None,
    ) -> None:
        for fragment in (main, *fragments):
            if not isinstance(fragment, Fragment):
                raise TypeError(f"OOB takes Fragments, not {type(fragment).__name__}: {fragment!r}")
        if style not in ("partial", "oob"):
            raise ValueError(f"style is {style!r}: write 'partial' or 'oob'")
        self.main: Fragment = main
        self.fragments: tuple[Fragment, ...] = fragments
        self.style = style
        self.swap: Mapping[str, str] = dict(swap or {})
        targets = [fragment.target or fragment.block_name for fragment in fragments]
        for target, swap_style in self.swap.items():
            if target not in targets:
                known = ", ".join(map(repr, targets)) or "none"
                raise ValueError(f"swap has {target!r}, which is no target of the other fragments: they are {known}")
            if not isinstance(swap_style, str) or not swap_style.strip():
                raise ValueError(f"swap has {swap_style!r} for {target!r}: write a swap style, such as 'beforeend'")


class Action(Response):
    """A response without content: status 204, with instructions for the client in the headers that htmx reads.

    Args:
        trigger: The name of an event to trigger on the client, or a mapping of names to details (``HX-Trigger``).
        refresh: Whether the client reloads the page (``HX-Refresh``).
        headers: Further headers.
    """

    def __init__(
        self,
        trigger: str | Mapping[str, Any] | None = None,
        refresh: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status_code=204, headers=headers)
        if trigger is not None:
            # ASCII, because headers are Latin-1 at best.
            self.headers["HX-Trigger"] = trigger if isinstance(trigger, str) else json.dumps(dict(trigger))
        if refresh:
            self.headers["HX-Refresh"] = "true"


class ValidationError:
    """The response to an invalid form: status 422, and the form rendered again with its errors.

    Args:
        fragment: The form.
        errors: What is wrong. The form's template reads it as ``errors``.

    Raises:
        TypeError: ``fragment`` is not a :class:`Fragment`.
    """

    __slots__ = ("errors", "fragment")

    def __init__(self, fragment: Fragment, *, errors: Any) -> None:
        if not isinstance(fragment, Fragment):
            raise TypeError(f"ValidationError takes a Fragment, not {type(fragment).__name__}: {fragment!r}")
        self.fragment: Fragment = fragment
        self.errors: Any = errors


def fragments_of(value: object) -> tuple[Fragment, ...]:
    """Return the fragments that the response for a value contains."""
    if isinstance(value, Fragment):
        return (value,)
    if isinstance(value, OOB):
        return (value.main, *value.fragments)
    if isinstance(value, ValidationError):
        return (value.fragment,)
    return ()
