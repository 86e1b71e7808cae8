"""What can go wrong, as exceptions that carry the place and the mend.

Each error keeps what it is about as attributes, so that a test, a log or a checker can use them, and ends its
message with what to write instead.
"""

from __future__ import annotations

__all__ = [
    "BlockNotFoundError",
    "BlockRenderError",
    "ContextBuilderError",
    "EmitTimeoutError",
    "OutboxFullError",
    "ReactiveError",
    "StreamEndedError",
    "TemplateLoadError",
    "ViewerNameError",
]


class ReactiveError(Exception):
    """Base of the errors that this package raises on its own account.

    Args:
        message: What is wrong and how to mend it.
        template: Name of the template it is about.
        block: Name of the block it is about.
        line: Line in ``template``, counted from 1.
    """

    def __init__(
        self,
        message: str,
        *,
        template: str | None = None,
        block: str | None = None,
        line: int | None = None,
    ) -> None:
        super().__init__(message)
        self.template = template
        self.block = block
        self.line = line


class TemplateLoadError(ReactiveError, LookupError):
    """A template does not exist, or its source does not parse."""


class BlockNotFoundError(ReactiveError, LookupError):
    """A template, as composed with its parents, has no block of that name."""


class BlockRenderError(ReactiveError):
    """A block cannot be rendered alone."""


class StreamEndedError(ReactiveError):
    """There is nothing to render for these viewers any more, now or later: their streams are to end."""


class ViewerNameError(ReactiveError, ValueError):
    """A block that all viewers share shows what belongs to one of them."""


class ContextBuilderError(ReactiveError, TypeError):
    """A context builder did not return a mapping of names to values."""


class EmitTimeoutError(ReactiveError, TimeoutError):
    """The engine has not accepted a change in time. The change is kept and sent when the engine is back."""


class OutboxFullError(ReactiveError):
    """The engine is away, and more scopes have changed meanwhile than are kept; this change was not taken."""
