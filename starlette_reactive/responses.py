"""Values that stand for a piece of a page until it is known how to send them."""

from __future__ import annotations

from typing import Any

__all__ = ["Fragment"]


class Fragment:
    """One block of a template with the context to render it in.

    Args:
        template_name: The page's template, as its loader knows it.
        block_name: The block to render, alone.
        target: On a stream, the name of the event that carries it; ``None``: an unnamed event.
        **context: The template's variables. Any name is free, ``template_name`` and ``block_name`` included.
    """

    __slots__ = ("block_name", "context", "target", "template_name")

    def __init__(self, template_name: str, block_name: str, /, *, target: str | None = None, **context: Any) -> None:
        self.template_name = template_name
        self.block_name = block_name
        self.target = target
        self.context = context

    def __repr__(self) -> str:
        target = "" if self.target is None else f", target={self.target!r}"
        return f"Fragment({self.template_name!r}, {self.block_name!r}{target})"
