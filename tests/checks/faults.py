"""Faulty templates, each with the one finding that it must give; and look-alikes that work.

The line at fault is the one that holds the mark ``<!--!-->`` (the mark is taken out before the template is used).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from jinja2 import DictLoader, Environment

from starlette_reactive import BlockRef, DependencyIndex
from starlette_reactive.checks import DeclaredPage, Subject

MARK = "<!--!-->"
HTMX_2 = '<script src="/htmx-2.0.11/htmx.min.js"></script><script src="/htmx-ext-sse-2.2.4/sse.min.js"></script>'
MORPH = '<script src="/idiomorph-0.8.0/idiomorph.min.js"></script><script src="/idiomorph-0.8.0/idiomorph-ext.min.js">'
MORPH += "</script>"
HTMX_4 = '<script src="/htmx-4.0.1/htmx.min.js"></script><script src="/htmx-4.0.1/hx-sse.min.js"></script>'
SINK = 'hx-sse:connect="/stream" hx-ext="sse" sse-connect="/stream" sse-swap="message" hx-target="this" hx-swap="none"'


def page_2(body: str, head: str = "") -> str:
    return f"<!doctype html><html><head>{head}{HTMX_2}</head><body>\n{body}\n</body></html>"


def page_4(body: str, head: str = "") -> str:
    return f"<!doctype html><html><head>{head}{HTMX_4}</head><body>\n{body}\n</body></html>"


Registration = Callable[[Environment, DependencyIndex], object]


@dataclass(frozen=True)
class Case:
    """A set of templates, ``page`` among them.

    Args:
        name: What it shows.
        templates: The templates, by name.
        category: The category of its one finding; empty: there must be none.
        severity: The finding's severity.
        register: Registers blocks in the index of plain streams.
        declare: Whether the page is declared with ``@reactive.page``.
        frames: What the stream sends, for the browser.
        again: Whether it sends them each time that the browser connects, not only the first.
        shown: JavaScript that is true once the frames have come, where the fault (or its absence) shows.
        autoescape: The environment's setting.
        data: Contract data.
        shared: Whether the declared page is shared.
    """

    name: str
    templates: Mapping[str, str]
    category: str = ""
    severity: str = ""
    register: Registration | None = None
    declare: bool = False
    frames: str = ""
    again: bool = False
    shown: str = ""
    autoescape: bool = True
    data: Mapping[str, object] = field(default_factory=dict)
    shared: bool = False

    @property
    def place(self) -> tuple[str, int] | None:
        """The template and line of the mark."""
        for name, source in self.templates.items():
            if MARK in source:
                return name, source[: source.index(MARK)].count("\n") + 1
        return None

    def subject(self) -> Subject:
        sources = {name: source.replace(MARK, "") for name, source in self.templates.items()}
        env = Environment(loader=DictLoader(sources), autoescape=self.autoescape)
        index, own = DependencyIndex(), DependencyIndex()
        if self.register is not None:
            self.register(env, index)
        if self.declare:
            own.register_elements(env, "page", unless_read={"live"})
        pages = [DeclaredPage("page", "room:{id}", self.shared, "htmx", own)] if self.declare else []
        return Subject([env], [index], pages, frozenset({"user", "request"}), frozenset({"live"}), self.data)


CONNECT = '<main hx-ext="sse" sse-connect="/stream">'
A = "event: a\ndata: <b>new</b>\n\n"
M = "data: <b>new</b>\n\n"
PARTIAL = 'data: <hx-partial hx-target="#a" hx-swap="innerMorph"><b>new</b></hx-partial>\n\n'
DRAW = "<script>document.querySelector('canvas').getContext('2d').fillRect(0, 0, 9, 9)</script>"
DRAWN = "document.querySelector('canvas').getContext('2d').getImageData(0, 0, 1, 1).data[3]"


def two(name: str, body: str, category: str = "", severity: str = "warning", *, head: str = "", **rest: object) -> Case:
    return Case(name, {"page": page_2(body, head)}, category, severity if category else "", **rest)  # type: ignore[arg-type]


def four(
    name: str, body: str, category: str = "", severity: str = "warning", *, head: str = "", **rest: object
) -> Case:
    return Case(name, {"page": page_4(body, head)}, category, severity if category else "", **rest)  # type: ignore[arg-type]


def by_swaps(env: Environment, index: DependencyIndex) -> None:
    index.register_from_sse_swaps(env, "page")


def block_a(env: Environment, index: DependencyIndex) -> int:
    return index.register_template(env, "page", block_names=["a"])


def derive(index: DependencyIndex, **sources: str) -> int:
    for path, source in sources.items():
        index.derive(path, from_paths={source})
    return len(sources)


def text(selector: str) -> str:
    return f"document.querySelector('{selector}')?.textContent.trim()"


MARKUP = [
    two(
        "a connect element that swaps its other children away",
        f"""
