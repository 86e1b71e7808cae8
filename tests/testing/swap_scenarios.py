"""Scenarios for Chromium and LivePage: the body of a page and the frames of its stream.

Each is for one version of htmx, or for the live script with one or none.
"""

from __future__ import annotations

from dataclasses import dataclass

PAUSED = ": pause\n\n"
END = "event: the-end\ndata: x\n\n"
VENDOR = "/vendor"
SCRIPTS = {
    2: ("htmx-2.0.11/htmx.min.js", "htmx-ext-sse-2.2.4/sse.min.js", "idiomorph-0.8.0/idiomorph-ext.min.js"),
    4: ("htmx-4.0.1/htmx.min.js", "htmx-4.0.1/hx-sse.min.js"),
}


@dataclass(frozen=True)
class Scenario:
    """A page and the frames of its stream.

    Args:
        name: What the scenario shows.
        htmx: The version of htmx. ``None`` for the live script alone.
        body: The content of the page's ``<body>``; ``URL`` stands for the stream's address.
        frames: The complete frames.
        attributes: Attributes of ``<body>``.
        head: Additional content of ``<head>``.
        live_script: Whether the live script opens the stream.
    """

    name: str
    htmx: int | None
    body: str
    frames: tuple[str, ...]
    attributes: str = ""
    head: str = ""
    live_script: bool = False

    @property
    def id(self) -> str:
        return f"{self.name.replace(' ', '-')}{'-script' * self.live_script}-htmx{self.htmx}"

    def page(self, stream: str, before: str = "") -> str:
        """Return the source of a template for the page."""
        if self.live_script:
            scripts = f"{{{{ live_scripts(htmx={self.htmx}) }}}}"
        else:
            scripts = "".join(f'<script src="{VENDOR}/{each}"></script>' for each in SCRIPTS[self.htmx or 2])
        body = f"<body {self.attributes}>{self.body}</body>".replace("URL", stream)
        return f"<!doctype html><html><head><title>Before</title>{self.head}{before}{scripts}</head>{body}</html>"

    def stream(self) -> str:
        return "".join(self.frames) + END


def frame(data: str, event: str | None = None) -> str:
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    return f"event: {event}\n{lines}\n" if event else f"{lines}\n"


def named(
    name: str, inner: str, *payloads: str, swap: str = "innerHTML", extra: str = "", tag: str = "div"
) -> Scenario:
    """Return an htmx 2 page with ``sse-swap`` on an element inside a connect element."""
    box = f'<{tag} id="box" sse-swap="box" hx-target="this" hx-swap="{swap}">{inner}</{tag}>'
    if tag in {"tbody", "tr"}:
        box = f"<table>{box}</table>"
    body = f'<main hx-ext="sse, morph" sse-connect="URL" sse-close="bye"><p>before</p>{box}<p>after</p>{extra}</main>'
    return Scenario(
        name,
        2,
        body,
        tuple(
            part
            for payload in payloads
            for part in (frame(payload, "box"), *([PAUSED] if "sse-swap" in payload else []))
        ),
    )


def unnamed(name: str, inner: str, *payloads: str, swap: str = "innerHTML", extra: str = "") -> Scenario:
    """Return an htmx 4 page whose connect element swaps unnamed events."""
    connect = f'<div id="box" hx-sse:connect="URL" hx-sse:close="bye" hx-swap="{swap}">{inner}</div>'
    return Scenario(name, 4, f"<p>before</p>{connect}<p>after</p>{extra}", tuple(frame(each) for each in payloads))


SINK = (
    '<div hx-sse:connect="URL" hx-sse:close="bye" hx-ext="sse" sse-connect="URL" sse-swap="message" sse-close="bye" '
    'hx-target="this" hx-swap="none" hx-trigger="load, every 10s" hx-sync="this:drop"></div>'
)


def sink(name: str, body: str, *payloads: str, attributes: str = "", head: str = "") -> list[Scenario]:
    """Return pages with the sink of ``{{ live() }}``, for both versions."""
    frames = tuple(frame(payload) for payload in payloads)
    return [Scenario(name, version, SINK + body, frames, attributes, head) for version in (2, 4)]


