"""Values that record their use, and environments that mark the blocks in their pages."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import Environment
from jinja2.compiler import CodeGenerator, Frame
from jinja2.nodes import Block, Include
from jinja2.runtime import Context

MAX_SEGMENTS = 12
"""A value with more segments than this is false and empty, so that recursion ends."""
MARK = re.compile("\x01([+-])([^\x02]*)\x02")
UNSEEN = "unseen"
"""An attribute that no template names, and that any method of its object may read."""


class Recorder:
    """Records each path that is read, with the blocks that are open, and may change one value.

    Attributes:
        changed: The path of the value that differs from its seed's.
        calls: The paths that were called, with the blocks that were open.
        objects: The paths whose attributes were read. These are no methods.
        own: The names of the blocks that the page and its parents define.
    """

    def __init__(self, fixed: Mapping[str, Any] | None = None) -> None:
        self.fixed: Mapping[str, Any] = fixed or {}
        self.open: list[str] = []
        self.log: set[tuple[tuple[str, ...], str]] = set()
        self.quiet = 0
        self.changed: str | None = None
        self.calls: set[tuple[tuple[str, ...], str]] = set()
        self.objects: set[str] = set()
        self.own: set[str] = set()
        self.included = 0

    def begin(self, changed: str | None = None) -> None:
        """Reset for a new page."""
        self.open.clear()
        self.log.clear()
        self.calls.clear()
        self.quiet = self.included = 0
        self.changed = changed

    def note(self, path: str) -> None:
        self.log.add((tuple(self.open), path))

    def object_of(self, path: str) -> str:
        """Return the object whose attributes a call of ``path`` may read."""
        return path if path in self.objects else path.rpartition(".")[0] or path

    def affects(self, path: str) -> bool:
        """Return whether the value at ``path`` differs from its seed's."""
        if self.changed is None:
            return False
        if path == self.changed:
            return True
        parts = path.split(".()")
        called = (".()".join(parts[:at]) for at in range(1, len(parts)))
        return any(f"{self.changed}.".startswith(f"{self.object_of(each)}.") for each in called)

    def all_reads(self) -> set[tuple[tuple[str, ...], str]]:
        """Return what was read, including the objects of the methods that were called."""
        return self.log | {(blocks, self.object_of(path)) for blocks, path in self.calls}

    def changeable(self) -> list[str]:
        """Return the paths whose change may change the page."""
        objects = {self.object_of(path) for _, path in self.calls}
        return sorted({path for _, path in self.log} | {f"{path}.{UNSEEN}" for path in objects})


class TracedValue:
    """A value of the context that records its use."""

    def __init__(self, path: str, seed: int, recorder: Recorder) -> None:
        object.__setattr__(self, "_at", (path, seed, recorder))

    def _used(self) -> int:
        path, seed, recorder = self._at
        recorder.note(path)
        number = zlib.crc32(f"{path}:{seed}".encode())
        if recorder.affects(path):
            # every other remainder by 2 and 7, and another truth
            number += 11 if number % 3 == 1 else 1
        return number

    def _child(self, key: object) -> Any:
        path, seed, recorder = self._at
        if key != "()" and recorder.changed is None:
            recorder.objects.add(path)
        path = MARK.sub("", f"{path}.{key}")
        if path in recorder.fixed:
            if not isinstance(recorder.fixed[path], dict | list):
                recorder.note(path)
            return recorder.fixed[path]
        return TracedValue(path, seed, recorder)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._child(name)

    def __getitem__(self, key: object) -> Any:
        if isinstance(key, slice):
            self._used()
            return self._child("slice")
        return self._child(key)

    def __call__(self, *args: object, **kwargs: object) -> Any:
        path, seed, recorder = self._at
        self._used()
        recorder.calls.add((tuple(recorder.open), path))
        for arg in (*args, *kwargs.values()):
            if isinstance(arg, TracedValue | str):
                seed += zlib.crc32(MARK.sub("", str(arg)).encode())
        return TracedValue(path, seed, recorder)._child("()")

    def __str__(self) -> str:
        return f"<{self._at[0]}{self._used() % 7}>"

    __repr__ = __str__

    def __bool__(self) -> bool:
        return self._used() % 3 != 0 and self._at[0].count(".") < MAX_SEGMENTS

    def __len__(self) -> int:
        return self._used() % 3

    def __iter__(self) -> Iterator[TracedValue]:
        count = self._used() % 3 if not self._at[0].endswith((".0", ".1", ".()")) else 2
        if self._at[0].count(".") > MAX_SEGMENTS:
            count = 0
        return iter([self._child(at) for at in range(count)])

    def __contains__(self, item: object) -> bool:
        return self._used() % 2 == 0

    def __hash__(self) -> int:
        return self._used()

    def __eq__(self, other: object) -> bool:
        return (self._used() + zlib.crc32(str(other).encode())) % 2 == 0

    def __lt__(self, other: object) -> bool:
        return str(self) < str(other)

    __gt__ = __le__ = __ge__ = __lt__

    def __add__(self, other: object) -> str:
        return f"{self}{other}"

    def __radd__(self, other: object) -> str:
        return f"{other}{self}"

    def __int__(self) -> int:
        return self._used() % 5

    __index__ = __int__

    def __float__(self) -> float:
        return float(int(self))

    def __sub__(self, other: object) -> int:
        return int(self)

    __rsub__ = __mul__ = __rmul__ = __mod__ = __neg__ = __pos__ = __truediv__ = __floordiv__ = __sub__