<main hx-ext="sse" sse-connect="/stream" sse-swap="a">{MARK}
  <p id="kept">kept</p>
</main>""",
        "sse_self_swap",
        "error",
        frames=A,
        shown="!document.querySelector('#kept')",
    ),
    two(
        "a connect element that replaces itself",
        """
<main id="m" hx-ext="sse" sse-connect="/stream" sse-swap="a" hx-target="this"
      hx-swap="outerHTML"></main>""".replace("<main", MARK + "<main"),
        "sse_self_swap",
        "error",
        frames=A,
        shown="!document.querySelector('#m')",
    ),
    two(
        "a connect element that inherits a target, which its own hx-disinherit does not stop",
        f"""
<section hx-target="#elsewhere">
  <main hx-ext="sse" sse-connect="/stream" sse-swap="a" hx-disinherit="hx-target">{MARK}</main>
  <p id="elsewhere">old</p>
</section>""",
        "sse_self_swap",
        "error",
        frames=A,
        shown=text("#elsewhere") + " == 'new'",
    ),
    two(
        "a broad target above the connect element",
        f"""
<section hx-target="#elsewhere">
  <main hx-ext="sse" sse-connect="/stream">{MARK}
    <p id="a" sse-swap="a">old</p>
  </main>
  <p id="elsewhere">old</p>
</section>""",
        "sse_scope",
        "error",
        frames=A,
        shown=text("#elsewhere") + " == 'new'",
    ),
    two(
        "a comma in hx-disinherit, which then protects nothing",
        f"""
<section hx-target="#elsewhere">
  <main hx-ext="sse" sse-connect="/stream" hx-disinherit="hx-target,hx-swap">{MARK}
    <p id="a" sse-swap="a">old</p>
  </main>
  <p id="elsewhere">old</p>
</section>""",
        "sse_scope",
        "error",
        frames=A,
        shown=text("#elsewhere") + " == 'new'",
    ),
    two(
        "a line break in hx-disinherit, which then protects nothing",
        f"""
<section data-hx-target="#elsewhere">
  {MARK}<main hx-ext="sse" sse-connect="/stream" hx-disinherit="hx-target
hx-swap">
    <p id="a" data-sse-swap="a">old</p>
  </main>
  <p id="elsewhere">old</p>
</section>""",
        "sse_scope",
        "error",
        frames=A,
        shown=text("#elsewhere") + " == 'new'",
    ),
    two(
        "a target on the connect element itself",
        f"""
<main hx-ext="sse" sse-connect="/stream" hx-target="this">{MARK}
  <p id="kept">kept</p>
  <p id="a" sse-swap="a">old</p>
</main>""",
        "sse_scope",
        "error",
        frames=A,
        shown="!document.querySelector('#kept')",
    ),
    two(
        "an element that listens outside of the connect element",
        f"""
<main hx-ext="sse" sse-connect="/stream"><p sse-swap="b"></p></main>
<p id="a" sse-swap="a">old</p>{MARK}""",
        "sse_scope",
        "error",
        frames=A,
        shown=text("#a") + " == 'old'",
    ),
    two(
        "a swap style from above, with a target of its own",
        f"""
<section hx-swap="beforeend">
  {CONNECT}
    <p id="a" sse-swap="a" hx-target="this">{MARK}old</p>
  </main>
</section>""",
        "swap_safety",
        frames=A,
        shown=text("#a") + " == 'oldnew'",
    ),
    two(
        "a swap style from above, which its own hx-disinherit does not stop",
        f"""
<section hx-swap="beforeend">
  {CONNECT}
    <p id="a" sse-swap="a" hx-target="this" hx-disinherit="hx-swap">{MARK}old</p>
  </main>
