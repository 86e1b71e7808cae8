"""No id or text, however absurd, makes the example fail: it answers 404 or 422, and never 500.

The routes and their parameters are read from the application's OpenAPI schema, so new ones are tested as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from example_app.app import PARTS, create_app
from starlette_reactive.testing import TestClient

from .conftest import Enter

Place = Literal["path", "query", "header", "form"]

NO_NUMBERS = {
    "huge": str(10**30),
    "too large for SQLite": str(2**63),
    "too large for PostgreSQL": str(2**31),
    "negative": "-1",
    "very negative": str(-(2**63) - 1),
    "empty": "",
    "longer than Python reads": "9" * 5000,
    "NUL": "1\0",
    "digits that are not ASCII": "\N{ARABIC-INDIC DIGIT ONE}",
    "superscript": "\N{SUPERSCRIPT TWO}",
    "no integer": "1.5",
    "infinity": "inf",
    "text": "x",
}
NO_TEXTS = {"only NUL": "\0", "text with NUL": "a\0b", "lone surrogate": "\ud800"}
STRANGE_TEXTS = {**NO_NUMBERS, "very long": "x" * 30_000, "line breaks": "\r\n\r\n", "spaces": " \N{NO-BREAK SPACE} "}
LONGEST_IN_URL = 5000
VALID = {"after": "0", "resume": ""}
"""Values of parameters that accept neither ``1`` nor ``x``."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a route."""

    name: str
    place: Place
    is_number: bool

    @property
    def valid(self) -> str:
        return VALID.get(self.name, "1" if self.is_number else "x")

    @property
    def refused(self) -> dict[str, str]:
        """The values that are answered 404 or 422.

        An empty path is another path, and an optional number may be empty. A URL has no surrogates: what is not UTF-8
        there is replaced.
        """
        refused = {**NO_NUMBERS, **NO_TEXTS} if self.is_number else NO_TEXTS
        left_out = {"empty"} if self.place == "form" else {"empty", "lone surrogate"}
        return {kind: value for kind, value in refused.items() if kind not in left_out}

    @property
    def strange(self) -> dict[str, str]:
        """The values that may be accepted."""
        longest = 30_000 if self.place == "form" else LONGEST_IN_URL
        return {kind: value[:longest] for kind, value in STRANGE_TEXTS.items()}


@dataclass(frozen=True)
class Operation:
    """A route with one method."""

    method: str
    path: str
    parameters: tuple[Parameter, ...]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def request(self, changed: Parameter, value: str) -> dict[str, Any]:
        """Return the arguments of a request in which one parameter is absurd and the others are valid."""
        values = {each: each.valid for each in self.parameters} | {changed: value}
        path, query, fields = self.path, [], {}
        headers: dict[str, bytes] = {}
        for parameter, each in values.items():
            encoded = quote(each.encode(errors="surrogatepass"), safe="")
            if parameter.place == "path":
                path = path.replace(f"{{{parameter.name}}}", encoded)
            elif parameter.place == "query":
                query.append(f"{parameter.name}={encoded}")
            elif parameter.place == "header":
                headers[parameter.name] = each.encode(errors="surrogatepass")
            else:
                fields[parameter.name] = each
        url = f"{path}?{'&'.join(query)}" if query else path
        form = _form(fields)
        return {"method": self.method, "url": url, **form, "headers": {**headers, **form.get("headers", {})}}


def _form(fields: dict[str, str]) -> dict[str, Any]:
    """Return the arguments for a form, in a charset in which it may have lone surrogates."""
    if not any("\ud800" in value for value in fields.values()):
        return {"data": fields} if fields else {}
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value.encode("unicode_escape").decode()}\r\n'
        for name, value in fields.items()
    ]
    content_type = "multipart/form-data; boundary=x; charset=unicode_escape"
    return {"content": "".join([*parts, "--x--\r\n"]), "headers": {"Content-Type": content_type}}


def operations() -> list[Operation]:
    schema = create_app().openapi()
    return [
        Operation(method.upper(), path, (*_in_url(operation), *_in_form(operation, schema)))
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]


