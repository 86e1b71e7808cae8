"""What the docstrings refer to, as in ``:class:`ChangeEvent```, shown as code that leads there where it is public."""

from __future__ import annotations

import re
from typing import Any

import griffe

import starlette_reactive

__all__ = ["Roles"]

ROLE = re.compile(r":[a-z]+:`~?(?P<name>[\w.]+)`")


class Roles(griffe.Extension):
    """Rewrites references while the sources are read."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite those of an object's docstring."""
        if obj.docstring is not None:
            obj.docstring.value = ROLE.sub(_shown, obj.docstring.value)


def _shown(role: re.Match[str]) -> str:
    name = role["name"].lstrip(".")
    first = name.partition(".")[0]
    if first in starlette_reactive.__all__:
        return f"[`{name}`][starlette_reactive.{name}]"
    return f"`{name}`"