def partial(target: str, swap: str, content: str) -> str:
    return f'<hx-partial hx-target="{target}" hx-swap="{swap}">{content}</hx-partial>'


LIST = '<ul id="list" class="rows"><li id="a">a</li><li id="b">b</li></ul>'
TABLE = '<table><tbody id="rows"><tr id="r1"><td>1</td></tr></tbody></table>'

SWAP_SCENARIOS = [
    # The sink: the payloads that the package itself sends
    *sink("innerMorph of a text", '<p id="count">0 open</p>', partial("#count", "innerMorph", "1 open")),
    *sink(
        "innerMorph of a list",
        LIST,
        partial("#list", "innerMorph", '<li id="b">b</li><li id="c">c</li><li id="a">A</li>'),
    ),
    *sink(
        "innerMorph of rows",
        TABLE,
        partial("#rows", "innerMorph", '<tr id="r2"><td>2</td></tr><tr id="r1"><td>one</td></tr>'),
    ),
    *sink("innerMorph to empty", LIST, partial("#list", "innerMorph", "")),
    *sink(
        "innerMorph with comments",
        "<div id=x>a<!--old--><b>b</b></div>",
        partial("#x", "innerMorph", "<!--new--> c <i>d</i>"),
    ),
    *sink(
        "several partials in a frame",
        LIST + "<p id=n>2</p>",
        partial("#n", "innerMorph", "3") + partial("#list", "innerMorph", "<li>x</li>"),
    ),
    *sink("several frames", "<p id=n>0</p>", *(partial("#n", "innerMorph", str(n)) for n in range(1, 6))),
    *sink("a partial for an unusual id", '<p id="a.b:c">0</p>', partial("[id=&quot;a.b:c&quot;]", "innerMorph", "1")),
    *sink(
        "a partial without a target",
        "<p id=n>0</p>",
        partial("#gone", "innerMorph", "1"),
        partial("#n", "innerMorph", "2"),
    ),
    *sink("a partial with several targets", "<p class=n>0</p><p class=n>0</p>", partial(".n", "innerHTML", "1")),
    *sink("outerHTML in a partial", "<p id=n>0</p>", partial("#n", "outerHTML", '<p id="n" class="warm">1</p>')),
    *sink("outerHTML of a row", TABLE, partial("#r1", "outerHTML", '<tr id="r1"><td>one</td></tr>')),
    *sink(
        "beforeend in a partial",
        LIST,
        partial("#list", "beforeend", "<li>c</li>"),
        partial("#list", "beforeend", "<li>d</li>"),
    ),
    *sink("afterbegin in a partial", LIST, partial("#list", "afterbegin", "<li>z</li>")),
    *sink(
        "beforebegin and afterend",
        LIST,
        partial("#a", "beforebegin", "<li>0</li>") + partial("#b", "afterend", "<li>9</li>"),
    ),
    *sink("delete in a partial", LIST, partial("#a", "delete", "")),
    *sink("an element out of band", LIST + "<p id=n>2</p>", '<p id="n" hx-swap-oob="true" class="c">3</p>'),
    *sink("out of band inside", LIST, '<ul id="list" hx-swap-oob="innerHTML"><li>only</li></ul>'),
    *sink("out of band appended", LIST, '<ul id="list" hx-swap-oob="beforeend"><li>c</li></ul>'),
    *sink("out of band by selector", LIST, '<li id="x" hx-swap-oob="outerHTML:#b">B</li>'),
    *sink(
        "escaped markup in a text",
        "<p id=n>0</p>",
        partial("#n", "innerMorph", "&lt;b&gt; &amp; &quot;q&quot; \N{NO-BREAK SPACE}|"),
    ),
    *sink("a payload with several lines", "<pre id=n>0</pre>", partial("#n", "innerMorph", "one\n  two\n\nthree")),
    *sink(
        "a nested template",
        "<div id=n>0</div>",
        partial("#n", "innerHTML", "<template><tr><td>1</td></tr></template>t"),
    ),
    *sink("a title in a payload", "<p id=n>0</p>", "<title>After</title>" + partial("#n", "innerMorph", "1")),
    *sink(
        "inherited attributes have no effect",
        "<p id=n>0</p>",
        partial("#n", "innerMorph", "1"),
        attributes='hx-target="#other" hx-swap="beforeend" hx-select="#q"',
    ),
    *sink(
        "a form keeps its shape",
        "<form id=f><input name=a value=1></form>",
        partial("#f", "innerMorph", '<input name="a" value="2"><select><option selected>x</option></select>'),
    ),
    *sink(
        "an svg",
        "<svg id=s viewBox='0 0 9 9'><circle r=1 /></svg>",
        partial("#s", "outerHTML", '<svg id="s" viewBox="0 0 9 9"><rect width="2"></rect></svg>'),
    ),
    *sink(
        "ids that swap places",
        '<div id=w><p id="p1">1</p><p id="p2">2</p></div>',
        partial("#w", "innerMorph", '<section><p id="p2">two</p></section><p id="p1">one</p>'),
    ),
    *sink("the closing event", "<p id=n>0</p>", partial("#n", "innerMorph", "1")),
    # htmx 4 only
    *[
        each
        for each in sink(
            "outerMorph in a partial",
            LIST,
            partial("#list", "outerMorph", '<ul id="list" class="new"><li id="b">B</li></ul>'),
        )
        if each.htmx == 4
    ],
    *[
        each
        for each in sink(
            "outerMorph to two elements",
            LIST,
            partial("#list", "outerMorph", '<ul id="list"><li id="a">A</li></ul><p>more</p>'),
        )
        if each.htmx == 4
    ],
    *[
        each
        for each in sink("textContent in a partial", LIST, partial("#list", "textContent", "<b>x</b> y"))
        if each.htmx == 4
    ],
    *[
        each
        for each in sink(
            "short names of styles",
            LIST,
            partial("#list", "append", "<li>c</li>") + partial("#list", "prepend", "<li>z</li>"),
        )
        if each.htmx == 4
    ],
    unnamed("unnamed events swap the connect element", "<i>old</i>", "<b>new</b>", "<b>newer</b>"),
    unnamed("unnamed events appended", "<i>old</i>", "<b>1</b>", "<b>2</b>", swap="beforeend"),
    unnamed("an empty event swaps nothing", "<i>old</i>", "", swap="innerHTML"),
    unnamed(
        "main content and a partial",
        "<i>old</i>",
        "<b>main</b>" + partial("#n", "innerHTML", "1"),
        extra="<p id=n>0</p>",
    ),
    unnamed(
        "main content and out of band",
        "<i>old</i>",
        '<b>main</b><p id="n" hx-swap-oob="true">1</p>',
        extra="<p id=n>0</p>",
    ),
    unnamed(
        "innerMorph of the connect element", '<p id="k">old</p>', '<p id="k">new</p><p>more</p>', swap="innerMorph"
    ),
    Scenario(
        "named events swap nothing", 4, '<div id="box" hx-sse:connect="URL">old</div>', (frame("<b>x</b>", "box"),)
    ),
    Scenario(
        "a target other than the connect element",
        4,
        '<div hx-sse:connect="URL" hx-target="#n"></div><p id="n">0</p>',
        (frame("<b>1</b>"),),
    ),
    Scenario(
        "explicitly inherited attributes",
        4,
        '<div hx-target:inherited="#n" hx-swap:inherited="beforeend">'
        '<div hx-sse:connect="URL"></div></div><p id="n">0</p>',
        (frame("<b>1</b>"),),
    ),
    Scenario("the legacy name of the attribute", 4, '<div id="box" sse-connect="URL">old</div>', (frame("<b>x</b>"),)),
    Scenario(
        "hx-select", 4, '<div id="box" hx-sse:connect="URL" hx-select="b">old</div>', (frame("<i>a</i><b>b</b>"),)
    ),
    # htmx 2 only
    named("innerHTML by name", "<i>old</i>", "<b>new</b>", "<b>newer</b>"),
    named("an empty event clears", "<i>old</i>", ""),
    named("beforeend by name", "<i>old</i>", "<b>1</b>", "<b>2</b>", swap="beforeend"),
    named("afterbegin by name", "<i>old</i>", "<b>1</b>", "<b>2</b>", swap="afterbegin"),
    named(
        "outerHTML by name stays connected",
        "<i>old</i>",
        '<div id="box" sse-swap="box" hx-target="this" hx-swap="outerHTML">1</div>',
        '<div id="box">2</div>',
        "<p>3</p>",
        swap="outerHTML",
    ),
    named("rows by name", "<tr><td>0</td></tr>", "<tr><td>1</td></tr><tr><td>2</td></tr>", tag="tbody"),
    named(
        "out of band beside the main content",
        "old",
        '<b>new</b><p id="n" hx-swap-oob="true">1</p>',
        extra="<p id=n>0</p>",
    ),
    named(
        "out of band in a template",
        "old",
        '<template><p id="n" hx-swap-oob="true">1</p></template>new',
        extra="<p id=n>0</p>",
    ),
    named(
        "a partial beside the main content",
        "old",
        "<b>new</b>" + partial("#n", "innerHTML", "1"),
        extra="<p id=n>0</p>",
    ),
    named("an unknown style falls back to the default", "old", "<b>new</b>", swap="innerMorph"),
    named(
        "idiomorph", '<p id="k">old</p>', '<div id="box" sse-swap="box"><p id="k">new</p></div>', swap="morph:outerHTML"
    ),
    named("modifiers", "old", "<b>new</b>", swap="beforeend settle:5ms"),
    named(
        "a preserved element",
        '<video id="v" hx-preserve title="mine"></video>',
        '<p>new</p><video id="v" hx-preserve></video>',
    ),
    Scenario(
        "several names and elements",
        2,
        '<main hx-ext="sse" sse-connect="URL">'
        '<p id="x" sse-swap="a, b" hx-swap="beforeend">x</p>'
        '<p id="y" sse-swap="b">y</p><p id="z" sse-swap="c">z</p></main>'
        '<p id="out" sse-swap="a">out</p>',
        (frame("1", "a"), frame("2", "b")),
    ),
    Scenario(
        "sse-swap on the connect element",
        2,
        '<div id="box" hx-ext="sse" sse-connect="URL" sse-swap="box">old</div>',
        (frame("new", "box"),),
    ),
    Scenario(
        "an inherited target",
        2,
        '<main hx-ext="sse" sse-connect="URL" hx-target="#n" hx-swap="beforeend">'
        '<p id="x" sse-swap="a">x</p></main><p id="n">0</p>',
        (frame("<b>1</b>", "a"),),
    ),
    Scenario(
        "disabled inheritance",
        2,
        '<div hx-target="#n"><main hx-ext="sse" sse-connect="URL" hx-disinherit="*" hx-swap="delete">'
        '<p id="x" sse-swap="a">x</p></main></div><p id="n">0</p>',
        (frame("<b>1</b>", "a"),),
    ),
    Scenario(
        "the closing event by name",
        2,
        '<main hx-ext="sse" sse-connect="URL" sse-close="bye"><p id="x" sse-swap="a">x</p></main>',
        (frame("1", "a"), frame("close", "bye"), frame("2", "a")),
    ),
    Scenario(
        "the closing event of htmx 4",
        4,
        '<div id="x" hx-sse:connect="URL" hx-sse:close="bye">x</div>',
        (frame("1"), frame("close", "bye"), frame("2")),
    ),
    Scenario(
        "attributes with the data prefix",
        2,
        '<main data-hx-ext="sse" data-sse-connect="URL">'
        '<p id="x" data-sse-swap="a" data-hx-swap="beforeend">x</p></main>',
        (frame("1", "a"),),
    ),
    Scenario(
        "new listeners in a payload",
        2,
        '<main hx-ext="sse" sse-connect="URL"><div id="x" sse-swap="a">x</div></main>',
        (frame('<p id="y" sse-swap="b">y</p>', "a"), PAUSED, frame("1", "b")),
    ),
]