def _in_url(operation: dict[str, Any]) -> Iterator[Parameter]:
    for each in operation.get("parameters", []):
        if each["in"] != "header":  # the server refuses what no header may have
            yield Parameter(each["name"], each["in"], each["schema"].get("type") == "integer")


def _in_form(operation: dict[str, Any], schema: dict[str, Any]) -> Iterator[Parameter]:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        name = content["schema"]["$ref"].rpartition("/")[2]
        for field, described in schema["components"]["schemas"][name]["properties"].items():
            yield Parameter(field, "form", described.get("type") == "integer")


OPERATIONS = [each for each in operations() if each.parameters]


async def status_of(client: TestClient, **request: Any) -> int:
    """Return a response's status. An exception of the application fails the test."""
    headers = {**client.headers, **request.pop("headers", {})}
    async with client.stream(**request, headers=headers) as response:
        return response.status_code


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
async def test_what_cannot_be_an_id_or_a_text_is_answered_404_or_422(operation: Operation, enter: Enter) -> None:
    ada = await enter("Ada")
    answers = {
        f"{parameter.name}: {kind}": await status_of(ada, **operation.request(parameter, value))
        for parameter in operation.parameters
        for kind, value in parameter.refused.items()
    }
    assert {case: status for case, status in answers.items() if status not in (404, 422)} == {}


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
async def test_nothing_absurd_makes_a_route_or_a_later_page_fail(operation: Operation, enter: Enter) -> None:
    ada = await enter("Ada")
    for htmx in ({}, {"HX-Request": "true"}):
        ada.headers.update(htmx)
        for parameter in operation.parameters:
            for kind, value in {**parameter.strange, **NO_TEXTS}.items():
                status = await status_of(ada, **operation.request(parameter, value))
                assert status < 500, (parameter.name, kind)
    del ada.headers["HX-Request"]
    ada = await enter("Ada")
    for page in ("/", "/boards/1", "/documents/1", "/chat", "/notifications", "/ask", "/wall/1"):
        assert (await ada.get(page)).status_code == 200, page


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each.method == "POST"], ids=str)
async def test_a_body_of_another_kind_is_no_form(operation: Operation, enter: Enter) -> None:
    ada = await enter("Ada")
    path = operation.request(operation.parameters[0], operation.parameters[0].valid)["url"]
    for content_type in ("application/json", "multipart/form-data", "text/plain; charset=nonsense"):
        for body in (b'{"title": "\\ud800"}', b"\xff\x00", b"[" * 10_000, b""):
            request = {"content": body, "headers": {"Content-Type": content_type}}
            assert await status_of(ada, method="POST", url=path, **request) < 500, (content_type, body[:20])


@pytest.mark.parametrize("value", [*NO_NUMBERS.values(), *NO_TEXTS.values(), "x" * LONGEST_IN_URL])
async def test_the_routes_outside_of_the_schema_are_as_robust(value: str, enter: Enter) -> None:
    client = await enter(None)
    encoded = quote(value.encode(errors="surrogatepass"), safe="")
    assert await status_of(client, method="GET", url=f"/_reactive/live?page={encoded}") == 403
    if value:
        assert await status_of(client, method="GET", url=f"/static/{encoded}") == 404
        assert await status_of(client, method="GET", url=f"/{encoded}") == 404


async def test_a_bad_position_is_answered_422(enter: Enter) -> None:
    ada = await enter("Ada")
    for position in ("", "x", "\N{ARABIC-INDIC DIGIT ONE}", "1-2", "1" * 19, "1" + "-1.1" * 10_000, "1\n"):
        url = f"/chat/stream?tab=x&after={quote(position)}"
        assert await status_of(ada, method="GET", url=url) == 422, position[:20]


@pytest.mark.parametrize("path", ["/documents/99/stream?tab=x", "/ask/unknown/stream", "/answers/unknown"])
async def test_a_stream_of_what_does_not_exist_is_answered_404(path: str, enter: Enter) -> None:
    ada = await enter("Ada")
    assert await status_of(ada, method="GET", url=path) == 404


def test_every_route_of_the_example_is_in_the_schema(app: FastAPI) -> None:
    described = {each.path for each in operations()}
    routes = [route for part in PARTS for route in part.router.routes if isinstance(route, APIRoute)]
    assert routes
    assert {route.path for route in routes} - described == set()