</section>""",
        "swap_safety",
        frames=A,
        shown=text("#a") + " == 'oldnew'",
    ),
    two(
        "a swap of none from above",
        f"""
{CONNECT}
  <div hx-swap="none">
    <p id="a" sse-swap="a">{MARK}old</p>
  </div>
</main>""",
        "swap_safety",
        frames=A,
        shown=text("#a") + " == 'old'",
    ),
    two(
        "a target between the connect element and the one that shows the message",
        f"""
{CONNECT}
  <div hx-target="#elsewhere">
    <p id="a" sse-swap="a">{MARK}old</p>
    <p id="elsewhere">old</p>
  </div>
</main>""",
        "swap_safety",
        frames=A,
        shown=text("#elsewhere") + " == 'new'",
    ),
    two(
        "a boosted link",
        f"""
{CONNECT}
  <nav hx-boost="true">
    <a id="a" href="/b" sse-swap="a">{MARK}old</a>
  </nav>
</main>""",
        "swap_safety",
        frames=A,
        shown="document.body.textContent.trim() == 'new'",
    ),
    two(
        "an outer swap around a block inside its element",
        f"""
{CONNECT}
  <p id="a" sse-swap="a" hx-target="this" hx-swap="outerHTML">{MARK}{{% block a %}}{{{{ x }}}}{{% endblock %}}</p>
</main>""",
        "swap_safety",
        frames=A,
        shown="!document.querySelector('#a')",
    ),
    two(
        "an inner swap of a block around its element",
        f"""
{CONNECT}
  {{% block a %}}
  <p id="a" sse-swap="a">{MARK}{{{{ x }}}}</p>
  {{% endblock %}}
</main>""",
        "swap_safety",
        frames="event: a\ndata: <p id='a' sse-swap='a'>new</p>\n\n",
        shown="document.querySelectorAll('#a').length == 2",
    ),
    two(
        "a morph of an element with sse-swap",
        f"""
{MORPH}<main hx-ext="sse, morph" sse-connect="/stream">
  <p id="a" sse-swap="a" hx-target="this" hx-swap="morph">{MARK}old</p>
</main>""",
        "swap_morph",
        frames="retry: 50\nevent: a\ndata: <p id='a' sse-swap='a' hx-target='this' hx-swap='morph'>new</p>\n\n",
        again=True,
        shown="messages > requests + 1",
    ),
    two(
        "a morph inside of an element with sse-swap",
        f"""
{MORPH}<main hx-ext="sse, morph" sse-connect="/stream">
  <p id="a" sse-swap="a" hx-target="this" hx-swap="morph:innerHTML">{MARK}old</p>
</main>""",
        "swap_morph",
        frames="event: a\ndata: bare text <b>bold</b>\n\n",
        shown="document.querySelector('#a b') && !" + text("#a") + ".includes('bare')",
    ),
    two(
        "a connect element without the extension",
        f"""
<main sse-connect="/stream">{MARK}
  <p id="a" sse-swap="a">old</p>
</main>""",
        "sse_dialect",
        "error",
        frames=A,
        shown="requests == 0",
    ),
    two(
        "a connect element of htmx 4",
        f"""
<main hx-ext="sse" hx-sse:connect="/stream">{MARK}<p>old</p></main>""",
        "sse_dialect",
        "error",
        frames=M,
        shown="requests == 0",
    ),
    two(
        "an event called error",
        f"""
{CONNECT}
  <p id="a" sse-swap="error">{MARK}old</p>
</main>""",
        "sse_event_name",
        "error",
        frames=A,
        shown="failures > 0",
    ),
    two(
        "an event called open",
        f"""
{CONNECT}
  <p id="a" sse-swap="open, a">{MARK}old</p>
</main>""",
        "sse_event_name",
        "error",
        frames=A,
        shown="failures > 0",
    ),
    two(
        "a closing event called error",
        f"""
<main hx-ext="sse" sse-connect="/stream" sse-close="error">{MARK}
  <p id="a" sse-swap="a">old</p>
</main>""",
        "sse_event_name",
        "error",
        frames="retry: 50\n" + A,
        shown=text("#a") + " == 'new' && requests == 1",
    ),
    two(
        "a closing event called message",
        f"""
<main hx-ext="sse" sse-connect="/stream" sse-close="message">{MARK}
  <p id="a" sse-swap="a">old</p>
