"""Faulty and correct templates whose markup comes from macros.

The line of the fault is that of the element in the macro, or of the page's element that the macro's markup surrounds.
"""

from __future__ import annotations

from .cases import CONNECT, MARK, PARTIAL, A, Case, by_swaps, page_2, text, two

__all__ = ["MACRO_FAULTS", "MACRO_SOUND"]


def parts(name: str, body: str, macros: str, category: str = "", severity: str = "error", **rest: object) -> Case:
    """Return a case of a page and a template of macros."""
    templates = {"page": page_2("{% import 'parts' as parts %}" + body), "parts": macros}
    return Case(name, templates, category, severity if category else "", **rest)  # type: ignore[arg-type]


MACRO_FAULTS = [
    two(
        "a broad target that a macro puts around",
        f"""
{{% macro panel(title) %}}
<section hx-target="#elsewhere"><h2>{{{{ title }}}}</h2>{{{{ caller() }}}}</section>
{{% endmacro %}}
{{% call panel("now") %}}
<main hx-ext="sse" sse-connect="/stream">{MARK}<p id="a" sse-swap="a">old</p></main>
{{% endcall %}}
<p id="elsewhere">old</p>""",
        "sse_scope",
        "error",
        frames=A,
        shown=text("#elsewhere") + " == 'new'",
    ),
    parts(
        "an event called error in an imported macro",
        CONNECT + "{{ parts.status('x') }}</main>",
        f"""
{{% macro status(name) %}}
<p class="{{{{ name }}}}"
   sse-swap="error">{MARK}</p>
{{% endmacro %}}""",
        "sse_event_name",
        frames=A,
        shown="failures > 0",
    ),
    parts(
        "a macro called outside the connect element",
        "{% call parts.stream() %}<b></b>{% endcall %}{{ parts.status() }}",
        f"""
{{% macro stream() %}}<main hx-ext="sse" sse-connect="/stream">{{{{ caller() }}}}</main>{{% endmacro %}}
{{% macro status() %}}<p id="a" sse-swap="a">{MARK}old</p>{{% endmacro %}}""",
        "sse_scope",
        frames=A,
        shown=text("#a") + " == 'old'",
    ),
    parts(
        "attributes that a macro writes",
        "<main {{ parts.stream('/stream') }}><p id='a' sse-swap='a'>old</p></main>",
        f"""
{{% macro stream(address) %}}
hx-ext="sse" sse-connect="{{{{ address }}}}"
sse-close="message"{MARK}
{{%- endmacro %}}""",
        "sse_event_name",
        frames="data: x\n\n" + A,
        shown=text("#a") + " == 'old' && requests == 1",
    ),
    parts(
        "a field that a macro puts into a live block",
        CONNECT
        + '<div id="a" sse-swap="a">{% block a %}{{ x }}{{ parts.field("q") | safe }}{% endblock %}</div></main>'
        '<script>document.querySelector("input").value = "typed"</script>',
        f"""
{{% macro field(name) %}}{{{{ input(name) }}}}{{% endmacro %}}
{{% macro input(name, kind="text") %}}
<input name="{{{{ name }}}}">{MARK}
{{% endmacro %}}""",
        "block_editable",
        "warning",
        frames="event: a\ndata: new<input name='q'>\n\n",
        shown="document.querySelector('#a').textContent.includes('new') && !document.querySelector('input').value",
    ),
    parts(
        "an id that a macro writes, called twice",
        CONNECT + '<p sse-swap="a" hx-target="#b" hx-swap="innerHTML"></p></main>{{ parts.box() }}{{ parts.box() }}',
        f"""
{{% macro box() %}}
<b id="b">{MARK}old</b>
{{% endmacro %}}""",
        "swap_target",
        frames=A,
        shown="[...document.querySelectorAll('#b')].map(each => each.textContent).join() == 'new,old'",
    ),
    parts(
        "an id in the body of a call block that its macro repeats",
        f"""{CONNECT}<p sse-swap="a" hx-target="#b" hx-swap="innerHTML"></p></main>
{{% call parts.each(ts) %}}
<b id="b">{MARK}old</b>
{{% endcall %}}""",
        "{% macro each(items) %}{% for item in items %}{{ caller() }}{% endfor %}{% endmacro %}",
        "swap_target",
        frames=A,
        shown="[...document.querySelectorAll('#b')].map(each => each.textContent).join() == 'new,old'",
    ),
    parts(
        "a target in one macro that another one within it inherits",
        "{% from 'parts' import page with context %}{{ page() }}",
        f"""
{{% macro status() %}}
<p id="a" sse-swap="a">{MARK}old</p>{{% endmacro %}}
{{% macro stream() %}}<main hx-ext="sse" sse-connect="/stream">{{{{ caller() }}}}</main>{{% endmacro %}}
{{% macro page() %}}
{{% call stream() %}}<div hx-target="#elsewhere">{{{{ status() if ts else "" }}}}</div>{{% endcall %}}
<p id="elsewhere">old</p>
{{% endmacro %}}""",
        "swap_safety",
        "warning",
        frames=A,
        shown=text("#elsewhere") + " == 'new'",
    ),
    parts(
        "an extension that is missing in nested call blocks of one macro",
        """
{% call parts.box() %}{% call parts.box() %}{{ parts.stream() }}{% endcall %}{% endcall %}""",
        f"""
{{% macro box() %}}<div>{{% if caller %}}{{{{ caller() }}}}{{% endif %}}</div>{{% endmacro %}}
{{% macro stream() %}}
<main sse-connect="/stream">{MARK}<p id="a" sse-swap="a">old</p></main>
{{% endmacro %}}""",
        "sse_dialect",
        frames=A,
        shown="requests == 0",
    ),
    Case(
        "a version of htmx that a macro loads",
        {
            "page": "{% from 'parts' import scripts %}<html><head>{{ scripts() }}</head><body>"
            "<div {{ live() }}></div><p id='a'>{% block a %}{{ x }}{% endblock %}</p></body></html>",
            "parts": f"""
{{% macro scripts() %}}
<script src="/htmx-2.0.10/htmx.min.js"></script>{MARK}
<script src="/htmx-ext-sse-2.2.4/sse.min.js"></script>
{{% endmacro %}}""",
        },
        "sse_dialect",
        "error",
        declare=True,
        frames=PARTIAL,
        shown=text("#a") + " == 'old' && messages >= 1",
    ),
]
"""Faults that are visible in a browser with htmx 2."""

