from __future__ import annotations

import json
from typing import Any

import pytest

from starlette_reactive import BlockRef
from starlette_reactive._clients import WIRES, Client
from starlette_reactive._clients.htmx import HTMX_2, HTMX_4, NAMED_EVENTS, page_client, stream_client
from starlette_reactive._clients.script import ROW_SCRIPT, SCRIPT
from starlette_reactive._clients.turbo import TURBO
from starlette_reactive._core.blocks import Patch, Placement
from starlette_reactive._core.rows import KeyedText, changed_rows, keyed_text
from starlette_reactive._core.sse import HEARTBEAT


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
    partial = f'<hx-partial hx-target="{target}" hx-swap="innerMorph transition:false"><b>x</b></hx-partial>'
    assert HTMX_4.encode(patch).decode() == f"data: {partial}\n\n"


def test_an_element_inside_its_block_is_replaced_itself() -> None:
    patch = Patch(BlockRef("t", "title"), '<p id="title">x</p>', Placement.AROUND)
    assert b'hx-swap="outerMorph transition:false"' in HTMX_4.encode(patch)
    assert b'hx-swap="outerHTML transition:false"' in HTMX_2.encode(patch)
    assert b'action="replace" method="morph"' in TURBO.encode(patch)


def test_htmx_2_is_told_a_style_that_it_knows() -> None:
    assert b'hx-swap="innerHTML transition:false"' in HTMX_2.encode(Patch(BlockRef("t", "title"), "<b>x</b>"))


@pytest.mark.parametrize("markup", ["<dialog>x</dialog>", "<p><DIALOG open>x</DIALOG></p>"])
def test_a_dialog_is_not_morphed(markup: str) -> None:
    inside, around = Patch(BlockRef("t", "x"), markup), Patch(BlockRef("t", "x"), markup, Placement.AROUND)
    assert b'hx-swap="innerHTML ' in HTMX_4.encode(inside)
    assert b'hx-swap="outerHTML ' in HTMX_4.encode(around)
    assert b"morph" not in TURBO.encode(inside) + TURBO.encode(around)


def content_for(client: Client, markup: str) -> str:
    frame = client.encode(Patch(BlockRef("t", "x"), markup)).decode()
    data = frame.removeprefix("data: ").removesuffix("\n\n").replace("\ndata: ", "\n")
    return data.partition(">")[2].removesuffix("</hx-partial>")


@pytest.mark.parametrize(
    ("markup", "written"),
    [
        ("<hx-card>x</hx-card>", "<hx-card/>x</hx-card >"),
        ('a\n<HX-Card\n title="&lt;"  hidden>x</HX-Card>\n', 'a\n<hx-card/ title="&lt;" hidden>x</hx-card >\n'),
        ("<hx-card/>", "<hx-card/ />"),
        ("<hx-my-card>x</hx-my-card>", "<hx-my-card>x</hx-my-card>"),
        ("<!-- <hx-card> --><script>'<hx-card>'</script>", "<!-- <hx-card> --><script>'<hx-card>'</script>"),
        ("<textarea><input autofocus></textarea>", "<textarea><input autofocus></textarea>"),
        ('<input AutoFocus value="&amp;autofocus">', '<input value="&amp;autofocus">'),
        ("<p>autofocus</p>", "<p>autofocus</p>"),
    ],
)
@pytest.mark.parametrize("client", [HTMX_2, HTMX_4], ids=["htmx 2", "htmx 4"])
def test_htmx_finds_no_instructions_in_a_block(client: Client, markup: str, written: str) -> None:
    assert content_for(client, markup) == written


@pytest.mark.parametrize("name", ["hx-swap-oob", "data-hx-swap-oob"])
def test_htmx_2_which_drops_blocks_with_out_of_band_elements_gets_none(name: str) -> None:
    markup = f'<p>1</p><p id="a" {name}="true" class="b">2</p>'
    assert content_for(HTMX_2, markup) == '<p>1</p><p id="a" class="b">2</p>'
    assert content_for(HTMX_4, markup) == markup


def test_what_is_appended_is_written_in_the_same_way() -> None:
    frame = HTMX_2.encode_append("log", "<hx-card>x</hx-card>").decode()
    assert 'hx-swap="beforeend transition:false"><hx-card/>x</hx-card ></hx-partial>' in frame


def asked_with(query: str = "", **headers: str) -> dict[str, Any]:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "query_string": query.encode(), "headers": pairs}


def test_a_client_is_told_by_its_headers() -> None:
    assert stream_client(asked_with(hx_request_type="partial")) is HTMX_4
    assert stream_client(asked_with(accept="text/event-stream")) is NAMED_EVENTS
    assert page_client(asked_with(hx_request_type="partial")) is HTMX_4
    assert page_client(asked_with()) is HTMX_2


