"""Templates that look suspicious and are correct."""

from __future__ import annotations

from .cases import (
    CONNECT,
    DRAW,
    DRAWN,
    LIVE_SCRIPT,
    OWN,
    PARTIAL,
    SINK,
    A,
    Case,
    M,
    block_a,
    derive,
    four,
    page_2,
    text,
    two,
)
from .client_faults import CLIENT_SOUND
from .liveness_cases import LIVENESS_SOUND
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

LIST = '<ul id="items">{% block items %}{% for each in items %}<li>{{ each }}</li>{% endfor %}{% endblock %}</ul>'
SEARCH = f'{LIST}<form hx-get="/items" hx-target="#items"><input name="q"></form>'

SOUND += [
    two(
        "what is appended beside a live block",
        f'{LIST}<ul id="more"><li hx-get="/more" hx-target="#items" hx-swap="afterend"></li></ul>',
        declare=True,
    ),
    two(
        "what is appended beside the element of a live block",
        """{% block a %}<p id="a" hx-get="/more" hx-swap="afterend">{{ x }}</p>{% endblock %}""",
        declare=True,
    ),
    two(
        "a list that a request appends to outside of live blocks",
        f'{LIST}<ul id="log"><li hx-get="/more" hx-target="#log" hx-swap="beforeend"></li></ul>',
        declare=True,
    ),
    two(
        "a form whose answer is appended to a live block, and comes with the next update too",
        f'{LIST}<form hx-post="/items" hx-target="#items" hx-swap="beforeend"><input name="name"></form>',
        declare=True,
    ),
    two(
        "a target or a style that an expression writes",
        f"""{LIST}<i hx-get="/more?x=1" hx-target="{{{{ t }}}}" hx-swap="beforeend"></i>
<i hx-get="/more?x=1" hx-target="#items" hx-swap="{{{{ s }}}}"></i>
<i hx-get="/more?x=1" hx-target="#items" {{{{ attributes }}}}></i>""".replace("#items", "closest ul"),
        declare=True,
    ),
    two(
        "a block that is not live",
        '<ul id="items">{% block items %}<li>One</li>{% endblock %}</ul><i hx-get="/m" hx-target="#items" '
        'hx-swap="beforeend"></i>',
        declare=True,
    ),
    two("a page that is not live and has a search form", SEARCH),
    Case("a search form with the live script", {"page": f"{LIVE_SCRIPT}{SEARCH}"}, declare=True),
    two(
        "requests for the page's own query, and for another place",
        f"""{LIST}<i hx-get="/items" hx-target="#items"></i><i hx-get="/items?x=1" hx-target="#other"></i>
<i hx-get="/x?y=1" hx-target="#items" hx-swap="none"></i><div id="other"></div>
<form hx-get="/items" hx-target="#items"><button>Again</button></form>""",
        declare=True,
    ),
    two(
        "a token outside of live blocks, and one that is kept",
        f"""{LIST}<form hx-headers='{{"X-CSRF-Token": "{{{{ csrf_token }}}}"}}'>
<input type="hidden" name="csrf_token" value="{{{{ csrf_token }}}}"></form>
<div id="a">{{% block a %}}{{{{ x }}}}
<input type="hidden" id="t" name="csrf_token" hx-preserve value="{{{{ csrf_token }}}}">{{% endblock %}}</div>""",
        declare=True,
    ),
    two(
        "names that only resemble those of tokens",
        """<div id="a">{% block a %}{{ x.csrf_enabled }}{{ tokens }}{{ csrf_token_count }}
<input type="hidden" name="csrf" value="none">{% endblock %}</div>""",
        declare=True,
    ),
    Case(
        "an old htmx with the live script",
        {
            "page": '<html><head><script src="/htmx-2.0.4/htmx.min.js"></script>{{ live_scripts() }}</head><body>'
            f"{LIST}</body></html>"
        },
        declare=True,
    ),
    Case(
        "the live script keeps what is typed",
        {"page": f'{LIVE_SCRIPT}<div id="a">{{% block a %}}{{{{ x }}}}<input name="q">{{% endblock %}}</div>'},
        declare=True,
    ),
]
SOUND += MACRO_SOUND + LIVENESS_SOUND + CLIENT_SOUND
SOUND += [
    two(
        "a scope whose field has another name where it is emitted",
        '<p id="a">{% block a %}{{ x }}{% endblock %}</p>',
        declare=True,
        data={"reactive_emitted_scopes": {"room:{room.id}"}},
    )
]
