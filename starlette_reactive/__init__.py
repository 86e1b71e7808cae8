"""Live server-rendered pages for Starlette and FastAPI.

Emit a :class:`ChangeEvent` after a mutation, and every browser that shows the data gets fresh HTML for just the
``{% block %}`` that show it, over Server-Sent Events.
"""

from ._answers.values import OOB, Action, ValidationError
from ._bus.bus import ReactiveBus
from ._bus.subscription import Subscription
from ._checks import Issue, Severity
from ._core.blocks import BlockRef, Fragment
from ._core.errors import (
    BlockNotFoundError,
    BlockRenderError,
    ContextBuilderError,
    EmitTimeoutError,
    OutboxFullError,
    ReactiveError,
    TemplateLoadError,
    ViewerNameError,
)
from ._core.events import ChangeEvent, ConnectionInfo, Health
from ._core.sse import SSEEvent
from ._index.index import DependencyIndex
from ._pages.middleware import ReactiveMiddleware
from ._pages.recognition import is_update
from ._streams import EventStream, reactive_stream
from .app import Reactive

__all__ = [
    "OOB",
    "Action",
    "BlockNotFoundError",
    "BlockRef",
    "BlockRenderError",
    "ChangeEvent",
    "ConnectionInfo",
    "ContextBuilderError",
    "DependencyIndex",
    "EmitTimeoutError",
    "EventStream",
    "Fragment",
    "Health",
    "Issue",
    "OutboxFullError",
    "Reactive",
    "ReactiveBus",
    "ReactiveError",
    "ReactiveMiddleware",
    "SSEEvent",
    "Severity",
    "Subscription",
    "TemplateLoadError",
    "ValidationError",
    "ViewerNameError",
    "is_update",
    "reactive_stream",
]