SHOWN = text("#a") + " == 'new'"
MACRO_SOUND = [
    two(
        "a connect element that a macro makes",
        """
{% macro stream() %}<main hx-ext="sse" sse-connect="/stream">{{ caller() }}</main>{% endmacro %}
{% call stream() %}<p id="a" sse-swap="a">old</p>{% endcall %}""",
        frames=A,
        shown=SHOWN,
    ),
    two(
        "an extension that a macro puts around",
        """
{% macro live_part() %}<div hx-ext="sse">{{ caller() }}</div>{% endmacro %}
{% call live_part() %}<main sse-connect="/stream"><p id="a" sse-swap="a">old</p></main>{% endcall %}""",
        frames=A,
        shown=SHOWN,
    ),
    parts(
        "a macro with a broad target that is not called",
        CONNECT + '<p id="a" sse-swap="a">old</p></main>',
        """{% macro wide() %}
<section hx-target="#elsewhere">{{ caller() }}<p sse-swap="error"></p></section>{% endmacro %}""",
        frames=A,
        shown=SHOWN,
    ),
    parts(
        "a macro with a broad target beside the connect element",
        "{% call parts.wide() %}text{% endcall %}" + CONNECT + '<p id="a" sse-swap="a">old</p></main>',
        '{% macro wide() %}<section hx-target="#elsewhere">{{ caller() }}</section>{% endmacro %}',
        frames=A,
        shown=SHOWN,
    ),
    parts(
        "a target that is passed to a macro",
        "{% call parts.panel('#a') %}" + CONNECT + '<p id="a" sse-swap="a">old</p></main>{% endcall %}',
        '{% macro panel(target) %}<section hx-target="{{ target }}">{{ caller() }}</section>{% endmacro %}',
        frames=A,
        shown=SHOWN,
    ),
    parts(
        "a macro that disinherits the attributes above it",
        """
<section hx-target="#elsewhere">{% call parts.stream() %}<p id="a" sse-swap="a">old</p>{% endcall %}</section>""",
        """{% macro stream() %}
<main hx-ext="sse" sse-connect="/stream" hx-disinherit="hx-target hx-swap">{{ caller() }}</main>{% endmacro %}""",
        frames=A,
        shown=SHOWN,
    ),
    parts(
        "a call block whose content the macro stores before it shows it",
        "{% call parts.stream() %}<p id='a' sse-swap='a'>old</p>{% endcall %}",
        """{% macro stream() %}{% set body = caller() %}
<main hx-ext="sse" sse-connect="/stream">{{ body }}</main>{% endmacro %}""",
        frames=A,
        shown=SHOWN,
    ),
    parts(
        "an element that one macro opens and another one closes",
        "{{ parts.begin() }}<p id='a' sse-swap='a'>old</p>{{ parts.end() }}",
        """{% macro begin() %}<main hx-ext="sse" sse-connect="/stream">{% endmacro %}
{% macro end() %}</main>{% endmacro %}""",
        frames=A,
        shown=SHOWN,
    ),
    parts(
        "a macro that is either of two",
        "{% set around = parts.one if ts else parts.other %}"
        "{% call around() %}<p id='a' sse-swap='a'>old</p>{% endcall %}",
        """{% macro one() %}<main hx-ext="sse" sse-connect="/stream">{{ caller() }}</main>{% endmacro %}
{% macro other() %}<section>{{ caller() }}</section>{% endmacro %}""",
        frames=A,
        shown=SHOWN,
    ),
    parts(
        "a macro that calls itself",
        CONNECT + "{{ parts.tree(3) }}</main>",
        """{% macro tree(depth) %}
<ul hx-target="#elsewhere"><li>{{ depth }}{% if depth %}{{ tree(depth - 1) }}{% endif %}</li></ul>
{% if not depth %}<p id="a" sse-swap="a" hx-target="this" hx-swap="innerHTML">old</p>{% endif %}{% endmacro %}""",
        frames=A,
        shown=SHOWN,
    ),
    parts(
        "an id in either branch of a macro",
        CONNECT + '<p sse-swap="a" hx-target="#a" hx-swap="innerHTML"></p></main>{{ parts.box(x) }}',
        '{% macro box(wide) %}{% if wide %}<b id="a"></b>{% else %}<i id="a"></i>{% endif %}{% endmacro %}',
        frames=A,
        shown=SHOWN,
    ),
    parts(
        "an element of a macro with a comment that silences it",
        CONNECT + "{{ parts.status() }}</main>",
        """{% macro status() %}
{# reactive: ignore sse_event_name #}
<p
   sse-swap="error"></p>
{% endmacro %}""",
    ),
    two(
        "a live block whose element a macro makes around it",
        """
{% macro region() %}<p id="a" sse-swap="a">{{ caller() }}</p>{% endmacro %}"""
        + CONNECT
        + "{% call region() %}old{% endcall %}</main>",
        register=by_swaps,
        frames=A,
        shown=SHOWN,
    ),
    two(
        "the body of a call block that calls an unknown macro",
        """
{% call page.panel() %}<main sse-connect="/stream"><p id="a" sse-swap="a">old</p></main>
<p sse-swap="b"></p>{% endcall %}""",
    ),
]
"""Templates that look suspicious and are correct."""