def test_the_script_of_a_page_is_told_by_its_query() -> None:
    assert page_client(asked_with("page=abc&script=1")) is SCRIPT
    assert page_client(asked_with("page=abc&script=1&resume=x-1", hx_request_type="partial")) is SCRIPT
    assert page_client(asked_with("page=abcscript=1&xscript=1&script=10")) is HTMX_2
    assert stream_client(asked_with("script=1")) is NAMED_EVENTS
    for name in ("turbo", "datastar"):
        assert WIRES[name].client(asked_with("page=abc&script=1")) is not SCRIPT


@pytest.mark.parametrize("dom_id", ["said", 'a"b\\', "line", "\N{SNOWMAN}"])
def test_the_script_reads_where_a_patch_goes_in_its_first_line(dom_id: str) -> None:
    patch = Patch(BlockRef("t", "title", dom_id=dom_id), "<b>x</b>\n<i>y</i>")
    head, *lines = SCRIPT.encode(patch).decode().removesuffix("\n\n").split("\n")
    assert json.loads(head.removeprefix("data: ")) == {"id": dom_id, "swap": "inner"}
    assert lines == ["data: <b>x</b>", "data: <i>y</i>"]


def test_the_script_is_told_what_is_its_own_and_how_it_is_swapped() -> None:
    patch = Patch(BlockRef("t", "title"), "", Placement.AROUND)
    assert SCRIPT.encode(patch) == b'data: {"id":"title","swap":"outer"}\ndata: \n\n'
    assert SCRIPT.own is not None
    assert SCRIPT.own.encode(patch) == b'data: {"id":"title","swap":"outer","own":true}\ndata: \n\n'


def list_of(*names: str) -> KeyedText:
    text = keyed_text("|".join(["<ul>", *(f"<li id={name}>{name * 9}</li>" for name in names), "</ul>"]), "|")
    assert isinstance(text, KeyedText)
    return text


def test_the_script_that_takes_rows_is_sent_lists_with_their_parts() -> None:
    before, after = list_of("a", "b", "c"), list_of("a", "b", "d")
    assert page_client(asked_with("page=abc&script=1&rows=1")) is ROW_SCRIPT
    head, text = data_of(ROW_SCRIPT.encode(Patch(BlockRef("t", "list"), before)))
    assert head == {"id": "list", "swap": "inner", "v": before.version}
    assert text.split("\x1e") == list(before.parts)
    change = changed_rows(before, after)
    assert change is not None
    head, text = data_of(ROW_SCRIPT.encode_rows(Patch(BlockRef("t", "list"), after), change))
    assert head == {
        "id": "list",
        "swap": "inner",
        "v": after.version,
        "base": before.version,
        "rows": [[0, 3], 1, [4, 1]],
    }
    assert text == "<li id=d>ddddddddd</li>"


def test_other_clients_are_sent_lists_as_they_are() -> None:
    text = list_of("a", "b")
    patch, plain = Patch(BlockRef("t", "list"), text), Patch(BlockRef("t", "list"), str(text))
    for client in (SCRIPT, HTMX_2, HTMX_4, NAMED_EVENTS, *(WIRES[each].client(asked_with()) for each in WIRES)):
        assert client.encode(patch) == client.encode(plain)
        assert not client.takes_rows
    assert ROW_SCRIPT.encode(plain) == SCRIPT.encode(plain)


def data_of(frame: bytes) -> tuple[dict[str, object], str]:
    head, *lines = (line.removeprefix("data: ") for line in frame.decode().removesuffix("\n\n").split("\n"))
    return json.loads(head), "\n".join(lines)


def test_the_script_is_told_why_its_stream_ends() -> None:
    assert SCRIPT.encode_close("over", "#sink", "refused") == b"event: over\ndata: refused\n\n"
    assert SCRIPT.encode_close(None, "#sink", "refused") == b""
    assert HTMX_2.encode_close("over", "#sink", "refused") == b"event: over\ndata: close\n\n"


def test_heartbeats_are_events_for_the_script_alone() -> None:
    assert SCRIPT.heartbeat == b"event: reactive-beat\ndata: \n\n"
    assert HTMX_2.heartbeat == HTMX_4.heartbeat == NAMED_EVENTS.heartbeat == HEARTBEAT


def test_the_end_removes_a_sink_that_would_try_again_by_itself() -> None:
    closing = b"event: over\ndata: close\n\n"
    sink = '[data-reactive-sink="tab"]'
    assert NAMED_EVENTS.encode_close("over", sink) == closing
    assert HTMX_2.encode_close("over", sink) == closing
    assert HTMX_4.encode_close("over") == closing
    removal = b'data: <hx-partial hx-target="[data-reactive-sink=&quot;tab&quot;]" hx-swap="delete"></hx-partial>\n\n'
    assert HTMX_4.encode_close("over", sink) == removal + closing