</main>""",
        "sse_event_name",
        "error",
        frames="data: x\n\n" + A,
        shown=text("#a") + " == 'old' && requests == 1",
    ),
    two(
        "a request below an hx-select",
        f"""
<section hx-select="#whole">
  <form hx-post="/fragment" hx-target="#a">{MARK}<button>go</button></form>
  <p id="a">old</p>
</section>""",
        "select_inheritance",
        shown=text("#a") + " == ''",
    ),
    two(
        "a target that the page lacks",
        f"""
{CONNECT}
  <p id="a" sse-swap="a" hx-target="#aa" hx-swap="innerHTML">{MARK}old</p>
</main>""",
        "swap_target",
        "error",
        frames=A,
        shown=text("#a") + " == 'old'",
    ),
    two(
        "a connect element inside of what another one updates",
        f"""
{CONNECT}
  <div id="a" sse-swap="a" hx-target="this" hx-swap="innerHTML">
    <p sse-connect="/stream">{MARK}<i sse-swap="b" hx-target="this" hx-swap="innerHTML"></i></p>
  </div>
</main>""",
        "swap_target",
        "error",
        frames="event: a\ndata: <p sse-connect='/stream2'></p>\n\n" * 3,
        shown="requests >= 4",
    ),
    four(
        "sse-swap under htmx 4",
        f"""
<main hx-sse:connect="/stream" hx-swap="none">
  <p id="a" sse-swap="a">{MARK}old</p>
</main>""",
        "sse_dialect",
        "error",
        frames=A,
        shown=text("#a") + " == 'old' && requests >= 1",
    ),
    four(
        "an sse: trigger under htmx 4",
        f"""
<main hx-sse:connect="/stream" hx-swap="none">
  <p id="a" hx-get="/fragment" hx-trigger="sse:a">{MARK}old</p>
</main>""",
        "sse_dialect",
        "error",
        frames=A,
        shown=text("#a") + " == 'old' && requests >= 1",
    ),
    four(
        "hx-disinherit under htmx 4",
        f"""
<section hx-target:inherited="#elsewhere">
  <div hx-disinherit="hx-target">{MARK}
    <p><button hx-post="/fragment">go</button></p>
  </div>
  <p id="elsewhere">old</p>
</section>""",
        "sse_dialect",
        shown=text("#elsewhere") + " == 'answer'",
    ),
    four(
        "a target that is handed down under htmx 4",
        f"""
<section hx-target:inherited="#elsewhere">
  <main id="a" hx-sse:connect="/stream">{MARK}</main>
  <p id="elsewhere">old</p>
</section>""",
        "sse_scope",
        "error",
        frames=M,
        shown=text("#elsewhere") + " == 'new'",
    ),
    four(
        "a target that is handed down by the configuration under htmx 4",
        f"""
<section hx-target="#elsewhere">
  <main id="a" hx-sse:connect="/stream">{MARK}</main>
  <p id="elsewhere">old</p>
</section>""",
        "sse_scope",
        "error",
        head="""<meta name="htmx-config" content='{"implicitInheritance": true}'>""",
        frames=M,
        shown=text("#elsewhere") + " == 'new'",
    ),
    four(
        "hx-select on a stream under htmx 4",
        f"""
<main id="a" hx-sse:connect="/stream" hx-select="#whole">{MARK}old</main>""",
        "select_inheritance",
        frames=M,
        shown=text("#a") + " != 'new' && requests >= 1",
    ),
    four(
        "hx-select handed down under htmx 4",
        f"""
<section hx-select:inherited="#whole">
  <main id="a" hx-sse:connect="/stream">{MARK}old</main>
</section>""",
        "select_inheritance",
        frames=M,
        shown=text("#a") + " != 'new' && requests >= 1",
    ),
    four(
        "htmx 2's morph under htmx 4",
        f"""
<main id="a" hx-sse:connect="/stream" hx-swap="morph">{MARK}old</main>""",
        "sse_dialect",
        "error",
        frames=M,
        shown=text("#a") + " == 'old' && requests >= 1",
    ),
    four(
        "a closing event with the name of a click under htmx 4",
        f"""
<main hx-sse:connect="/stream" hx-sse:close="click" hx-swap="none" onclick="window.clicked = true">{MARK}</main>""",
        "sse_event_name",
        "error",
        frames="event: click\ndata: x\n\n",
        shown="window.clicked",
    ),
    four(
        "an id twice",
        f"""<div {{{{ live() }}}}></div><p id="a">{{% block a %}}{{{{ x }}}}{{% endblock %}}</p>
