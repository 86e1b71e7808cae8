"""Faults of what a declared page loads: no script, htmx without its extension, and a version that is not named."""

from __future__ import annotations

from .cases import MARK, PARTIAL, Case, text

__all__ = ["CLIENT_FAULTS", "CLIENT_SOUND"]

BODY = "<p id='a'>{% block a %}{{ x }}{% endblock %}</p>"
SINK = "<div {{ live() }}></div>"
HTMX_2, HTMX_4 = '<script src="/htmx-2.0.11/htmx.min.js"></script>', '<script src="/htmx-4.0.1/htmx.min.js"></script>'
EXTENSION_2 = '<script src="/htmx-ext-sse-2.2.4/sse.min.js"></script>'
NOTHING = "requests == 0 && " + text("#a") + " == 'old'"


def page(head: str, body: str = SINK) -> dict[str, str]:
    return {"page": f"<!doctype html><html><head>\n{head}</head><body>{BODY}\n{body}</body></html>"}


def declared(name: str, templates: dict[str, str], category: str, severity: str, shown: str = NOTHING) -> Case:
    return Case(name, templates, category, severity, declare=True, frames=PARTIAL, shown=shown)


CLIENT_FAULTS = [
    declared("a page without a script", page("", SINK + MARK), "client_script", "warning"),
    declared(
        "a page whose scripts are only data",
        page('<script type="application/json">{}</script>', SINK + MARK),
        "client_script",
        "warning",
    ),
    declared("htmx 2 without its extension", page(HTMX_2 + MARK), "client_script", "error"),
    declared("htmx 4 without its extension", page(HTMX_4 + MARK), "client_script", "error"),
    declared(
        "htmx 2 with the extension of htmx 4",
        page(HTMX_2 + MARK + '<script src="/htmx-4.0.1/hx-sse.min.js"></script>'),
        "client_script",
        "error",
        shown="true",
    ),
    declared(
        "htmx 2 without its extension, beside a script that may contain it",
        page(HTMX_2 + MARK + '<script src="/bundle.js" type="module"></script>'),
        "client_script",
        "warning",
    ),
    declared(
        "a version that the address does not name",
        page(f'<script src="/htmx.js?v=local"></script>{MARK}{EXTENSION_2}'),
        "htmx_version",
        "warning",
        shown="true",
    ),
    declared(
        "a version of two numbers that is too old",
        page(f'<script src="/htmx.js?v=1.9"></script>{MARK}{EXTENSION_2}'),
        "sse_dialect",
        "error",
        shown="true",
    ),
]
CLIENT_SOUND = [
    Case("htmx 2 with its extension", page(HTMX_2 + EXTENSION_2), declare=True),
    Case(
        "the newest htmx 2", page('<script src="https://cdn.example/htmx.org@2"></script>' + EXTENSION_2), declare=True
    ),
    Case("a page that does not connect", page(HTMX_2, ""), declare=True),
    Case("a bundle, which may contain anything", page('<script src="/bundle.js"></script>'), declare=True),
    Case("the live script, which needs no extension", page(HTMX_2 + "{{ live_scripts() }}"), declare=True),
    Case(
        "an extension from an expression",
        page(HTMX_2 + "<script src=\"{{ url_for('static', path='/sse.js') }}\"></script>"),
        declare=True,
    ),
]
