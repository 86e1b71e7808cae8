"""A toast: HTML that is appended once to an element of the pages that are open now. It is validated here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .events import UserId, as_scope, user_ids

__all__ = ["LONGEST_TOAST", "Toast"]

LONGEST_TOAST = 4096
"""Bytes of HTML, in UTF-8. Engines carry a toast in one message, and several may wait for each viewer."""
_LONGEST_TARGET = 200  # characters


@dataclass(frozen=True, slots=True, init=False)
class Toast:
    """HTML for the viewers of a scope who are connected now.

    Args:
        scope: The scope.
        target: The id of the element that it is appended to.
        html: The HTML.
        audience: The ids of the users that it is for. ``None`` means everybody.

    Raises:
        TypeError: An argument has the wrong type, or ``audience`` is a bare string.
        ValueError: ``scope`` or ``target`` is empty, ``target`` cannot be an id, or ``html`` is too long.
    """

    scope: str
    target: str
    html: str
    audience: frozenset[str] | None = None

    def __init__(self, scope: str, target: str, html: str, audience: Iterable[UserId] | None = None) -> None:
        set_field = object.__setattr__
        set_field(self, "scope", as_scope(scope))
        set_field(self, "target", _as_target(target))
        set_field(self, "html", _as_html(html, target))
        set_field(self, "audience", None if audience is None else user_ids(audience))

    def is_for(self, user_id: str | None) -> bool:
        """Return whether it is for a user, or for an anonymous viewer."""
        return self.audience is None or user_id in self.audience


def _as_target(target: str) -> str:
    if not isinstance(target, str):
        raise TypeError(f"the target of a toast is a string, not {type(target).__name__}: {target!r}")
    if not target or not target.isprintable() or len(target.split()) != 1 or len(target) > _LONGEST_TARGET:
        raise ValueError(
            f"the target of a toast is {target[:_LONGEST_TARGET]!r}: write the id of the element that it is appended "
            f"to, of at most {_LONGEST_TARGET} characters and without white space"
        )
    return target


def _as_html(html: str, target: str) -> str:
    if not isinstance(html, str):
        raise TypeError(f"the HTML of a toast is a string, not {type(html).__name__}")
    size = len(html.encode())
    if size > LONGEST_TOAST:
        raise ValueError(
            f"the toast for the element {target!r} has {size} bytes of HTML, which is more than {LONGEST_TOAST}: send "
            "a short text, and a link to the rest"
        )
    return html
