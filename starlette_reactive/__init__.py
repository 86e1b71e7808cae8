"""Live server-rendered pages for Starlette and FastAPI.

Emit a :class:`ChangeEvent` after a mutation, and every browser that shows the data gets fresh HTML for just the
``{% block %}`` that show it, over Server-Sent Events.
"""

from .blocks import BlockRef
from .bus import ReactiveBus, Subscription
from .errors import BlockNotFoundError, BlockRenderError, ContextBuilderError, ReactiveError, TemplateLoadError
from .events import ChangeEvent, ConnectionInfo
from .index import DependencyIndex
from .live import EventStream, SSEEvent, reactive_stream
from .responses import Fragment

__all__ = [
    "BlockNotFoundError",
    "BlockRef",
    "BlockRenderError",
    "ChangeEvent",
    "ConnectionInfo",
    "ContextBuilderError",
    "DependencyIndex",
    "EventStream",
    "Fragment",
    "ReactiveBus",
    "ReactiveError",
    "SSEEvent",
    "Subscription",
    "TemplateLoadError",
    "reactive_stream",
]