<i id="a">{MARK}old</i>""",
        "swap_target",
        "error",
        declare=True,
        frames=PARTIAL,
        shown=text("p") + " == 'new' && " + text("i") + " == 'new'",
    ),
    two(
        "a target that is there twice",
        f"""{CONNECT}<p sse-swap="a" hx-target="#a" hx-swap="innerHTML"></p></main>
<b id="a">old</b>
<i id="a">{MARK}old</i>""",
        "swap_target",
        "error",
        frames=A,
        shown=text("b") + " == 'new' && " + text("i") + " == 'old'",
    ),
    two(
        "a field in a live block",
        f"""{CONNECT}<div id="a" sse-swap="a">{{% block a %}}{{{{ x }}}}
<input name="q">{MARK}
{{% endblock %}}</div></main><script>document.querySelector("input").value = "typed"</script>""",
        "block_editable",
        frames="event: a\ndata: new<input name='q'>\n\n",
        shown="document.querySelector('#a').textContent.includes('new') && !document.querySelector('input').value",
    ),
    two(
        "a canvas in a live block",
        f"""{CONNECT}<div id="a" sse-swap="a">{{% block a %}}{{{{ x }}}}
<canvas>{MARK}</canvas>
{{% endblock %}}</div></main>{DRAW}""",
        "block_editable",
        frames="event: a\ndata: new<canvas></canvas>\n\n",
        shown=f"document.querySelector('#a').textContent.includes('new') && {DRAWN} == 0",
    ),
    four(
        "a contenteditable in a live block",
        f"""<div {{{{ live() }}}}></div><div id="a">{{% block a %}}{{{{ x }}}}
<p contenteditable>{MARK}</p>
{{% endblock %}}</div><script>document.querySelector("p").textContent = "typed"</script>""",
        "block_editable",
        declare=True,
        frames='data: <hx-partial hx-target="#a" hx-swap="innerMorph">new<p contenteditable></p></hx-partial>\n\n',
        shown="document.querySelector('#a').textContent.trim() == 'new'",
    ),
]
"""Faults that a browser shows."""

BLOCK = f"{CONNECT}\n"
BLOCKS = [
    Case("a template that does not parse", {"page": f"<html>\n{{% if %}}{MARK}</html>"}, "template", "error"),
    Case("a tag of no extension", {"page": f"<html>\n\n{{% carousel %}}{MARK}</html>"}, "template", "error"),
    Case("a filter that does not exist", {"page": f"<html>\n{{{{ x | shout }}}}{MARK}</html>"}, "template", "error"),
    Case("a parent that does not exist", {"page": f"{{# x #}}\n{{% extends 'base' %}}{MARK}"}, "template", "error"),
    Case("an include that does not exist", {"page": f"<html>\n{{% include 'none' %}}{MARK}"}, "template", "error"),
    Case(
        "a block of a name twice",
        {"page": f"<html>\n{{% block a %}}{{% endblock %}}\n{{% block a %}}{{% endblock %}}{MARK}"},
        "template",
        "error",
    ),
    Case(
        "a reference to a block that does not exist",
        {"page": "<html>{% block count %}{{ x }}{% endblock %}"},
        "reactive_block",
        "error",
        register=lambda _, index: index.register("x", BlockRef("page", "cuont")),
    ),
    Case(
        "a reference to a template that does not exist",
        {"page": "<html>{% block count %}{{ x }}{% endblock %}"},
        "reactive_block",
        "error",
        register=lambda _, index: index.register("x", BlockRef("pge", "count")),
    ),
    Case(
        "paths derived in a circle",
        {"page": "<html>"},
        "reactive_cycle",
        "warning",
        register=lambda _, index: derive(index, a="b", b="a"),
    ),
    Case(
        "an emitted path that nothing shows",
        {"page": "<html><p id=a>{% block a %}{{ tasks }}{% endblock %}</p>"},
        "reactive_paths",
        "warning",
        register=block_a,
        data={"reactive_emitted_paths": {"taskz"}},
    ),
    Case(
        "an audience in a scope whose streams know no user",
        {"page": "<html>"},
        "reactive_audience",
        "warning",
        data={"reactive_audience_scopes": {"board:{id}"}, "reactive_connection_scopes": {"room:{id}"}},
    ),
    two(
        "an event that no block sends",
        f"""{CONNECT}
