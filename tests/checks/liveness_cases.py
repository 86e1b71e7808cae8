"""Pages under ``@reactive.page``: blocks that are not live or only with the live script, and correct pages."""

from __future__ import annotations

from .cases import HTMX_2, HTMX_4, LIVE_SCRIPT, MARK, Case

NL = "\n"
SINK = "<div {{ live() }}></div>"
MARKED_SINK = f"<div {{{{ live() }}}}>{MARK}</div>"
LIVE = '<p id="live">{% block live %}{{ other }}{% endblock %}</p>'
START_2 = f"<!doctype html><html><head>{HTMX_2}</head><body>"
START_4 = f"<!doctype html><html><head>{HTMX_4}</head><body>"


def page(name: str, body: str, category: str = "", severity: str = "", *, start: str = START_2, **rest: object) -> Case:
    """Return a case of a page with a live block beside what the case is about."""
    return Case(name, {"page": f"{start}{LIVE}{body}{SINK}</body></html>"}, category, severity, declare=True, **rest)  # type: ignore[arg-type]


def block(content: str) -> str:
    """Return a block that shows a value."""
    return f"{{% block x %}}{content}{{{{ x }}}}{{% endblock %}}"


def markup(name: str, body: str) -> Case:
    """Return a case of an element that no update can build, with the live script or without."""
    return page(name, body, "block_markup", "error", start=LIVE_SCRIPT)


MARKUP = [
    markup("a block that closes its paragraph", f'<p id="x">\n{block(f"<ul>{MARK}<li>a</li></ul>")}</p>'),
    markup("a block in a paragraph further out", f'<p>\n<b id="x">{block(f"<div>{MARK}</div>")}</b></p>'),
    markup("a paragraph in a table", f'<table id="x">{block(f"{NL}<p>{MARK}none</p>")}</table>'),
    markup("text in a table", f'<table>\n<tbody id="x">{MARK}{block("none")}</tbody></table>'),
    markup("a form in a form", f'<form>\n<div id="x">{block(f"<form>{MARK}<input></form>")}</div></form>'),
    markup("a link in a link", f'<a href="/">{MARK}<div id="x">{block("<a>a</a>")}</div></a>'),
    markup("a button in a button", f'<button><span id="x">{block(f"{NL}<button>{MARK}</button>")}</span></button>'),
    markup("a cell without a table", f'\n<td id="x">{MARK}{block("")}</td>'),
    markup("a formatting element that is not closed", f'<div id="x">{block(f"{NL}<b>{MARK}")}</div>text'),
    markup("an element in a template", f'<template>\n<p id="x">{MARK}{block("")}</p></template>'),
    markup("an end tag that closes the block's element", f'<div>\n<p id="x">{MARK}{block("</div>")}</p>text'),
    markup(
        "a list item in an alternative",
        f'<ul><li id="x">{{% block x %}}{{% if x %}}a{{% else %}}\n<li>{MARK}b{{% endif %}}{{% endblock %}}</ul>',
    ),
    Case(
        "a block that closes its paragraph, with a stream of its own",
        {
            "page": f'{START_2}<main hx-ext="sse" sse-connect="/stream"><p id="x" sse-swap="x">\n'
            f"{block(f'<hr>{MARK}')}</p></main></body></html>"
        },
        "block_markup",
        "error",
    ),
    Case(
        "a block around the body",
        {
            "page": f"<!doctype html><html><head>{HTMX_2}</head>\n{{% block x %}}{MARK}"
            f'<body id="x">{{{{ x }}}}{SINK}</body>{{% endblock %}}</html>'
        },
        "no_live_block",
        "error",
        declare=True,
    ),
]
"""Elements that the HTML parser builds in another way than their templates say."""

