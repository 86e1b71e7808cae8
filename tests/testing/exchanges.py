"""What is played to browsers and to LivePage: a page's body and the frames of its stream, for both htmx versions.

Each exchange is named; the name of one that both versions share is followed by the version.
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
class Exchange:
    """A page and what its stream sends.

    Args:
        name: What it shows.
        htmx: The version of htmx.
        body: What the page's ``<body>`` holds; ``URL`` stands for the stream's address.
        frames: The frames, each a whole one.
        attributes: Attributes of ``<body>``.
        head: What else ``<head>`` holds.
    """

    name: str
    htmx: int
    body: str
    frames: tuple[str, ...]
    attributes: str = ""
    head: str = ""

    @property
    def id(self) -> str:
        return f"{self.name.replace(' ', '-')}-htmx{self.htmx}"

    def page(self, stream: str, before: str = "") -> str:
        scripts = "".join(f'<script src="{VENDOR}/{each}"></script>' for each in SCRIPTS[self.htmx])
        body = f"<body {self.attributes}>{self.body}</body>".replace("URL", stream)
        return f"<!doctype html><html><head><title>Before</title>{self.head}{before}{scripts}</head>{body}</html>"

    def stream(self) -> str:
        return "".join(self.frames) + END


def frame(data: str, event: str | None = None) -> str:
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    return f"event: {event}\n{lines}\n" if event else f"{lines}\n"


def named(
    name: str, inner: str, *payloads: str, swap: str = "innerHTML", extra: str = "", tag: str = "div"
) -> Exchange:
    """An htmx 2 page with ``sse-swap`` on an element in a connect element."""
    box = f'<{tag} id="box" sse-swap="box" hx-target="this" hx-swap="{swap}">{inner}</{tag}>'
    if tag in {"tbody", "tr"}:
        box = f"<table>{box}</table>"
    body = f'<main hx-ext="sse, morph" sse-connect="URL" sse-close="bye"><p>before</p>{box}<p>after</p>{extra}</main>'
    return Exchange(
        name,
        2,
        body,
        tuple(
            part
            for payload in payloads
            for part in (frame(payload, "box"), *([PAUSED] if "sse-swap" in payload else []))
        ),
    )


def unnamed(name: str, inner: str, *payloads: str, swap: str = "innerHTML", extra: str = "") -> Exchange:
    """An htmx 4 page whose connect element swaps unnamed events."""
    connect = f'<div id="box" hx-sse:connect="URL" hx-sse:close="bye" hx-swap="{swap}">{inner}</div>'
    return Exchange(name, 4, f"<p>before</p>{connect}<p>after</p>{extra}", tuple(frame(each) for each in payloads))


SINK = (
    '<div hx-sse:connect="URL" hx-sse:close="bye" hx-ext="sse" sse-connect="URL" sse-swap="message" sse-close="bye" '
    'hx-target="this" hx-swap="none" hx-trigger="load, every 10s" hx-sync="this:drop"></div>'
)


def sunk(name: str, body: str, *payloads: str, attributes: str = "", head: str = "") -> list[Exchange]:
    """A page with the sink of ``{{ live() }}``, for both versions."""
    frames = tuple(frame(payload) for payload in payloads)
    return [Exchange(name, version, SINK + body, frames, attributes, head) for version in (2, 4)]


def partial(target: str, swap: str, content: str) -> str:
    return f'<hx-partial hx-target="{target}" hx-swap="{swap}">{content}</hx-partial>'


LIST = '<ul id="list" class="rows"><li id="a">a</li><li id="b">b</li></ul>'
TABLE = '<table><tbody id="rows"><tr id="r1"><td>1</td></tr></tbody></table>'

EXCHANGES = [
    # The sink: what the package itself sends
    *sunk("innerMorph of a text", '<p id="count">0 open</p>', partial("#count", "innerMorph", "1 open")),
    *sunk(
        "innerMorph of a list",
        LIST,
        partial("#list", "innerMorph", '<li id="b">b</li><li id="c">c</li><li id="a">A</li>'),
    ),
    *sunk(
        "innerMorph of rows",
        TABLE,
        partial("#rows", "innerMorph", '<tr id="r2"><td>2</td></tr><tr id="r1"><td>one</td></tr>'),
    ),
    *sunk("innerMorph to nothing", LIST, partial("#list", "innerMorph", "")),
    *sunk(
        "innerMorph with comments",
        "<div id=x>a<!--old--><b>b</b></div>",
        partial("#x", "innerMorph", "<!--new--> c <i>d</i>"),
    ),
    *sunk(
        "several partials in a frame",
        LIST + "<p id=n>2</p>",
        partial("#n", "innerMorph", "3") + partial("#list", "innerMorph", "<li>x</li>"),
    ),
    *sunk("several frames", "<p id=n>0</p>", *(partial("#n", "innerMorph", str(n)) for n in range(1, 6))),
    *sunk("a partial by an odd id", '<p id="a.b:c">0</p>', partial("[id=&quot;a.b:c&quot;]", "innerMorph", "1")),
    *sunk(
        "a partial for nothing", "<p id=n>0</p>", partial("#gone", "innerMorph", "1"), partial("#n", "innerMorph", "2")
    ),
    *sunk("a partial for several", "<p class=n>0</p><p class=n>0</p>", partial(".n", "innerHTML", "1")),
    *sunk("outerHTML in a partial", "<p id=n>0</p>", partial("#n", "outerHTML", '<p id="n" class="warm">1</p>')),
    *sunk("outerHTML of a row", TABLE, partial("#r1", "outerHTML", '<tr id="r1"><td>one</td></tr>')),
    *sunk(
        "beforeend in a partial",
        LIST,
        partial("#list", "beforeend", "<li>c</li>"),
        partial("#list", "beforeend", "<li>d</li>"),
    ),
    *sunk("afterbegin in a partial", LIST, partial("#list", "afterbegin", "<li>z</li>")),
    *sunk(
        "beforebegin and afterend",
        LIST,
        partial("#a", "beforebegin", "<li>0</li>") + partial("#b", "afterend", "<li>9</li>"),
    ),
    *sunk("delete in a partial", LIST, partial("#a", "delete", "")),
    *sunk("an element out of band", LIST + "<p id=n>2</p>", '<p id="n" hx-swap-oob="true" class="c">3</p>'),
    *sunk("out of band inside", LIST, '<ul id="list" hx-swap-oob="innerHTML"><li>only</li></ul>'),
    *sunk("out of band at the end", LIST, '<ul id="list" hx-swap-oob="beforeend"><li>c</li></ul>'),
    *sunk("out of band by selector", LIST, '<li id="x" hx-swap-oob="outerHTML:#b">B</li>'),
    *sunk(
        "markup in a text",
        "<p id=n>0</p>",
        partial("#n", "innerMorph", "&lt;b&gt; &amp; &quot;q&quot; \N{NO-BREAK SPACE}|"),
    ),
    *sunk("a payload of many lines", "<pre id=n>0</pre>", partial("#n", "innerMorph", "one\n  two\n\nthree")),
    *sunk(
        "a nested template",
        "<div id=n>0</div>",
        partial("#n", "innerHTML", "<template><tr><td>1</td></tr></template>t"),
    ),
    *sunk("a title in a payload", "<p id=n>0</p>", "<title>After</title>" + partial("#n", "innerMorph", "1")),
    *sunk(
        "inherited attributes do not matter",
        "<p id=n>0</p>",
        partial("#n", "innerMorph", "1"),
        attributes='hx-target="#other" hx-swap="beforeend" hx-select="#q"',
    ),
    *sunk(
        "a form keeps its shape",
        "<form id=f><input name=a value=1></form>",
        partial("#f", "innerMorph", '<input name="a" value="2"><select><option selected>x</option></select>'),
    ),
    *sunk(
        "an svg",
        "<svg id=s viewBox='0 0 9 9'><circle r=1 /></svg>",
        partial("#s", "outerHTML", '<svg id="s" viewBox="0 0 9 9"><rect width="2"></rect></svg>'),
    ),
    *sunk(
        "ids that change places",
        '<div id=w><p id="p1">1</p><p id="p2">2</p></div>',
        partial("#w", "innerMorph", '<section><p id="p2">two</p></section><p id="p1">one</p>'),
    ),
    *sunk("the closing event", "<p id=n>0</p>", partial("#n", "innerMorph", "1")),
    # htmx 4 only
    *[
        each
        for each in sunk(
            "outerMorph in a partial",
            LIST,
            partial("#list", "outerMorph", '<ul id="list" class="new"><li id="b">B</li></ul>'),
        )
        if each.htmx == 4
    ],
    *[
        each
        for each in sunk(
            "outerMorph to two elements",
            LIST,
            partial("#list", "outerMorph", '<ul id="list"><li id="a">A</li></ul><p>more</p>'),
        )
        if each.htmx == 4
    ],
    *[
        each
        for each in sunk("textContent in a partial", LIST, partial("#list", "textContent", "<b>x</b> y"))
        if each.htmx == 4
    ],
    *[
        each
        for each in sunk(
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
    Exchange(
        "named events swap nothing", 4, '<div id="box" hx-sse:connect="URL">old</div>', (frame("<b>x</b>", "box"),)
    ),
    Exchange(
        "a target of its own", 4, '<div hx-sse:connect="URL" hx-target="#n"></div><p id="n">0</p>', (frame("<b>1</b>"),)
    ),
    Exchange(
        "inherited where that is said",
        4,
        '<div hx-target:inherited="#n" hx-swap:inherited="beforeend">'
        '<div hx-sse:connect="URL"></div></div><p id="n">0</p>',
        (frame("<b>1</b>"),),
    ),
    Exchange("the old name of the attribute", 4, '<div id="box" sse-connect="URL">old</div>', (frame("<b>x</b>"),)),
    Exchange(
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
    named("an unknown style is the default one", "old", "<b>new</b>", swap="innerMorph"),
    named(
        "idiomorph", '<p id="k">old</p>', '<div id="box" sse-swap="box"><p id="k">new</p></div>', swap="morph:outerHTML"
    ),
    named("modifiers", "old", "<b>new</b>", swap="beforeend settle:5ms"),
    named(
        "a preserved element",
        '<video id="v" hx-preserve title="mine"></video>',
        '<p>new</p><video id="v" hx-preserve></video>',
    ),
    Exchange(
        "several names and elements",
        2,
        '<main hx-ext="sse" sse-connect="URL">'
        '<p id="x" sse-swap="a, b" hx-swap="beforeend">x</p>'
        '<p id="y" sse-swap="b">y</p><p id="z" sse-swap="c">z</p></main>'
        '<p id="out" sse-swap="a">out</p>',
        (frame("1", "a"), frame("2", "b")),
    ),
    Exchange(
        "sse-swap on the connect element",
        2,
        '<div id="box" hx-ext="sse" sse-connect="URL" sse-swap="box">old</div>',
        (frame("new", "box"),),
    ),
    Exchange(
        "a target that is inherited",
        2,
        '<main hx-ext="sse" sse-connect="URL" hx-target="#n" hx-swap="beforeend">'
        '<p id="x" sse-swap="a">x</p></main><p id="n">0</p>',
        (frame("<b>1</b>", "a"),),
    ),
    Exchange(
        "an inheritance that is stopped",
        2,
        '<div hx-target="#n"><main hx-ext="sse" sse-connect="URL" hx-disinherit="*" hx-swap="delete">'
        '<p id="x" sse-swap="a">x</p></main></div><p id="n">0</p>',
        (frame("<b>1</b>", "a"),),
    ),
    Exchange(
        "the closing event by name",
        2,
        '<main hx-ext="sse" sse-connect="URL" sse-close="bye"><p id="x" sse-swap="a">x</p></main>',
        (frame("1", "a"), frame("close", "bye"), frame("2", "a")),
    ),
    Exchange(
        "the closing event of htmx 4",
        4,
        '<div id="x" hx-sse:connect="URL" hx-sse:close="bye">x</div>',
        (frame("1"), frame("close", "bye"), frame("2")),
    ),
    Exchange(
        "attributes written with data",
        2,
        '<main data-hx-ext="sse" data-sse-connect="URL">'
        '<p id="x" data-sse-swap="a" data-hx-swap="beforeend">x</p></main>',
        (frame("1", "a"),),
    ),
    Exchange(
        "new listeners in a payload",
        2,
        '<main hx-ext="sse" sse-connect="URL"><div id="x" sse-swap="a">x</div></main>',
        (frame('<p id="y" sse-swap="b">y</p>', "a"), PAUSED, frame("1", "b")),
    ),
]
