"""reactive_stream: a response that keeps a page's blocks up to date, from a context builder."""

from __future__ import annotations

from collections.abc import Hashable

from .._bus.bus import ReactiveBus, hub_of
from .._core.events import ConnectionInfo
from .._index.index import DependencyIndex, registry_of
from .._templates.environments import Templates, environment_of
from .compression import Segments
from .group_options import GroupOptions
from .live_response import ConnectionCallback, LiveStream, ViewerOptions
from .rendering import ContextBuilder, block_renderer
from .response import EventStream

__all__ = ["reactive_stream"]


def reactive_stream(
    bus: ReactiveBus,
    *,
    scope: str,
    index: DependencyIndex,
    context_builder: ContextBuilder,
    templates: Templates | None = None,
    origin: str | None = None,
    connection: ConnectionInfo | None = None,
    on_connect: ConnectionCallback | None = None,
    on_disconnect: ConnectionCallback | None = None,
    share: Hashable | None = None,
    after: str | None = None,
    heartbeat_interval: float = 15.0,
    send_timeout: float | None = 30.0,
    retry: int = 3000,
    close_event: str | None = None,
    debug: bool = False,
    compress: bool = False,
) -> EventStream:
    """Return a response that keeps a page's blocks up to date.

    Each change of the scope renders the blocks that show it and sends them. The request says where to begin: the header
    ``Last-Event-ID``, else the query parameter ``resume``, else ``cursor``, else ``after``. What changed since then is
    sent first. Without any of them the stream begins with what changes from now on.

    Args:
        bus: The event bus.
        scope: What is viewed, such as ``"board:42"``.
        index: Which blocks show what.
        context_builder: A function or coroutine function that returns the templates' variables. It is called without
            arguments or, if it has a parameter without a default, with the changed paths, derived ones included. A
            plain function runs in a worker thread. If it raises, or does not return a mapping, it is retried later.
            What it reads from databases is not tracked.
        templates: The environment of the blocks. Defaults to the one that each was registered with.
        origin: The mark whose own changes are not sent back. Those of blocks that the stream has sent before are, two
            seconds later, because the older update may reach the page after the answer to its request.
        connection: Who is connected, for audience and presence.
        on_connect: Called once as ``on_connect(scope, connection)`` when the viewer is counted. It may be async.
        on_disconnect: Called once as ``on_disconnect(scope, connection)`` when the viewer is no longer counted,
            whatever ends the stream. It may be async.
        share: Streams with an equal key and scope share one context and one render for each change. The context builder
            then must not depend on the viewer; it sees no viewer's context variables. ``None`` shares nothing.
        after: A cursor, from ``bus.cursor(scope)``.
        heartbeat_interval: Seconds of silence after which a comment is sent. 0 sends none.
        send_timeout: Seconds after which a stalled stream is closed. ``None`` means never.
        retry: Milliseconds that the client waits before it reconnects. Each client gets a slightly different value, so
            that they do not all return at once.
        close_event: The event, with the data ``close``, that ends the client when the bus closes the stream.
        debug: Whether a failing block shows its error in the page.
        compress: Whether the stream is compressed if the client accepts gzip, once for all streams with an equal
            ``share`` key. Where a block shows a secret beside what others have written, its length tells something
            about the secret.

    Raises:
        TypeError: An argument has the wrong type, or ``context_builder`` needs more than one argument.
        ValueError: ``scope`` is empty.
    """
    if not isinstance(bus, ReactiveBus):
        raise TypeError(f"bus must be a ReactiveBus, not {type(bus).__name__}")
    if not isinstance(index, DependencyIndex):
        raise TypeError(f"index must be a DependencyIndex, not {type(index).__name__}")
    if not isinstance(scope, str) or not scope:
        raise (ValueError if scope == "" else TypeError)(f"scope must be a name such as 'board:42', not {scope!r}")
    registry = registry_of(index)
    group_options = GroupOptions(
        hub=hub_of(bus),
        scope=scope,
        registry=registry,
        render=block_renderer(context_builder, None if templates is None else environment_of(templates), registry),
        heartbeat_interval=heartbeat_interval,
        send_timeout=send_timeout,
        debug=debug,
        segments=None if not compress else Segments(1) if share is None else Segments(),
    )
    options = ViewerOptions(
        share=share,
        after=after,
        origin=origin,
        connection=connection,
        on_connect=on_connect,
        on_disconnect=on_disconnect,
        close_event=close_event,
        retry=retry,
    )
    return LiveStream(group_options, options)
