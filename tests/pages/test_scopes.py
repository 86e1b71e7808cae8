"""The error for a scope that does not fit its endpoint, for pages and streams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from starlette_reactive import Reactive, ReactiveError

from ..support import environment
from .support import SECRET, request

ENV = environment(page='<p id="title">{% block title %}{{ title }}{% endblock %}</p>')


def page(reactive: Reactive, scope: str) -> Callable[..., Any]:
    @reactive.page("page.html", scope=scope)
    async def endpoint(request: Request) -> dict[str, Any]:
        return {"title": "x"}

    return endpoint


def stream(reactive: Reactive, scope: str) -> Callable[..., Any]:
    reactive.index.register_template(ENV, "page.html")

    @reactive.stream("page.html", scope=scope)
    async def endpoint(request: Request) -> Callable[[], dict[str, Any]]:
        return lambda: {"title": "x"}

    return endpoint


@pytest.mark.parametrize(("kind", "what"), [(page, "the page "), (stream, "the stream")])
@pytest.mark.parametrize(
    ("scope", "cause"),
    [
        ("doc:{id}", "KeyError: 'id'"),
        ("doc:{doc.id}", "AttributeError: 'str' object has no attribute 'id'"),
        ("doc:{doc[0][id]}", "TypeError: "),
        ("doc:{doc:d}", "ValueError: "),
        ("doc:{doc", "ValueError: "),
        ("doc:{}", "ValueError: "),
    ],
)
async def test_a_scope_that_does_not_fit_names_the_cause_and_the_parameters(
    kind: Callable[[Reactive, str], Callable[..., Any]], what: str, scope: str, cause: str
) -> None:
    reactive = Reactive(ENV, secret=SECRET)
    app = Starlette(routes=[Route("/{doc}", kind(reactive, scope)), *reactive.routes])
    with pytest.raises(ReactiveError) as raised:
        await request(app, "/a")
    message = str(raised.value)
    assert message.startswith(f"the scope {scope!r} of {what}")
    assert cause in message
    assert "there are: doc, request" in message
    assert raised.value.template == "page.html"