class MarkingCodeGenerator(CodeGenerator):
    """Compiles templates that mark where each block begins and ends."""

    def visit_Block(self, node: Block, frame: Frame) -> None:
        if frame.toplevel and self.has_known_extends:
            return
        guarded = frame.toplevel and self.extends_so_far > 0
        self._mark("enter", node.name, guarded, frame)
        super().visit_Block(node, frame)
        self._mark("leave", node.name, guarded, frame)

    def visit_Include(self, node: Include, frame: Frame) -> None:
        quiet = frame.buffer is not None
        self.writeline(f"environment.begin_include(context, {quiet})")
        super().visit_Include(node, frame)
        self.writeline(f"environment.end_include({quiet})")

    def _mark(self, code: str, name: str, guarded: bool, frame: Frame) -> None:
        if guarded:
            self.writeline("if parent_template is None:")
            self.indent()
        if frame.buffer is None:
            self.simple_write(f"environment.{code}({name!r}, context)", frame)
        else:
            # captured text may be changed later, together with its marks
            self.writeline(f"environment.{code}({name!r}, context, quiet=True)")
        if guarded:
            self.outdent()


def marking(kind: type[Environment]) -> type[Environment]:
    """Return a subclass of ``kind`` that marks the blocks in its pages.

    A block of an included template is plain text if the page has a block of the same name.
    """

    class MarkingEnvironment(kind):  # type: ignore[valid-type, misc]
        code_generator_class = MarkingCodeGenerator
        recorder: Recorder

        def begin_include(self, context: Context, quiet: bool) -> None:
            self._learn(context)
            self.recorder.included += 1
            self.recorder.quiet += quiet

        def end_include(self, quiet: bool) -> None:
            self.recorder.included -= 1
            self.recorder.quiet -= quiet

        def enter(self, name: str, context: Context, *, quiet: bool = False) -> str:
            self._learn(context)
            if self._is_plain(name):
                return ""
            self.recorder.open.append(name)
            self.recorder.quiet += quiet
            return "" if self.recorder.quiet else f"\x01+{name}\x02"

        def leave(self, name: str, _context: Context, *, quiet: bool = False) -> str:
            if self._is_plain(name):
                return ""
            self.recorder.open.pop()
            mark = "" if self.recorder.quiet else f"\x01-{name}\x02"
            self.recorder.quiet -= quiet
            return mark

        def _learn(self, context: Context) -> None:
            if not self.recorder.included:
                self.recorder.own.update(context.blocks)

        def _is_plain(self, name: str) -> bool:
            return self.recorder.included > 0 and name in self.recorder.own

    return MarkingEnvironment


def slices(text: str) -> dict[str, list[str]]:
    """Return the texts between the marks of each block, without nested marks."""
    found: dict[str, list[str]] = {}
    open_at: list[tuple[str, int]] = []
    for mark in MARK.finditer(text):
        if mark[1] == "+":
            open_at.append((mark[2], mark.end()))
        else:
            name, start = open_at.pop()
            if name != mark[2]:
                return {}
            found.setdefault(name, []).append(MARK.sub("", text[start : mark.start()]))
    return found
