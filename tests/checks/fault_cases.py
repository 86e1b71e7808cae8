"""Faulty templates, each with the only issue that it must give."""

from __future__ import annotations

from starlette_reactive import BlockRef

from .cases import CONNECT, LIVE_SCRIPT, MARK, Case, block_a, derive, four, two
from .client_faults import CLIENT_FAULTS
from .htmx2_faults import HTMX_2_FAULTS
from .htmx4_faults import HTMX_4_FAULTS
from .liveness_cases import LIVENESS_FAULTS
from .macro_cases import MACRO_FAULTS
from .target_faults import TARGET_FAULTS

LIST = '<ul id="items">{% block items %}{% for each in items %}<li>{{ each }}</li>{% endfor %}'

REQUESTS = [
    two(
        "a request that appends to a live block that is its target",
        f"""
{LIST}{{% endblock %}}</ul>
<button hx-get="/more"
  hx-target="#items" hx-swap="beforeend">{MARK}More</button>""",
        "appended_items",
        declare=True,
    ),
    two(
        "an item that fetches the next ones after itself",
        f"""
{LIST}
<li id="last" hx-get="/more?page=2" hx-trigger="revealed" hx-swap="afterend">{MARK}</li>{{% endblock %}}</ul>""",
        "appended_items",
        declare=True,
    ),
    two(
        "the only item of a list that fetches the next ones before itself",
        f"""
<ul id="items">{{% block items %}}<li id="last" hx-get="/more" hx-swap="beforebegin">{MARK}{{{{ x }}}}</li>
{{% endblock %}}</ul>""",
        "appended_items",
        declare=True,
    ),
    two(
        "an inherited style and the target this",
        f"""
<div hx-swap="beforeend"><section id="a" hx-target="this">{{% block a %}}{{{{ x }}}}<i
  hx-get="/more">{MARK}</i>{{% endblock %}}</section></div>""",
        "appended_items",
        declare=True,
    ),
    four(
        "an appending request under htmx 4",
        f"""
{LIST}{{% endblock %}}</ul><i hx-get="/more" hx-target="#items" hx-swap="append">{MARK}</i>""",
        "appended_items",
        declare=True,
    ),
    Case(
        "a request that appends, with the live script",
        {
            "page": f"{LIVE_SCRIPT}\n{LIST}{{% endblock %}}</ul>"
            f'<i hx-get="/more" hx-target="#items" hx-swap="beforeend">{MARK}</i>'
        },
        "appended_items",
        "warning",
        declare=True,
    ),
    two(
        "a link that shows a live block for another query",
        f"""
{LIST}{{% endblock %}}</ul>
<a hx-get="/items?sort={{{{ other }}}}" hx-target="#items">{MARK}Sort</a>""",
        "query_without_script",
        declare=True,
    ),
    two(
        "a search form",
        f"""
<form hx-get="/items" hx-target="#items">{MARK}<p><input name="q"></p></form>
{LIST}{{% endblock %}}</ul>""",
        "query_without_script",
        declare=True,
    ),
    four(
        "a search field that replaces the element of a live block",
        f"""
{{% block items %}}<ul id="items">{{{{ items }}}}</ul>{{% endblock %}}
<input name="q" hx-get="/items" hx-target="#items" hx-swap="outerHTML">{MARK}""",
        "query_without_script",
        declare=True,
    ),
    two(
        "a part of a live block that fetches itself",
        f"""
<div id="a">{{% block a %}}{{{{ x }}}}<section hx-get="/part?open=1">{MARK}</section>{{% endblock %}}</div>""",
        "query_without_script",
        declare=True,
    ),
]
"""Requests whose answers the next update replaces."""

TOKENS = [
    two(
        "a field with a token in a live block",
        f"""
<div id="a">{{% block a %}}{{{{ x }}}}<form>
<input type="hidden" name="csrfmiddlewaretoken" value="{{{{ token }}}}">{MARK}</form>{{% endblock %}}</div>""",
        "csrf_token",
        declare=True,
    ),
    *(
        two(
            f"a live block that reads {expression}",
            f"""
<div id="a">
{{% block a %}}{MARK}{{{{ x }}}}<p>{{{{ {expression} }}}}</p>{{% endblock %}}
</div>""",
            "csrf_token",
            declare=True,
        )
        for expression in ("csrf_token()", "csrf_input", "form.csrf_token", "request.state.csrf_token", "csrf_field()")
    ),
    two(
        "a token in a block inside a live block",
        f"""
<div id="a">{{% block a %}}{{{{ x }}}}
{{% block b %}}{MARK}<p>{{{{ csrf_token }}}}</p><i></i>{{% endblock %}}{{% endblock %}}</div>""",
        "csrf_token",
        declare=True,
    ),
    two(
        "a header with a token in a live block",
        f"""
<div id="a">
{{% block a %}}{MARK}{{{{ x }}}}<form hx-headers='{{"X-CSRF-Token": "{{{{ csrf_token }}}}"}}'></form><i></i>
{{% endblock %}}</div>""",
        "csrf_token",
        declare=True,
    ),
]
"""Live blocks with tokens."""

