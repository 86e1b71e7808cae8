"""What a page declares with ``wire=``. Nothing else lists the clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.types import Scope

from . import datastar, htmx, turbo
from .client import Client, Sink

__all__ = ["WIRES", "Wire", "wire_named"]


@dataclass(frozen=True, slots=True)
class Wire:
    """How the pages of one front-end library are connected.

    Args:
        name: What a page declares.
        client: Returns the client that sent a request, from its ASGI scope.
        sink_attributes: Returns the attributes of the sink.
        uses_htmx: Whether pages load htmx, so that the rules for its attributes apply.
        morphs: Whether every update morphs the element, and so keeps its focus and typed values.
    """

    name: str
    client: Callable[[Scope], Client]
    sink_attributes: Callable[[Sink], str]
    uses_htmx: bool
    morphs: bool


WIRES: Mapping[str, Wire] = {
    wire.name: wire
    for wire in (
        Wire("htmx", htmx.page_client, htmx.sink_attributes, uses_htmx=True, morphs=False),
        Wire("datastar", lambda _: datastar.DATASTAR, datastar.sink_attributes, uses_htmx=False, morphs=True),
        Wire("turbo", lambda _: turbo.TURBO, turbo.sink_attributes, uses_htmx=False, morphs=True),
    )
}
"""The wires by name."""


def wire_named(name: str) -> Wire:
    """Return a wire.

    Raises:
        ValueError: There is no such wire.
    """
    try:
        return WIRES[name]
    except KeyError:
        raise ValueError(f"wire is {name!r}: write one of {', '.join(map(repr, WIRES))}") from None
