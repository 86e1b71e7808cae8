"""Faults of connecting and swapping with htmx 2 that are visible in a browser."""

from __future__ import annotations

from .cases import CONNECT, MARK, MORPH, PARTIAL, A, Case, M, text, two

HTMX_2_FAULTS = [
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
      hx-swap="outerHTML"><!--!--></main>""",
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
        "an element that listens outside the connect element",
        f"""
<main hx-ext="sse" sse-connect="/stream"><p sse-swap="b"></p></main>
<p id="a" sse-swap="a">old</p>{MARK}""",
        "sse_scope",
        "error",
        frames=A,
        shown=text("#a") + " == 'old'",
    ),
    two(
        "a swap style from above, with its own target",
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
        "a morph inside an element with sse-swap",
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
        "a target of another element on the connect element itself",
        f"""
<main hx-ext="sse" sse-connect="/stream"
      hx-target="#elsewhere">{MARK}
  <p id="a" sse-swap="a">old</p>
</main>
<p id="elsewhere">old</p>""",
        "sse_scope",
        "error",
        frames=A,
        shown=text("#elsewhere") + " == 'new' && " + text("#a") + " == 'old'",
    ),
    two(
        "a broad target that hx-inherit passes on where the configuration disables inheritance",
        f"""
<section hx-inherit="hx-target" hx-target="#elsewhere">
  <main hx-ext="sse" sse-connect="/stream">{MARK}
    <p id="a" sse-swap="a">old</p>
  </main>
  <p id="elsewhere">old</p>
</section>""",
        "sse_scope",
        "error",
        head="""<meta name="htmx-config" content='{"disableInheritance": true}'>""",
        frames=A,
        shown=text("#elsewhere") + " == 'new'",
    ),
    two(
        "a connect element that replaces itself because of the configuration",
        """
<main id="m" hx-ext="sse" sse-connect="/stream"
      sse-swap="a"><!--!--></main>""",
        "sse_self_swap",
        "error",
        head="""<meta name="htmx-config" content='{"defaultSwapStyle": "outerHTML"}'>""",
        frames=A,
        shown="!document.querySelector('#m')",
    ),
    two(
        "a boosted form",
        f"""
{CONNECT}
  <div hx-boost="true">
    <form id="a" action="/b"
          sse-swap="a">{MARK}old</form>
  </div>
</main>""",
        "swap_safety",
        frames=A,
        shown="document.body.textContent.trim() == 'new'",
    ),
    two(
        "a swap of delete from above",
        f"""
<section hx-swap="delete">
  {CONNECT}
    <p id="a" sse-swap="a" hx-target="this">{MARK}old</p>
  </main>
</section>""",
        "swap_safety",
        frames=A,
        shown="!document.querySelector('#a')",
    ),
    two(
        "an outer swap from above, around a block inside its element",
        f"""
<section hx-swap="outerHTML">
  {CONNECT}
    <p id="a" sse-swap="a">{MARK}{{% block a %}}{{{{ x }}}}{{% endblock %}}</p>
  </main>
</section>""",
        "swap_safety",
        frames=A,
        shown="!document.querySelector('#a')",
    ),
    two(
        "a closing event called open",
        f"""
<main hx-ext="sse" sse-connect="/stream"
      sse-close="open">{MARK}
  <p id="a" sse-swap="a">old</p>
</main>""",
        "sse_event_name",
        "error",
        frames="retry: 50\n" + A,
        shown=text("#a") + " == 'old' && requests == 1",
    ),
    Case(
        "partials for an htmx that drops them",
        {
            "page": f"""<html><head>
<script src="/htmx-2.0.10/htmx.min.js"></script>{MARK}
<script src="/htmx-ext-sse-2.2.4/sse.min.js"></script></head>
<body><div {{{{ live() }}}}></div><p id="a">{{% block a %}}{{{{ x }}}}{{% endblock %}}</p></body></html>"""
        },
        "sse_dialect",
        "error",
        declare=True,
        frames=PARTIAL,
        shown=text("#a") + " == 'old' && messages >= 1",
    ),
    two(
        "attributes on separate lines",
        f"""
<section
    class="wide"
    hx-target="#elsewhere">
  <main
      hx-ext="sse"
      sse-connect="/stream"
      hx-disinherit="hx-target,hx-swap">{MARK}
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
        "an event called error, on a separate line",
        f"""
{CONNECT}
  <p
     id="a"
     data-sse-swap="error"{MARK}
     class="b">old</p>
</main>""",
        "sse_event_name",
        "error",
        frames=A,
        shown="failures > 0",
    ),
]
