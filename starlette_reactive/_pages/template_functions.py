"""What templates call: ``live()``, ``live_origin()``, ``live_scripts()``, ``complete_url()`` and ``varies()``."""

from __future__ import annotations

import html
import inspect
import json

from jinja2 import Environment, pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.requests import Request

from .._templates import declare_reads
from .browser_session import ORIGIN_HEADER
from .deferred import complete_url, is_deferred
from .rendered_again import visit_again
from .scripts import script_tags
from .site import Site
from .varying import varies
from .visits import Visit, rendered_visit

__all__ = ["install_template_functions"]


def install_template_functions(env: Environment, *, debug: bool) -> None:
    """Make the functions available in templates, and declare what ``url_for`` reads.

    Args:
        env: The environment of the templates.
        debug: Whether ``live()`` and ``live_origin()`` say why they write nothing.
    """

    def off(reason: str) -> Markup:
        return Markup(f'data-reactive-off="{html.escape(reason)}"' if debug else "")  # noqa: S704 - escaped here

    @declare_reads()
    @pass_context
    def live(context: Context) -> Markup:
        visited = _visited(context)
        if isinstance(visited, str):
            return off(visited)
        site, visit = visited
        attributes = site.sink_attributes(visit, context["request"], context.name)
        return Markup(attributes)  # noqa: S704 - escaped by the client's module

    @declare_reads()
    @pass_context
    def live_origin(context: Context) -> Markup:
        visited = _visited(context)
        return off(visited) if isinstance(visited, str) else _origin_attributes(visited[1])

    @declare_reads()
    @pass_context
    def live_scripts(context: Context, *, htmx: object = None, nonce: object = None) -> Markup:
        tags = script_tags(context, htmx, nonce)
        visited = _visited(context)
        first_run = None if isinstance(visited, str) else visited[0].first_run
        return tags if first_run is None else tags + first_run.script_tag(context["request"], nonce)

    env.tests["deferred"] = is_deferred
    env.globals["complete_url"] = declare_reads()(pass_context(complete_url))
    env.globals.update(live=live, live_origin=live_origin, live_scripts=live_scripts, varies=varies)
    url_for = env.globals.get("url_for")
    if inspect.isfunction(url_for):
        declare_reads()(url_for)  # it reads the host and the routes from the request, and nothing of the viewer


def _visited(context: Context) -> tuple[Site, Visit] | str:
    """Return the visit that a template is rendered for, with the owner of its page, or why there is none."""
    request = context.get("request")
    if not isinstance(request, Request):
        return "the context has no request"
    visit, site = rendered_visit(request) or visit_again(request, context.name)
    return (site, visit) if isinstance(visit, Visit) and isinstance(site, Site) else str(visit)


def _origin_attributes(visit: Visit) -> Markup:
    """Return the attributes that mark a page's own requests."""
    headers = html.escape(json.dumps({ORIGIN_HEADER: visit.origin}))
    # htmx 2 inherits the plain attribute; htmx 4 inherits only the explicit one.
    return Markup(f'hx-headers="{headers}" hx-headers:inherited="{headers}"')  # noqa: S704 - escaped above