NOT_LIVE = [
    Case(
        "a page that never calls live()",
        {"page": f'{START_2}{LIVE}<p id="x">{{% block x %}}{{{{ x }}}}{{% endblock %}}</p></body></html>'},
        "not_connected",
        "error",
        declare=True,
    ),
    page(
        "an element that is shown under a condition, in a block",
        f'\n{{% block x %}}{MARK}{{% if n %}}<p id="x">{{{{ x }}}}</p>{{% endif %}}{{% endblock %}}',
        "block_not_live",
        "warning",
    ),
    page(
        "a block in an element that is shown under a condition",
        f'{{% if n %}}<p id="x">\n{{% block x %}}{MARK}{{{{ x }}}}{{% endblock %}}</p>{{% endif %}}',
        "block_not_live",
        "warning",
    ),
    page(
        "a block with two roots",
        f'\n{{% block x %}}{MARK}<p id="x">{{{{ x }}}}</p><p>{{{{ y }}}}</p>{{% endblock %}}',
        "block_not_live",
        "warning",
    ),
    page(
        "an id that depends on a value",
        f'<p id="x{{{{ n }}}}">\n{{% block x %}}{MARK}{{{{ x }}}}{{% endblock %}}</p>',
        "block_not_live",
        "warning",
    ),
    Case(
        "a block that contains the element with live()",
        {"page": f'{START_2}{LIVE}<main id="x">\n{{% block x %}}{MARK}{{{{ x }}}}{SINK}{{% endblock %}}</main>'},
        "block_not_live",
        "warning",
        declare=True,
    ),
    *(
        Case(name, {"page": f"{START_2}{body}\n{MARKED_SINK}"}, "no_live_block", "error", declare=True)
        for name, body in (
            ("a page without blocks", "<p>text</p>"),
            ("a page whose blocks show no values", '<p id="x">{% block x %}text{% endblock %}</p>'),
            ("a page whose block has no element", block("text")),
            ("a page whose block is in an element without an id", f"<p>{block('')}</p>"),
            ("a page whose block closes its element", f'<p id="x">{block("<hr>")}</p>'),
            ("a page whose blocks are in a loop", f'{{% for n in ns %}}<p class="x">{block("")}</p>{{% endfor %}}'),
        )
    ),
    Case(
        "a page without a live block, with live() in its parent",
        {
            "base": f"{START_2}{{% block content %}}{{% endblock %}}\n<div {{{{ live() }}}}>{MARK}</div></body></html>",
            "page": "{% extends 'base' %}{% block content %}{{ x }}{% endblock %}",
        },
        "no_live_block",
        "error",
        declare=True,
    ),
]
"""Blocks that are not live."""


def script(name: str, body: str, **rest: object) -> Case:
    """Return a case of what only the live script updates as a reload shows it."""
    return page(name, body, "live_script_needed", "warning", **rest)  # type: ignore[arg-type]


SCRIPT = [
    script("a part of an SVG", f'<svg>\n<g id="x">{MARK}{block("")}</g></svg>'),
    script("an SVG around its block", f'\n<svg id="x">{MARK}{block("")}</svg>'),
    script(
        "a block around a part of an SVG",
        f'<svg>\n{{% block x %}}<g id="x">{MARK}{{{{ x }}}}</g>{{% endblock %}}</svg>',
    ),
    script("a part of MathML", f'<math>\n<mi id="x">{MARK}{block("")}</mi></math>', start=START_4),
    script("a template around its block", f'\n<template id="x">{MARK}{block("<p></p>")}</template>'),
    script("a line break at the beginning", f'\n<pre id="x">{MARK}{block(NL)}</pre>'),
    script(
        "rows without a tbody",
        f'<table id="x">{{% block x %}}\n<tr>{MARK}<td>{{{{ x }}}}</td></tr>{{% endblock %}}</table>',
    ),
    script(
        "a shadow root", f'<div id="x">{block(f"<div>{NL}<template shadowrootmode=open>{MARK}</template></div>")}</div>'
    ),
    script("an element that opens", f'<div id="x">{block(f"{NL}<details>{MARK}<p>a</p></details>")}</div>'),
    script("a dialog, under htmx 4", f'<div id="x">{block(f"{NL}<dialog>{MARK}</dialog>")}</div>', start=START_4),
    script(
        "a custom element, under htmx 4", f'<div id="x">{block(f"{NL}<x-card>{MARK}</x-card>")}</div>', start=START_4
    ),
    script("an Alpine component", f'<div id="x">{block(f"{NL}<p x-data>{MARK}</p>")}</div>'),
    script("an inline script", f'<div id="x">{block(f"{NL}<script>{MARK}const a = 1</script>")}</div>'),
]
"""What only the live script updates as a reload shows it."""

LIVENESS_FAULTS = MARKUP + NOT_LIVE + SCRIPT


def sound(name: str, body: str, *, start: str = START_2) -> Case:
    """Return a case of a correct page."""
    return page(name, body, start=start)


