"""The clients that the tests compare, and the kinds of markup that each of them updates as a reload would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["CLIENTS", "KINDS", "Client", "Kind"]


@dataclass(frozen=True, slots=True)
class Client:
    """How a page is connected.

    Args:
        wire: What the page declares.
        scripts: What it loads, without the live script.
        live: Whether it loads the live script.
        htmx: The version of htmx that comes with the live script.
    """

    wire: str = "htmx"
    scripts: Sequence[str] = ()
    live: bool = False
    htmx: int | None = None

    @property
    def values(self) -> Mapping[str, Any]:
        """What the layout reads."""
        return {"scripts": self.scripts, "script": self.live, "htmx": self.htmx, "turbo": self.wire == "turbo"}


CLIENTS = {
    "htmx 2, live script": Client(live=True, htmx=2),
    "htmx 4, live script": Client(live=True, htmx=4),
    "live script alone": Client(live=True),
    "htmx 2": Client(scripts=["vendor/htmx-2.0.11/htmx.min.js", "vendor/htmx-ext-sse-2.2.4/sse.min.js"]),
    "htmx 4": Client(scripts=["vendor/htmx-4.0.1/htmx.min.js", "vendor/htmx-4.0.1/hx-sse.min.js"]),
    "Turbo": Client(wire="turbo", scripts=["tests/vendor/turbo-8.0.23/turbo.es2017-umd.js"]),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of markup that some clients do not update as a reload would.

    Args:
        title: What it is, as the documentation calls it.
        differs: What is shown instead, for each client. The others show what a reload does.
        instead: The markup that works for them, too. Empty if there is none.
    """

    title: str
    differs: Mapping[str, str]
    instead: str = ""


_PLAIN = ("htmx 2", "htmx 4", "Turbo")

KINDS: Mapping[str, Kind] = {
    "foreign": Kind(
        "a part of an `<svg>` or `<math>` as the live element",
        dict.fromkeys(_PLAIN, "disappears"),
        "put the whole `<svg>` or `<math>` into the block",
    ),
    "template": Kind(
        "the content of a `<template>` as the block",
        dict.fromkeys(_PLAIN, "stays as it was"),
        "put the `<template>` itself into the block",
    ),
    "line break": Kind(
        "a block that begins with a line break, inside a `<pre>` or `<textarea>`",
        dict.fromkeys(_PLAIN, "has one line break more"),
        "put the `<pre>` or `<textarea>` itself into the block, or leave out the line break",
    ),
    "rows": Kind(
        "rows without a `<tbody>` as the block of a `<table>`",
        dict.fromkeys(_PLAIN, "has no `<tbody>`"),
        "write the `<tbody>`",
    ),
    "shadow root": Kind(
        "a declarative shadow root",
        {"htmx 2": "is lost", "htmx 4": "stays as it was", "Turbo": "stays as it was"},
    ),
    "options": Kind(
        "a `<select>` with several `selected` options, without `multiple`",
        dict.fromkeys(("htmx 4", "Turbo"), "may select another one"),
    ),
    "out of band": Kind(
        "`hx-swap-oob` on an element in a block",
        {"htmx 2": "the attribute is left out"},
    ),
    "autofocus": Kind(
        "`autofocus` on an element in a block",
        {"htmx 2": "the attribute is left out", "htmx 4": "the attribute is left out", "Turbo": "has an `id` of Turbo"},
    ),
}
"""The kinds by name. Markup of all other kinds is updated as a reload shows it, under all clients."""