MARKUP = HTMX_2_FAULTS + TARGET_FAULTS + HTMX_4_FAULTS + MACRO_FAULTS + CLIENT_FAULTS
"""Faults that are visible in a browser."""

BLOCKS = [
    Case("a template that does not parse", {"page": f"<html>\n{{% if %}}{MARK}</html>"}, "template", "error"),
    Case("a tag that no extension defines", {"page": f"<html>\n\n{{% carousel %}}{MARK}</html>"}, "template", "error"),
    Case("a filter that does not exist", {"page": f"<html>\n{{{{ x | shout }}}}{MARK}</html>"}, "template", "error"),
    Case("a parent that does not exist", {"page": f"{{# x #}}\n{{% extends 'base' %}}{MARK}"}, "template", "error"),
    Case("an include that does not exist", {"page": f"<html>\n{{% include 'none' %}}{MARK}"}, "template", "error"),
    Case(
        "two blocks of one name",
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
        "paths derived in a cycle",
        {"page": "<html>"},
        "reactive_cycle",
        "warning",
        register=lambda _, index: derive(index, a="b", b="a"),
    ),
    Case(
        "an emitted path that no block shows",
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
        "a live block that reads a loop's variable",
        f"""{CONNECT}{{% for t in ts %}}
<p sse-swap="a">{{% block a scoped %}}{MARK}{{{{ t }}}}{{% endblock %}}</p>
{{% endfor %}}</main>""",
        "block_alone",
        "error",
    ),
    two(
        "a live page without autoescaping",
        f"""{CONNECT}<p id="a" sse-swap="a">{{% block a %}}{{{{ x }}}}{{% endblock %}}</p></main>""",
        "autoescape",
        autoescape=False,
    ),
    two(
        "a block with a dynamic include",
        f"""{CONNECT}<p id="a" sse-swap="a">
{{% block a %}}{MARK}{{% include x %}}{{% endblock %}}</p></main>""",
        "block_unknown",
        "info",
    ),
    Case(
        "a live list whose rows have no end tags",
        {
            "page": f"<html><ul id=a>{{% block a %}}\n"
            f"{MARK}{{% for t in ts %}}<li id=t{{{{ t.id }}}}>{{{{ t }}}}{{% endfor %}}{{% endblock %}}</ul>"
        },
        "unkeyed_rows",
        "info",
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
    two(
        "a page whose scope is misspelled in the emits",
        '<p id="a">{% block a %}{{ x }}{% endblock %}</p>',
        "reactive_scopes",
        declare=True,
        data={"reactive_emitted_scopes": {"rooms:{id}", "people"}},
    ),
    two(
        "emitted scopes that are no set",
        '<p id="a">{% block a %}{{ x }}{% endblock %}</p>',
        "reactive_scopes",
        declare=True,
        data={"reactive_emitted_scopes": 1},
    ),
    Case(
        "a private page that shows what belongs to nobody",
        {"page": f"<html><p id=a>\n{{% block a %}}{MARK}{{{{ tasks }}}}{{% endblock %}}</p>"},
        "could_share",
        "info",
        declare=True,
    ),
    Case(
        "a block of a page with share= that contains a block that reads a viewer's name",
        {
            "page": f"<html><div id=a>\n{{% block a %}}{MARK}{{{{ tasks }}}}<p id=b>{{% block b %}}{{{{ user.name }}}}"
            "{% endblock %}</p>{% endblock %}</div>"
        },
        "personal_block",
        "info",
        declare=True,
        share=True,
    ),
]
"""Faults of blocks, templates and declarations."""

FAULTS = MARKUP + BLOCKS + REQUESTS + TOKENS + LIVENESS_FAULTS