def with_script(case: Case) -> Case:
    """Return the page of a case with the live script, which is correct."""
    source = case.templates["page"].replace(START_2, LIVE_SCRIPT).replace(START_4, LIVE_SCRIPT).replace(MARK, "")
    return Case(f"{case.name}, with the live script", {"page": source}, declare=True)


LIVENESS_SOUND = [
    *map(with_script, SCRIPT),
    sound("a paragraph", f'<p id="x">{block("<b>a</b> ")}</p>'),
    sound("a paragraph without an end tag before a list", f'<p id="x">{block("")}<ul><li>a</ul>'),
    sound("a list whose items have no end tags", f'<ul id="x">{block("<li>a<li>b")}</ul>'),
    sound("a table with a body", f'<table><tbody id="x">{block("<tr><td>a<td>")}</tbody></table>'),
    sound(
        "rows of a loop, or a row that says that there are none",
        """<table><tbody id="x">{% block x %}
{% for each in x %}<tr><td>{{ each }}</td></tr>{% else %}<tr><td>None</td></tr>{% endfor %}
{% endblock %}</tbody></table>""",
    ),
    sound(
        "rows that a macro writes",
        """{% macro row(each) %}<tr><td>{{ each }}</td></tr>{% endmacro %}
<table><tbody id="x">{% block x %}{% for each in x %}{{ row(each) }}{% endfor %}{% endblock %}</tbody></table>""",
    ),
    sound("rows of an application", '<table><tbody id="x">{% block x %}{{ rows }}{% endblock %}</tbody></table>'),
    sound("a cell", f'<table><tr><td id="x">{block("")}</td></tr></table>'),
    sound("a select", f'<select id="x">{block("<option>a</option><option>b</option>")}</select>'),
    sound("a form with a live part", f'<form><div id="x">{block("<button>a</button>")}</div></form>'),
    sound("two links", f'<a href="/"><span id="x">{block("")}</span></a><a href="/b">b</a>'),
    sound("a heading", f'<h1>a <span id="x">{block("")}</span></h1><h2>b</h2>'),
    sound("a whole SVG in a block", f'<div id="x">{block("<svg><g><title>a</title></g></svg>")}</div>'),
    sound("an element of SVG with a hyphen", f'<div id="x">{block("<svg><font-face/></svg>")}</div>'),
    sound("a block around an SVG", '{% block x %}<svg id="x"><g>{{ x }}</g></svg>{% endblock %}'),
    sound("HTML in an SVG", f'<svg><foreignObject><div id="x">{block("")}</div></foreignObject></svg>'),
    sound("a preformatted text", f'<pre id="x">{block("")}</pre>'),
    sound("a block beside other content", f'<p id="x">Total: {block("")}</p>'),
    sound("a class that depends on a value", f'<p id="x" class="{{{{ y }}}}">{block("")}</p>'),
    sound("a conditional block in an element", f'<div id="x">{{% if n %}}{block("")}{{% endif %}}</div>'),
    sound("a condition on who views the page", f'{{% if user %}}<p id="x">{block("")}</p>{{% endif %}}'),
    sound(
        "alternatives that open different elements",
        """<div id="x">{% block x %}
{% if x %}<a href="/{{ x }}">{% else %}<span>{% endif %}{{ x }}{% if x %}</a>{% else %}</span>{% endif %}
{% endblock %}</div>""",
    ),
    sound(
        "a title and a heading that show a value and are not live",
        f"""<title>{{% block t %}}{{{{ x }}}}
{{% endblock %}}</title><header>{{% block heading %}}<h1>{{{{ x }}}}</h1>{{% endblock %}}</header>
<p id="x">{block("")}</p>""",
    ),
    sound(
        "a template and a noscript beside live blocks",
        f"""<template><p>a</p></template><noscript><p>b</p></noscript>
<p id="x">{block("")}</p>""",
    ),
    sound(
        "scripts that do not run again, or are no scripts",
        f"""<div id="x">{
            block('''<script src="/a.js"></script>
<script type="application/json">{}</script>''')
        }</div><script>const a = 1</script>""",
    ),
    sound("an element that stays open", f'<div id="x">{block("<details id=d hx-preserve></details>")}</div>'),
    sound("an Alpine component, under htmx 4", f'<div id="x">{block("<p x-data></p>")}</div>', start=START_4),
    sound("rows to edit, with ids of their own", '\n{% block edit %}<p id="row-{{ x }}">{{ x }}</p>{% endblock %}'),
]
"""Correct pages."""
