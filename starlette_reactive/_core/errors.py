"""Exceptions. Each names the template, block or path, and its message ends with the fix.

The location is kept in attributes, so that tests, logs and checkers can use it.
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
    "StreamRestartError",
    "TemplateLoadError",
    "ViewerNameError",
]


class ReactiveError(Exception):
    """Base class of the errors of this package.

    Args:
        message: What is wrong and how to fix it.
        template: The name of the template.
        block: The name of the block.
        line: The line in ``template``, counted from 1.
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
    """A template and its parents have no block of that name."""


class BlockRenderError(ReactiveError):
    """A block cannot be rendered alone."""


class StreamEndedError(ReactiveError):
    """The page no longer exists for these viewers, so their streams end."""


class StreamRestartError(ReactiveError):
    """A viewer may have become somebody else, so its stream ends, and its browser connects again.

    Args:
        message: Why.
        soon: Whether the browser is to connect at once, or after the usual pause.
        whole: Whether it is then sent all blocks, because what it shows belongs to somebody else.
    """

    def __init__(self, message: str, *, soon: bool = True, whole: bool = False) -> None:
        super().__init__(message)
        self.soon = soon
        self.whole = whole


class ViewerNameError(ReactiveError, ValueError):
    """A block that is shared by all viewers reads data of one viewer."""


class ContextBuilderError(ReactiveError, TypeError):
    """A context builder did not return a mapping of names to values."""


class EmitTimeoutError(ReactiveError, TimeoutError):
    """The engine did not accept a change in time. The change is kept, and sent when the engine is back."""


class OutboxFullError(ReactiveError):
    """The engine is unreachable and the outbox is full. The change was not accepted."""
