"""What is rendered, and where it goes in the page."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

__all__ = ["BlockRef", "Fragment", "Patch", "Placement"]


class Placement(Enum):
    """How a block and its element are nested, which decides how the element is swapped."""

    INSIDE = "inside"
    """The block is inside the element: the content of the element is replaced."""
    AROUND = "around"
    """The block contains the element: the element itself is replaced."""


@dataclass(frozen=True, slots=True)
class BlockRef:
    """A block of a template, and the element of the page that shows it.

    Args:
        template_name: The page's template, as its loader knows it.
        block_name: The name after ``{% block``.
        dom_id: The ``id`` of the element that shows the block. Defaults to the block's name.
        event: The name that the element's ``sse-swap`` listens for. Defaults to the target's id.

    Raises:
        TypeError: A field is not a string.
        ValueError: A field is empty, or ``event`` contains a line break or NUL, which would break the frame.
    """

    template_name: str
    block_name: str
    dom_id: str | None = None
    event: str | None = None
    key: tuple[str, str] = field(init=False, repr=False, compare=False)
    """The template and the block, regardless of the element."""
    target_id: str = field(init=False, repr=False, compare=False)
    """The ``id`` of the element that shows the block."""
    event_name: str = field(init=False, repr=False, compare=False)
    """The name of the Server-Sent Event that carries the block on the named wire."""

    def __post_init__(self) -> None:
        for name in ("template_name", "block_name", "dom_id", "event"):
            value = getattr(self, name)
            if value is None and name in ("dom_id", "event"):
                continue
            if not isinstance(value, str):
                raise TypeError(f"{name} is a string, not {type(value).__name__}: {value!r}")
            if not value:
                raise ValueError(f"{name} is empty: it must name something")
        set_field = object.__setattr__
        set_field(self, "key", (self.template_name, self.block_name))
        set_field(self, "target_id", self.dom_id or self.block_name)
        set_field(self, "event_name", self.event or self.target_id)
        if any(character in self.event_name for character in "\r\n\0"):
            raise ValueError(f"the event name {self.event_name!r} has a line break or NUL in it: remove it")


@dataclass(frozen=True, slots=True)
class Patch:
    """A rendered block: the new HTML for the element ``ref.target_id``."""

    ref: BlockRef
    html: str
    placement: Placement = Placement.INSIDE
    compresses: bool = True
    """Whether streams may send it compressed."""


class Fragment:
    """One block of a template, with the context to render it in.

    Args:
        template_name: The page's template, as its loader knows it.
        block_name: The block to render.
        target: On a stream, the name of the event that carries it; ``None`` sends an unnamed event. In an :class:`OOB`,
            the id of the element that it goes to; defaults to the block's name.
        **context: The template's variables. Any name is allowed, including ``template_name`` and ``block_name``.
    """

    __slots__ = ("block_name", "context", "target", "template_name")

    def __init__(self, template_name: str, block_name: str, /, *, target: str | None = None, **context: Any) -> None:
        self.template_name: str = template_name
        self.block_name: str = block_name
        self.target: str | None = target
        self.context: dict[str, Any] = context

    def __repr__(self) -> str:
        target = "" if self.target is None else f", target={self.target!r}"
        return f"Fragment({self.template_name!r}, {self.block_name!r}{target})"
