"""The parts of a case: templates, the only issue that they must give, and what the browser then shows.

The line of the fault is the one with the mark ``<!--!-->``. The mark is removed before the template is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from jinja2 import DictLoader, Environment

from starlette_reactive import DependencyIndex
from starlette_reactive._checks import AppDescription, DeclaredPage, Settings
from starlette_reactive._index.index import register_elements

MARK = "<!--!-->"
HTMX_2 = '<script src="/htmx-2.0.11/htmx.min.js"></script><script src="/htmx-ext-sse-2.2.4/sse.min.js"></script>'
MORPH = '<script src="/idiomorph-0.8.0/idiomorph.min.js"></script><script src="/idiomorph-0.8.0/idiomorph-ext.min.js">'
MORPH += "</script>"
HTMX_4 = '<script src="/htmx-4.0.1/htmx.min.js"></script><script src="/htmx-4.0.1/hx-sse.min.js"></script>'
LIVE_SCRIPT = "<!doctype html><html><head>{{ live_scripts(htmx=2) }}</head><body>"
SINK = 'hx-sse:connect="/stream" hx-ext="sse" sse-connect="/stream" sse-swap="message" hx-target="this" hx-swap="none"'


def page_2(body: str, head: str = "") -> str:
    return f"<!doctype html><html><head>{head}{HTMX_2}</head><body>\n{body}\n</body></html>"


def page_4(body: str, head: str = "") -> str:
    return f"<!doctype html><html><head>{head}{HTMX_4}</head><body>\n{body}\n</body></html>"


Registration = Callable[[Environment, DependencyIndex], object]


@dataclass(frozen=True)
class Case:
    """A set of templates, ``page`` among them.

    Args:
        name: The case's name.
        templates: The templates, by name.
        category: The category of its only issue. Empty if there must be none.
        severity: The issue's severity.
        register: Registers blocks in the index of plain streams.
        declare: Whether the page is declared with ``@reactive.page``.
        frames: The frames that the stream sends in the browser.
        again: Whether it sends them on each connection, and not only on the first.
        shown: JavaScript that becomes true after the frames, if the fault (or its absence) is visible.
        autoescape: The environment's setting.
        data: Contract data.
        shared: Whether the declared page is shared.
        share: Whether viewers with an equal key share the renders of the declared page.
    """

    name: str
    templates: Mapping[str, str]
    category: str = ""
    severity: str = ""
    register: Registration | None = None
    declare: bool = False
    frames: str = ""
    again: bool = False
    shown: str = ""
    autoescape: bool = True
    data: Mapping[str, object] = field(default_factory=dict)
    shared: bool = False
    share: bool = False

    @property
    def place(self) -> tuple[str, int] | None:
        """The template and line of the mark."""
        for name, source in self.templates.items():
            if MARK in source:
                return name, source[: source.index(MARK)].count("\n") + 1
        return None

    @property
    def settings(self) -> Settings:
        """Settings that turn off what applies to most declared pages, unless the case is about it."""
        return Settings(
            {each: None for each in ("could_share", "not_connected", "unkeyed_rows") if each != self.category}
        )

    def describe(self) -> AppDescription:
        sources = {name: source.replace(MARK, "") for name, source in self.templates.items()}
        env = Environment(loader=DictLoader(sources), autoescape=self.autoescape)
        index, own = DependencyIndex(), DependencyIndex()
        if self.register is not None:
            self.register(env, index)
        if self.declare:
            register_elements(own, env, "page", unless_read={"live"})
        declared = DeclaredPage("page", ("room:{id}",), self.shared, "htmx", own, share=self.share)
        pages = [declared] if self.declare else []
        return AppDescription([env], [index], pages, frozenset({"user", "request"}), frozenset({"live"}), self.data)


CONNECT = '<main hx-ext="sse" sse-connect="/stream">'
A = "event: a\ndata: <b>new</b>\n\n"
M = "data: <b>new</b>\n\n"
PARTIAL = 'data: <hx-partial hx-target="#a" hx-swap="innerMorph"><b>new</b></hx-partial>\n\n'
DRAW = "<script>document.querySelector('canvas').getContext('2d').fillRect(0, 0, 9, 9)</script>"
DRAWN = "document.querySelector('canvas').getContext('2d').getImageData(0, 0, 1, 1).data[3]"


def two(name: str, body: str, category: str = "", severity: str = "warning", *, head: str = "", **rest: object) -> Case:
    return Case(name, {"page": page_2(body, head)}, category, severity if category else "", **rest)  # type: ignore[arg-type]


def four(
    name: str, body: str, category: str = "", severity: str = "warning", *, head: str = "", **rest: object
) -> Case:
    return Case(name, {"page": page_4(body, head)}, category, severity if category else "", **rest)  # type: ignore[arg-type]


def by_swaps(env: Environment, index: DependencyIndex) -> None:
    index.register_from_sse_swaps(env, "page")


def block_a(env: Environment, index: DependencyIndex) -> int:
    return index.register_template(env, "page", block_names=["a"])


def derive(index: DependencyIndex, **sources: str) -> int:
    for path, source in sources.items():
        index.derive(path, from_paths={source})
    return len(sources)


def text(selector: str) -> str:
    return f"document.querySelector('{selector}')?.textContent.trim()"


OWN = 'hx-target="this" hx-swap="innerHTML"'