<p id="a" sse-swap="a">{{% block a %}}{{{{ x }}}}{{% endblock %}}</p>
<p id="b" sse-swap="aa">{MARK}</p></main>""",
        "sse_crossref",
        register=by_swaps,
    ),
    two(
        "a live block that reads a loop's variable",
        f"""{CONNECT}{{% for t in ts %}}
<p sse-swap="a">{{% block a scoped %}}{MARK}{{{{ t }}}}{{% endblock %}}</p>
{{% endfor %}}</main>""",
        "block_alone",
        "error",
    ),
    two(
        "a registered block without an element",
        f"""<p>
{{% block a %}}{MARK}{{{{ x }}}}{{% endblock %}}</p>""",
        "block_target",
        register=block_a,
    ),
    two(
        "a live page without autoescaping",
        f"""{CONNECT}<p id="a" sse-swap="a">{{% block a %}}{{{{ x }}}}{{% endblock %}}</p></main>""",
        "autoescape",
        autoescape=False,
    ),
    two(
        "a block whose include is known only when it runs",
        f"""{CONNECT}<p id="a" sse-swap="a">
{{% block a %}}{MARK}{{% include x %}}{{% endblock %}}</p></main>""",
        "block_unknown",
        "info",
    ),
    Case(
        "partials for an htmx that drops them",
        {
            "page": f"<html>\n<script src='/htmx.org@2.0.10'></script>{MARK}<div {{{{ live() }}}}></div>"
            "<p id=a>{% block a %}{{ x }}{% endblock %}</p>"
        },
        "sse_dialect",
        "error",
        declare=True,
    ),
    four(
        "an id in a loop",
        f"""<div {{{{ live() }}}}></div>{{% for t in ts %}}
<p id="a">{MARK}{{% block a %}}{{{{ x }}}}{{% endblock %}}</p>{{% endfor %}}""",
        "swap_target",
        declare=True,
    ),
    Case(
        "a viewer's name in a shared page",
        {"page": f"<html><p id=a>\n{{% block a %}}{MARK}{{{{ user.name }}}}{{% endblock %}}</p>"},
        "viewer_name",
        "error",
        declare=True,
        shared=True,
    ),
]
"""Faults of blocks, templates and declarations."""

FAULTS = MARKUP + BLOCKS

OWN = 'hx-target="this" hx-swap="innerHTML"'
SOUND = [
    two(
        "the broad target in another branch",
        f"""
{{% if wide %}}<section hx-target="#elsewhere"><p>text</p></section>
{{% else %}}{CONNECT}<p id="a" sse-swap="a">old</p></main>{{% endif %}}<p id="elsewhere"></p>""",
    ),
    two(
        "commented-out markup",
        f"""
