"""Templates that look suspicious and are correct."""

from __future__ import annotations

from .cases import CONNECT, DRAW, DRAWN, OWN, PARTIAL, SINK, A, Case, M, block_a, derive, four, page_2, text, two
from .macro_cases import MACRO_SOUND

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
        "a broad target on a sibling",
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
        "an sse-swap on a connect element without other content",
        """
<p id="a" hx-ext="sse" sse-connect="/stream" sse-swap="a">old</p>""",
        frames=A,
        shown=text("#a") + " == 'new'",
    ),
    two(
        "the sink for both versions under htmx 2, below attributes that could break it",
        f"""
<section hx-target="#elsewhere" hx-swap="beforeend" hx-select="#whole"><div {SINK}></div><p id="a">old</p></section>""",
        frames=PARTIAL,
        shown=text("#a") + " == 'new'",
    ),
    four(
        "the sink for both versions under htmx 4, below attributes that could break it",
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
        "requests that fetch whole pages and show one part",
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
        "fields that users do not type into, in a live block",
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

SOUND += MACRO_SOUND
