"""htmx 2 with its SSE extension, htmx 4 with ``hx-sse``, and plain ``EventSource`` scripts.

Pages use one wire for both versions: unnamed events that hold ``<hx-partial>`` elements, received by an empty sink that
swaps nothing itself. Streams without a sink send named events with bare HTML, which ``sse-swap`` of htmx 2 and scripts
listen for.
"""

from __future__ import annotations

import functools
import html
from collections.abc import Collection, Mapping
from typing import ClassVar

from starlette.datastructures import Headers
from starlette.types import Scope

from .._core.blocks import Patch, Placement
from .._core.sse import SSEEvent, encode_data, encode_event
from .client import CLOSE_EVENT, Client, Sink, css_selector, may_hold_dialog
from .rewriting import without_instructions
from .script import script_of

__all__ = [
    "HTMX_2",
    "HTMX_4",
    "NAMED_EVENTS",
    "VENDORED",
    "page_client",
    "partial",
    "sink_attributes",
    "sink_selector",
    "stream_client",
]


VENDORED: Mapping[int, str] = {2: "2.0.11", 4: "4.0.1"}
"""The versions of htmx that come with the package."""


_WITHOUT_TRANSITION = " transition:false"  # each would wait for the one before it


def partial(target_id: str, content: str, style: str) -> str:
    """Return an ``<hx-partial>`` that swaps ``content`` into the element ``target_id``."""
    return f"{_opening(target_id, style)}{content}</hx-partial>"


@functools.lru_cache(maxsize=1024)
def _opening(target_id: str, style: str) -> str:
    return f'<hx-partial hx-target="{html.escape(css_selector(target_id))}" hx-swap="{style}">'


class NamedEvents(Client):
    """Events named after their block, with its bare HTML."""

    def encode(self, patch: Patch) -> bytes:
        """Return a patch as one frame."""
        return encode_event(SSEEvent(patch.html, event=patch.ref.event_name))

    def encode_append(self, target_id: str, content: str) -> bytes:
        """Return an event that is named after the element, which appends it by its own ``hx-swap``."""
        return encode_event(SSEEvent(content, event=target_id))


class Htmx2(Client):
    """htmx 2.0.11 and later.

    A style that it does not know, such as ``innerMorph``, means the page's own ``defaultSwapStyle``, which may be any.
    Out-of-band elements inside a partial make it drop the partial.
    """

    instructions: ClassVar[Collection[str]] = frozenset({"autofocus", "hx-swap-oob", "data-hx-swap-oob"})
    """Attributes of a block that it obeys at each update."""

    def encode(self, patch: Patch) -> bytes:
        """Return a patch as one frame."""
        style = self.style_of(patch) + _WITHOUT_TRANSITION
        return encode_data(partial(patch.ref.target_id, without_instructions(patch.html, self.instructions), style))

    def style_of(self, patch: Patch) -> str:
        """Return how a patch is swapped."""
        return "innerHTML" if patch.placement is Placement.INSIDE else "outerHTML"

    def encode_append(self, target_id: str, content: str) -> bytes:
        """Return a frame that appends HTML to an element."""
        content = without_instructions(content, self.instructions)
        return encode_data(partial(target_id, content, "beforeend" + _WITHOUT_TRANSITION))


class Htmx4(Htmx2):
    """htmx 4, which morphs, and whose sink retries by itself and so is removed when the stream is over."""

    instructions = frozenset({"autofocus"})

    def style_of(self, patch: Patch) -> str:
        """Return how a patch is swapped.

        A morph takes the attribute ``open`` from a modal dialog, which stays modal without being shown.
        """
        if may_hold_dialog(patch):
            return super().style_of(patch)
        return "innerMorph" if patch.placement is Placement.INSIDE else "outerMorph"

    def encode_close(self, close_event: str | None, sink: str | None = None, reason: str = "closed") -> bytes:
        """Return the frames that keep the client from reconnecting; see :meth:`Client.encode_close`."""
        closing = super().encode_close(close_event, sink, reason)
        if not closing or sink is None:
            return closing
        removal = f'<hx-partial hx-target="{html.escape(sink)}" hx-swap="delete"></hx-partial>'
        return encode_event(SSEEvent(removal)) + closing


NAMED_EVENTS = NamedEvents()
HTMX_2 = Htmx2()
HTMX_4 = Htmx4()


_HTMX_4_HEADER = "hx-request-type"  # htmx 2 connects with a native EventSource, which sends no header of htmx


def page_client(asgi_scope: Scope) -> Client:
    """Return the client of a page's stream, from the ASGI scope of its request."""
    script = script_of(asgi_scope)
    if script is not None:
        return script
    return HTMX_4 if _HTMX_4_HEADER in Headers(scope=asgi_scope) else HTMX_2


def stream_client(asgi_scope: Scope) -> Client:
    """Return the client of a stream without a sink, from the ASGI scope of its request."""
    return HTMX_4 if _HTMX_4_HEADER in Headers(scope=asgi_scope) else NAMED_EVENTS


def sink_attributes(sink: Sink) -> str:
    """Return the attributes of a page's sink, for both versions of htmx and for the live script.

    The list of ids is separated by spaces, so it leaves out ids with white space, which HTML does not allow either.
    """
    url, origin, page = html.escape(sink.url), html.escape(sink.origin), html.escape(sink.page)
    blocks = html.escape(" ".join(dict.fromkeys(each for each in sink.blocks if each.split() == [each])))
    return (
        f'hx-sse:connect="{url}" hx-sse:close="{CLOSE_EVENT}" hx-ext="sse" sse-connect="{url}" sse-swap="message" '
        f'sse-close="{CLOSE_EVENT}" hx-target="this" hx-swap="none{_WITHOUT_TRANSITION}" '
        'hx-trigger="load, every 10s" hx-sync="this:drop" '
        f'data-reactive-sink="{origin}" data-reactive-blocks="{blocks}" data-reactive-beat="{sink.heartbeat:g}" '
        f'data-reactive-page="{page}"'
    )


def sink_selector(origin: str) -> str:
    """Return a CSS selector of the sink of a page with a mark."""
    return f'[data-reactive-sink="{origin}"]'
