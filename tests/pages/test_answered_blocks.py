"""The header by which the answer to a page's own request names the live blocks that it contains."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from starlette_reactive import OOB, Action, Fragment, Reactive, ValidationError
from tests.support import environment

from .support import SECRET, request

SAID = '<ul id="said">{% block said %}{{ text }}{% endblock %}</ul>'
PAGE = SAID + '<p id="the count">{% block count %}{{ text }}{% endblock %}</p>{% block still %}{% endblock %}'
TWICE = '<p id="a">{% block said %}{{ text }}{% endblock %}</p>'
FORM = "{% block form %}{{ errors }}{% endblock %}"
SINK = "<div {{ live() }}></div>"
ENV = environment(page=PAGE + SINK, twice=TWICE + SINK, form=FORM)


def said(**options: Any) -> Fragment:
    return Fragment("page.html", "said", text="hello", **options)


VALUES: dict[str, tuple[Any, str | None]] = {
    "block": (said(), "said"),
    "escaped id": (Fragment("page.html", "count", text=1), "the%20count"),
    "not live": (Fragment("page.html", "still"), None),
    "not of a page": (Fragment("form.html", "form"), None),
    "of another page": (Fragment("twice.html", "said", text=1), "a"),
    "target": (said(target="elsewhere"), "said elsewhere"),
    "target of its own": (Fragment("form.html", "form", target='"\N{SNOWMAN}'), "%22%E2%98%83"),
    "others": (OOB(Fragment("form.html", "form"), said(), said(target="said")), "said"),
    "several": (OOB(said(), Fragment("page.html", "count", text=1, target="n"), style="oob"), "said the%20count n"),
    "invalid": (ValidationError(said(), errors={}), "said"),
    "text": ("said", None),
    "action": (Action("said"), None),
    "dict": ({"said": 1}, None),
    "response": (Response("said"), None),
}


class Site:
    """An application that answers with one value."""

    def __init__(self, value: Any) -> None:
        reactive = Reactive(ENV, secret=SECRET)

        async def page(request: Request) -> dict[str, Any]:
            return {"text": "hello"}

        async def answer(request: Request) -> Any:
            return value

        async def answer_by_hand(request: Request) -> Response:
            return reactive.response(request, value)

        routes = [
            Route(f"/{name}", reactive.page(f"{name}.html", scope=name, exclude_blocks=excluded)(page))
            for name, excluded in (("page", ["still"]), ("twice", []))
        ]
        self.app = Starlette(
            routes=[
                *reactive.routes,
                *routes,
                Route("/answer", reactive.html(answer), methods=["POST"]),
                Route("/by-hand", answer_by_hand, methods=["POST"]),
                Route("/both", reactive.html(answer_by_hand), methods=["POST"]),
            ]
        )


@pytest.mark.parametrize("path", ["/answer", "/by-hand", "/both"])
@pytest.mark.parametrize("name", VALUES)
async def test_an_answer_names_the_live_blocks_that_it_contains(name: str, path: str) -> None:
    value, expected = VALUES[name]
    answer = await request(Site(value).app, path, method="POST", headers={"Reactive-Origin": "a mark"})
    assert answer.headers.get("reactive-blocks") == expected


@pytest.mark.parametrize("path", ["/answer", "/by-hand"])
async def test_an_answer_to_a_request_of_no_page_names_nothing(path: str) -> None:
    assert "reactive-blocks" not in (await request(Site(said()).app, path, method="POST")).headers