<!-- <section hx-target="#elsewhere"> <p id="a" sse-swap="error"> -->
{{# <p id="a" sse-swap="open"> #}}
{CONNECT}<p id="a" sse-swap="a">old</p></main>""",
        frames=A,
        shown=text("#a") + " == 'new'",
    ),
    two(
        "a > in an attribute",
        f"""
<section title="a > b hx-target='#elsewhere' >"></section>
{CONNECT}<p id="a" data-x="1 > 0" sse-swap="a">old</p></main>""",
        frames=A,
        shown=text("#a") + " == 'new'",
    ),
    two(
        "a script that writes markup",
        f"""
<script>const template = '<div hx-target="#elsewhere"><p sse-swap="error">'</script>
{CONNECT}<p id="a" sse-swap="a">old</p></main>""",
        frames=A,
        shown=text("#a") + " == 'new'",
    ),
    two(
        "markup in a template element",
        f"""
<template><p sse-swap="error"></p><section hx-target="#elsewhere"><p sse-swap="a"></p></section></template>
{CONNECT}<p id="a" sse-swap="a">old</p></main>""",
        frames=A,
        shown=text("#a") + " == 'new' && failures == 0",
    ),
    two(
        "a broad target that a sibling has",
        f"""
<section hx-target="#elsewhere"><section hx-target="#elsewhere"></section></section>
{CONNECT}<p id="a" sse-swap="a">old</p></main><p id="elsewhere">old</p>""",
        frames=A,
        shown=text("#a") + " == 'new' && " + text("#elsewhere") + " == 'old'",
    ),
    two(
        "a broad target, and a connect element that disinherits",
        """
<section hx-target="#elsewhere" hx-swap="beforeend">
  <main hx-ext="sse" sse-connect="/stream" hx-disinherit="hx-target hx-swap"><p id="a" sse-swap="a">old</p></main>
  <p id="elsewhere">old</p>
</section>""",
        frames=A,
        shown=text("#a") + " == 'new' && " + text("#elsewhere") + " == 'old'",
    ),
    two(
        "a broad target, and a connect element that disinherits all",
        """
<section hx-target="#elsewhere" hx-swap="beforeend">
  <main hx-ext="sse" sse-connect="/stream" hx-disinherit="*"><p id="a" sse-swap="a">old</p></main>
</section>""",
        frames=A,
        shown=text("#a") + " == 'new'",
    ),
    two(
        "a broad target, and elements with their own",
        f"""
<section hx-target="#elsewhere" hx-swap="beforeend">
  {CONNECT}<p id="a" sse-swap="a" {OWN}>old</p></main>
</section>""",
        frames=A,
        shown=text("#a") + " == 'new'",
    ),
    two(
        "a broad target that is the element itself",
        f"""
<section hx-target="#a">{CONNECT}<p id="a" sse-swap="a">old</p></main></section>""",
        frames=A,
        shown=text("#a") + " == 'new'",
    ),
    two(
        "a broad target where the configuration disables inheritance",
        f"""
<section hx-target="#elsewhere" hx-swap="beforeend">{CONNECT}<p id="a" sse-swap="a">old</p></main></section>""",
        head="""<meta name="htmx-config" content='{"disableInheritance": true}'>""",
        frames=A,
        shown=text("#a") + " == 'new'",
    ),
    two(
        "an sse-swap on the connect element that holds nothing else",
        """
<p id="a" hx-ext="sse" sse-connect="/stream" sse-swap="a">old</p>""",
        frames=A,
        shown=text("#a") + " == 'new'",
    ),
    two(
        "the sink for both versions under htmx 2, below everything that could disturb it",
        f"""
<section hx-target="#elsewhere" hx-swap="beforeend" hx-select="#whole"><div {SINK}></div><p id="a">old</p></section>""",
        frames=PARTIAL,
        shown=text("#a") + " == 'new'",
    ),
    four(
        "the sink for both versions under htmx 4, below everything that could disturb it",
        f"""
<section hx-target:inherited="#elsewhere" hx-select:inherited="#whole"><div {SINK}></div><p id="a">old</p></section>""",
        frames=PARTIAL,
        shown=text("#a") + " == 'new'",
    ),
    four(
        "plain attributes above a stream under htmx 4",
        """
<section hx-target="#elsewhere" hx-swap="beforeend" hx-select="#whole">
  <main id="a" hx-sse:connect="/stream">old</main><p id="elsewhere">old</p>
</section>""",
        frames=M,
        shown=text("#a") + " == 'new'",
    ),
    two(
        "an outer swap of a block around its element",
        f"""
{CONNECT}
{{% block a %}}<p id="a" sse-swap="a" hx-target="this" hx-swap="outerHTML">{{{{ x }}}}</p>{{% endblock %}}</main>""",
        frames="event: a\ndata: <p id='a'>new</p>\n\n",
        shown="document.querySelectorAll('#a').length == 1 && " + text("#a") + " == 'new'",
    ),
    two(
        "a log that grows",
        f"""
{CONNECT}<ol id="a" sse-swap="a" hx-target="this" hx-swap="beforeend"><li>old</li></ol></main>""",
        frames="event: a\ndata: <li>new</li>\n\n",
        shown="document.querySelectorAll('#a li').length == 2",
    ),
    two(
        "an hx-select above a stream",
        f"""
<section hx-select="#whole">{CONNECT}<p id="a" sse-swap="a">old</p></main></section>""",
        frames=A,
        shown=text("#a") + " == 'new'",
    ),
    two(
        "a form whose own hx-select is unset",
        """
<section hx-select="#whole"><form hx-post="/fragment" hx-select="unset" hx-target="#a"><button>go</button></form>
<p id="a">old</p></section>""",
        shown=text("#a") + " == 'answer'",
    ),
    two(
        "whole pages of which one part is shown",
        """
<section hx-boost="true" hx-select="#whole" hx-target="#whole"><form hx-post="/page"><button>go</button></form>
<p id="whole">old</p></section>""",
    ),
    two(
        "morph on an element with sse-swap, without the extension that knows it",
        f"""
{CONNECT}<p id="a" sse-swap="a" hx-target="this" hx-swap="morph">old</p></main>""",
        frames=A,
        shown=text("#a") + " == 'new'",
    ),
    two(
        "an id in either branch",
        f"""
{CONNECT}{{% if x %}}<p id="a" sse-swap="b" hx-target="#a">old</p>{{% else %}}<p id="a"></p>{{% endif %}}</main>""",
    ),
    two(
        "attributes that an expression adds",
        f"""
<section hx-target="#elsewhere">{CONNECT}<p sse-swap="a" {{{{ attributes }}}}>old</p></main></section>
<main {{{{ connect }}}}><p sse-swap="b"></p></main>""",
    ),
    two(
        "a connect element that a macro makes",
        """
{% macro stream() %}<main hx-ext="sse" sse-connect="/stream">{{ caller() }}</main>{% endmacro %}
{% call stream() %}<p id="a" sse-swap="a">old</p>{% endcall %}""",
    ),
    two(
        "an extension that a macro puts around",
        """
{% macro live_part() %}<div hx-ext="sse">{{ caller() }}</div>{% endmacro %}
{% call live_part() %}<main sse-connect="/stream"><p id="a" sse-swap="a">old</p></main>{% endcall %}""",
        frames=A,
        shown=text("#a") + " == 'new'",
    ),
    two(
        "fields that nobody types into, in a live block",
        f"""
{CONNECT}<div id="a" sse-swap="a">{{% block a %}}{{{{ x }}}}<input type="hidden"><input type="checkbox"><button>b
</button><input readonly><input hx-preserve id="k">{{% endblock %}}</div></main>""",
    ),
    two(
        "a field in a block that nothing changes",
        f"""
{CONNECT}<div id="a" sse-swap="a">{{% block a %}}<input name="q">{{% endblock %}}</div></main>""",
    ),
    four(
        "a field and a drawing in a block that is morphed",
        f"""
<div {{{{ live() }}}}></div><div id="a">{{% block a %}}<b>{{{{ x }}}}</b>
<input name="q"><canvas></canvas>{{% endblock %}}</div>
<script>document.querySelector("input").value = "typed"</script>{DRAW}""",
        declare=True,
        frames='data: <hx-partial hx-target="#a" hx-swap="innerMorph"><b>new</b><input name="q"><canvas></canvas>'
        "</hx-partial>\n\n",
        shown=text("b") + f" == 'new' && document.querySelector('input').value == 'typed' && {DRAWN} == 255",
    ),
    two(
        "a field that is preserved",
        f"""{CONNECT}
<div id="a" sse-swap="a">{{% block a %}}<b>{{{{ x }}}}</b><input id="q" hx-preserve>{{% endblock %}}</div></main>
<script>document.querySelector("input").value = "typed"</script>""",
        frames="event: a\ndata: <b>new</b><input id='q' hx-preserve>\n\n",
        shown=text("b") + " == 'new' && document.querySelector('input').value == 'typed'",
    ),
    Case(
        "emitted paths above and below what is shown, and a derivation from a parent",
        {"page": "<html><p id=a>{% block a %}{{ doc.title }}{{ doc.stats }}{% endblock %}</p>"},
        register=lambda env, index: (block_a(env, index), derive(index, **{"doc.stats": "doc"})),
        data={"reactive_emitted_paths": {"doc", "doc.title.text", "*"}},
    ),
    Case(
        "an ignored element",
        {"page": page_2(CONNECT + '\n{# reactive: ignore sse_event_name #}\n<p sse-swap="error"></p></main>')},
    ),
    Case(
        "autoescape in the template itself",
        {
            "page": page_2(
                "{% autoescape true %}"
                + CONNECT
                + '<p id="a" sse-swap="a">{% block a %}{{ x }}{% endblock %}</p></main>{% endautoescape %}'
            )
        },
        autoescape=False,
    ),
    Case("an include that may be missing", {"page": "<html>{% include 'none' ignore missing %}"}),
]
"""Templates that look suspicious and are right."""
