from __future__ import annotations

import pytest

from starlette_reactive import BlockRef
from starlette_reactive._clients.htmx import HTMX_2, HTMX_4, NAMED_EVENTS, stream_client
from starlette_reactive._core.blocks import Patch, Placement


def test_a_patch_is_a_named_event_for_those_who_swap_by_name() -> None:
    patch = Patch(BlockRef("t", "title", dom_id="doc-title", event="renamed"), "<b>x</b>")
    assert NAMED_EVENTS.encode(patch) == b"event: renamed\ndata: <b>x</b>\n\n"


@pytest.mark.parametrize(
    ("dom_id", "target"),
    [
        ("doc-title", "#doc-title"),
        ("a_1", "#a_1"),
        ("doc:1", "[id=&quot;doc:1&quot;]"),
        ("1st", "[id=&quot;1st&quot;]"),
        ("-x", "[id=&quot;-x&quot;]"),
        ('a"b\\', "[id=&quot;a\\&quot;b\\\\&quot;]"),
    ],
)
def test_a_patch_is_a_partial_for_htmx_4_with_a_selector_for_any_id(dom_id: str, target: str) -> None:
    patch = Patch(BlockRef("t", "title", dom_id=dom_id), "<b>x</b>")
    partial = f'<hx-partial hx-target="{target}" hx-swap="innerMorph"><b>x</b></hx-partial>'
    assert HTMX_4.encode(patch).decode() == f"data: {partial}\n\n"


def test_an_element_inside_its_block_is_replaced_itself() -> None:
    patch = Patch(BlockRef("t", "title"), '<p id="title">x</p>', Placement.AROUND)
    assert b'hx-swap="outerMorph"' in HTMX_4.encode(patch)


def test_a_client_is_told_by_its_headers() -> None:
    assert stream_client({"hx-request-type": "partial"}) is HTMX_4
    assert stream_client({"accept": "text/event-stream"}) is NAMED_EVENTS


def test_the_end_removes_a_sink_that_would_try_again_by_itself() -> None:
    closing = b"event: over\ndata: close\n\n"
    sink = '[data-reactive-sink="tab"]'
    assert NAMED_EVENTS.encode_close("over", sink) == closing
    assert HTMX_2.encode_close("over", sink) == closing
    assert HTMX_4.encode_close("over") == closing
    removal = b'data: <hx-partial hx-target="[data-reactive-sink=&quot;tab&quot;]" hx-swap="delete"></hx-partial>\n\n'
    assert HTMX_4.encode_close("over", sink) == removal + closing
