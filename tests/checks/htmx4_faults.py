"""Faults of markup with htmx 4 that are visible in a browser."""

from __future__ import annotations

from .cases import MARK, PARTIAL, A, M, four, text

HTMX_4_FAULTS = [
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
        "an inherited target under htmx 4",
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
        "a target that is inherited because of the configuration under htmx 4",
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
        "an inherited hx-select under htmx 4",
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
    four(
        "an id in a loop",
        f"""<div {{{{ live() }}}}></div>{{% for t in ts %}}
<p id="a">{MARK}{{% block a %}}{{{{ x }}}}{{% endblock %}}</p>{{% endfor %}}
<i id="b">{{% block b %}}{{{{ x }}}}{{% endblock %}}</i>""",
        "swap_target",
        declare=True,
        frames=PARTIAL,
        shown="[...document.querySelectorAll('#a')].map(each => each.textContent).join() == 'new,new'",
    ),
    four(
        "a closing event with the name of a click, by the attribute's older name, under htmx 4",
        f"""
<main sse-connect="/stream" hx-swap="none" onclick="window.clicked = true"
      sse-close="click">{MARK}</main>""",
        "sse_event_name",
        "error",
        frames="event: click\ndata: x\n\n",
        shown="window.clicked",
    ),
]
