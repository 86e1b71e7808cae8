"""Faults of the updated element and its content that are visible in a browser with htmx 2."""

from __future__ import annotations

from .cases import CONNECT, DRAW, DRAWN, MARK, PARTIAL, A, block_a, by_swaps, text, two

TARGET_FAULTS = [
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
        "a connect element inside an element that another one updates",
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
    two(
        "a target that occurs twice",
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
    two(
        "a target in a loop",
        f"""
{CONNECT}<p sse-swap="a" hx-target="#b" hx-swap="innerHTML"></p></main>
{{% for t in ts %}}
<b id="b">{MARK}old</b>
{{% endfor %}}""",
        "swap_target",
        "error",
        frames=A,
        shown="[...document.querySelectorAll('#b')].map(each => each.textContent).join() == 'new,old'",
    ),
    two(
        "an id twice under htmx 2",
        f"""<div {{{{ live() }}}}></div><p id="a">{{% block a %}}{{{{ x }}}}{{% endblock %}}</p>
<i id="a">{MARK}old</i>""",
        "swap_target",
        "error",
        declare=True,
        frames=PARTIAL,
        shown=text("p") + " == 'new' && " + text("i") + " == 'new'",
    ),
    two(
        "a connect element inside a live block",
        f"""<div {{{{ live() }}}}></div><div id="a">{{% block a %}}{{{{ x }}}}
<p hx-ext="sse" sse-connect="/stream/2">{MARK}<i sse-swap="b"></i></p>
{{% endblock %}}</div>""",
        "swap_target",
        "error",
        declare=True,
        frames='data: <hx-partial hx-target="#a"><p hx-ext="sse" sse-connect="/stream/2"></p></hx-partial>\n\n' * 3,
        shown="requests >= 4",
    ),
    two(
        "a registered block without an element",
        f"""<p>
{{% block a %}}{MARK}{{{{ x }}}}{{% endblock %}}</p>{CONNECT}</main>""",
        "block_target",
        register=block_a,
        frames=A,
        shown=text("p") + " == 'old' && requests >= 1",
    ),
    two(
        "a contenteditable in a live block under htmx 2",
        f"""{CONNECT}<div id="a" sse-swap="a">{{% block a %}}{{{{ x }}}}
<p
   contenteditable="plaintext-only">{MARK}</p>
{{% endblock %}}</div></main><script>document.querySelector("p").textContent = "typed"</script>""",
        "block_editable",
        frames="event: a\ndata: new<p contenteditable='plaintext-only'></p>\n\n",
        shown=text("#a") + " == 'new'",
    ),
    two(
        "a text area in a live block of a declared page under htmx 2",
        f"""<div {{{{ live() }}}}></div><div id="a">{{% block a %}}{{{{ x }}}}
<textarea name="q">{MARK}</textarea>
{{% endblock %}}</div><script>document.querySelector("textarea").value = "typed"</script>""",
        "block_editable",
        declare=True,
        frames='data: <hx-partial hx-target="#a" hx-swap="innerMorph">new<textarea></textarea></hx-partial>\n\n',
        shown="document.querySelector('#a').textContent.includes('new') && !document.querySelector('textarea').value",
    ),
    two(
        "an event that no block sends",
        f"""{CONNECT}
<p id="a" sse-swap="a">{{% block a %}}{{{{ x }}}}{{% endblock %}}</p>
<p id="b"
   sse-swap="aa">{MARK}old</p></main>""",
        "sse_crossref",
        register=by_swaps,
        frames=A,
        shown=text("#a") + " == 'new' && " + text("#b") + " == 'old'",
    ),
]
