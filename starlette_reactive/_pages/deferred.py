"""Values that a page does without at first: its stream brings the blocks that show them, once they are there.

The endpoint returns a function in place of such a value. A visit does not call it: the template finds a placeholder,
and ``is deferred`` is true for it. An update that renders a block that shows the value calls the function first. A
visit whose query has :data:`COMPLETE` calls all of them, for browsers without JavaScript and for crawlers.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from anyio import to_thread
from jinja2 import ChainableUndefined
from jinja2.runtime import Context

from .._core.blocks import BlockRef
from .._core.suggestions import did_you_mean
from .._index.registry import Registry

__all__ = ["COMPLETE", "Deferred", "complete_url", "deferred_values", "is_complete", "is_deferred"]

COMPLETE = "reactive-complete"
"""The parameter in the query of a visit that renders everything at once."""


class _Placeholder(ChainableUndefined):
    """What the template of a visit finds in place of a deferred value. It is rendered as an empty text."""

    __slots__ = ()


def is_deferred(value: object) -> bool:
    """Return whether a value in a template's context is not there yet.

    It is a function where a plain endpoint renders the page again with the context of the page's own.
    """
    return isinstance(value, _Placeholder | functools.partial) or inspect.isroutine(value)


def is_complete(query: str) -> bool:
    """Return whether a visit with a query renders everything at once."""
    return COMPLETE in query and any(name == COMPLETE for name, _ in parse_qsl(query, keep_blank_values=True))


def complete_url(context: Context) -> str:
    """Return the URL that shows the page that is being rendered at once and as a whole, relative to that page."""
    request = context.get("request")
    query = [] if request is None else [pair for pair in request.query_params.multi_items() if pair[0] != COMPLETE]
    return f"?{urlencode([*query, (COMPLETE, '1')])}"


@dataclass(frozen=True, slots=True)
class Deferred:
    """The deferred values of a page.

    Args:
        page: The page's key.
        blocks: The live blocks that show each of them, and those around these.
    """

    page: str
    blocks: dict[str, frozenset[BlockRef]]

    def hold_back(self, context: MutableMapping[str, Any]) -> None:
        """Replace the functions in a context by what shows that the values are not there yet.

        Raises:
            TypeError: One of them is no function.
        """
        for name in self.blocks:
            self._function(context, name)
            context[name] = _Placeholder(name=name)

    async def complete(self, context: MutableMapping[str, Any]) -> None:
        """Replace all functions in a context by the values that they return."""
        for name in self.blocks:
            context[name] = await _value_of(self._function(context, name))

    async def complete_for(
        self, blocks: Iterable[BlockRef], context: MutableMapping[str, Any]
    ) -> dict[BlockRef, Exception]:
        """Replace the functions whose values some blocks show, and hold back the others.

        Returns:
            The blocks that cannot be rendered, because the function of a value that they show has failed.
        """
        wanted, failed = frozenset(blocks), dict[BlockRef, Exception]()
        functions = {name: self._function(context, name) for name in self.blocks}
        self.hold_back(context)
        for name, function in functions.items():
            if showing := self.blocks[name] & wanted:
                try:
                    context[name] = await _value_of(function)
                except Exception as error:  # noqa: BLE001 - reported for each block
                    failed.update(dict.fromkeys(showing, error))
        return failed

    def _function(self, context: MutableMapping[str, Any], name: str) -> Callable[[], Any]:
        function = context.get(name)
        if callable(function):
            return function  # type: ignore[no-any-return] # whatever it returns is the value
        raise TypeError(
            f"the page {self.page} returned {type(function).__name__} for {name!r}, which deferred= names: return a "
            f"function without arguments that returns the value, such as a coroutine function or a lambda"
        )


async def _value_of(function: Callable[[], Any]) -> Any:
    """Call a function. A plain one runs in a worker thread, because it may take long."""
    called = getattr(function, "func", function)
    is_async = inspect.iscoroutinefunction(called) or inspect.iscoroutinefunction(getattr(called, "__call__", None))  # noqa: B004 - an object may have an asynchronous one
    value = function() if is_async else (await to_thread.run_sync(lambda: [function()]))[0]  # trio takes no coroutine
    return await value if inspect.isawaitable(value) else value


def deferred_values(registry: Registry, template_name: str, page: str, names: Iterable[str]) -> Deferred:
    """Return the deferred values of a page.

    Args:
        registry: The live blocks of the page.
        template_name: Its template.
        page: Its key.
        names: The names of the values in the template's context.

    Raises:
        TypeError: ``names`` is a text.
        ValueError: No live block shows a value.
    """
    if isinstance(names, str):
        raise TypeError(f"deferred is {names!r}: write a list of names, as deferred=[{names!r}]")
    blocks = {name: registry.plan(frozenset((name,))).touched for name in names}
    for name, showing in blocks.items():
        if not showing:
            known = sorted({path for ref in registry.blocks() for path in registry.dependencies(*ref.key)})
            raise ValueError(
                f"no live block of {template_name!r} shows {name!r}, which deferred= names, so the page would never "
                f"show it: show it in a live block, or do not defer it{did_you_mean(name, known)}"
            )
    return Deferred(page, blocks)
