"""Faulty templates, each with the only issue that it must give."""

from __future__ import annotations

from starlette_reactive import BlockRef

from .cases import CONNECT, MARK, Case, block_a, derive, two
from .htmx2_faults import HTMX_2_FAULTS
from .htmx4_faults import HTMX_4_FAULTS
from .macro_cases import MACRO_FAULTS
from .target_faults import TARGET_FAULTS

MARKUP = HTMX_2_FAULTS + TARGET_FAULTS + HTMX_4_FAULTS + MACRO_FAULTS
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
        "a viewer's name in a shared page",
        {"page": f"<html><p id=a>\n{{% block a %}}{MARK}{{{{ user.name }}}}{{% endblock %}}</p>"},
        "viewer_name",
        "error",
        declare=True,
        shared=True,
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

FAULTS = MARKUP + BLOCKS
