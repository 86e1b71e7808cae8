"""Live server-rendered pages for Starlette and FastAPI.

Emit a :class:`ChangeEvent` after a mutation, and every browser that shows the data gets fresh HTML for just the
``{% block %}`` that show it, over Server-Sent Events.
"""

from .app import Reactive
from .blocks import BlockRef
from .bus import ReactiveBus, Subscription
from .checks import Issue, Severity
from .errors import (
    BlockNotFoundError,
    BlockRenderError,
    ContextBuilderError,
    EmitTimeoutError,
    OutboxFullError,
    ReactiveError,
    TemplateLoadError,
    ViewerNameError,
)
from .events import ChangeEvent, ConnectionInfo, Health
from .index import DependencyIndex
from .live import EventStream, SSEEvent, reactive_stream
from .responses import OOB, Action, Fragment, ValidationError

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
    "SSEEvent",
    "Severity",
    "Subscription",
    "TemplateLoadError",
    "ValidationError",
    "ViewerNameError",
    "reactive_stream",
]
