"""``varies()``: marks a value in a template that differs between two renders by nature, such as the time or a nonce.

An audit compares what two viewers would be shown. While it renders, such values are enclosed in marks, by which they
are left out of the comparison. Otherwise nothing is added.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from jinja2 import pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup, escape

from .._templates import declare_reads

__all__ = ["Marks", "varies"]

_BEGIN, _END, _STOP = "\ue000", "\ue001", "\ue002"  # of the private use area, which no filter changes


class Marks:
    """The marks of one audit. Nobody can guess them, so no text of the page is taken for one."""

    _current: ContextVar[Marks | None] = ContextVar("starlette_reactive_marks", default=None)

    def __init__(self) -> None:
        number = secrets.randbelow(10**18)
        self.begin: str = f"{_BEGIN}{number}{_STOP}"
        self.end: str = f"{_END}{number}{_STOP}"
        self._marked = re.compile(f"{self.begin}.*?{self.end}", re.DOTALL)

    @classmethod
    def current(cls) -> Marks | None:
        """Return the marks of the audit that is rendering. ``None`` if none is."""
        return cls._current.get()

    @contextmanager
    def rendering(self) -> Iterator[None]:
        """Enclose in these marks what varies."""
        token = self._current.set(self)
        try:
            yield
        finally:
            self._current.reset(token)

    def without(self, html: str) -> str:
        """Return HTML without the marks."""
        return html.replace(self.begin, "").replace(self.end, "")

    def comparable(self, html: str) -> str:
        """Return HTML without what is enclosed in marks."""
        return self._marked.sub("", html)


@declare_reads()
@pass_eval_context
def varies(eval_context: EvalContext, value: object) -> object:
    """Return a value that differs between two renders by nature. Apply filters to it before, not after."""
    marks = Marks.current()
    if marks is None:
        return value
    if eval_context.autoescape:
        return Markup(marks.begin) + escape(value) + Markup(marks.end)  # noqa: S704 - digits
    return f"{marks.begin}{value}{marks.end}"
