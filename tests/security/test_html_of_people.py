"""Attacks through HTML that people write.

What an attacker would gain: requests in the name of everybody who looks at a page, and JavaScript in their browsers.
For htmx, Datastar and Turbo, ordinary attributes and elements are instructions.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import nodes
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

import example_app
from example_app.live import templates
from starlette_reactive import Reactive
from starlette_reactive.testing import TestClient

from ..docs.blocks import PAGES, Block, blocks_of, dedented, name_of
from ..docs.running import PRELUDES, run_page
from ..support import environment

HOSTILE = [
    '<b hx-post="/account/delete" hx-trigger="load">x</b>',
    '<b data-hx-get="/x" hx-on:load="alert(1)">x</b>',
    '<div hx-ext="sse" sse-connect="//evil.example/x" sse-swap="message"></div>',
    '<div data-on-load="alert(1)" data-init="@get(\'/x\')"></div>',
    '<hx-partial hx-target="#title">x</hx-partial>',
    '</hx-partial><hx-partial hx-target="#title">x',
    '<turbo-stream action="remove" target="title"></turbo-stream>',
    '<turbo-frame src="//evil.example"></turbo-frame>',
    "<script>alert(1)</script>",
]
EXAMPLE = Path(example_app.__file__).parent
GUIDE = next(page for page in PAGES if name_of(page) == "guides/security.md")


class Tags(HTMLParser):
    """The names of the elements in some HTML."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)


@pytest.mark.parametrize("typed", HOSTILE)
@pytest.mark.parametrize("wire", ["htmx", "datastar", "turbo"])
async def test_what_somebody_typed_is_text_in_the_page_and_in_its_updates(typed: str, wire: str) -> None:
    page_html = '<p id="said">{% block said %}{{ said }}{% endblock %}</p><div {{ live() }}></div>'
    reactive = Reactive(environment(page=page_html), secret="a secret for tests")
    said = typed

    @reactive.page("page.html", scope="all", wire=wire)
    async def page(request: Request) -> dict[str, str]:
        return {"said": said}

    app = Starlette(routes=[*reactive.routes, Route("/", page)], lifespan=reactive.lifespan)
    async with TestClient(app) as client:
        assert Tags((await client.get("/")).text).found == {"p", "div"}
        if wire == "htmx":
            shown = await client.live("/")
            said = f"again {typed}"
            await reactive.emit("all", "said")
            await shown.expect("#said", said)


def test_the_example_turns_escaping_off_nowhere() -> None:
    assert templates.env.autoescape is not False
    assert [path for path in EXAMPLE.rglob("*.py") if "Markup(" in path.read_text()] == []
    for name in templates.env.list_templates(extensions=["html"]):
        tree = templates.env.parse((EXAMPLE / "templates" / name).read_text())
        escaped = templates.env.autoescape
        assert escaped(name) if callable(escaped) else escaped, name
        assert [each.name for each in tree.find_all(nodes.Filter) if each.name == "safe"] == [], name
        assert list(tree.find_all(nodes.ScopedEvalContextModifier)) == [], name


def python_of_the_docs() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        yield from ((block.place, dedented(block)) for block in blocks_of(page) if block.language == "python")
    yield from ((path.name, path.read_text()) for path in sorted(PRELUDES.glob("*.py")))


def test_the_documentation_makes_no_environment_without_escaping() -> None:
    made = [
        (place, {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords})
        for place, text in python_of_the_docs()
        for call in ast.walk(ast.parse(text))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Environment"
    ]
    assert made
    assert [place for place, options in made if options.get("autoescape") not in ("True", "select_autoescape()")] == []


def markup_of_the_docs() -> list[Block]:
    return [block for page in PAGES for block in blocks_of(page) if block.language in ("html", "jinja")]


def test_no_template_in_the_documentation_turns_escaping_off() -> None:
    for block in markup_of_the_docs():
        assert "autoescape" not in block.text, block.place
        assert "|safe" not in block.text.replace(" ", ""), block.place


def test_the_guides_last_step_leaves_htmx_no_element_in_an_attribute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """htmx replaces ``<hx-`` before it parses, so that the rest of the attribute's value becomes attributes."""
    without_partials = run_page(GUIDE, blocks_of(GUIDE), tmp_path, monkeypatch)["without_partials"]
    sanitised = '<a title="<hx-a onfocus=alert(1) autofocus x" name="</HX-a>">a <b>b</b></a>'
    assert without_partials(sanitised) == (
        '<a title="&lt;hx-a onfocus=alert(1) autofocus x" name="&lt;/HX-a>">a <b>b</b></a>'
    )
