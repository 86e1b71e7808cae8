"""The oracle: what the blocks of a page read and contain when the page is rendered.

A modified compiler marks where each block begins and ends, and the values of the context record when they are used.
Each value represents a whole tree: any attribute, item or call of it is another such value. Its truth and its text
follow from its path and a seed, so that each seed takes different branches.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jinja2 import DictLoader, Environment, meta
from jinja2.compiler import CodeGenerator, Frame
from jinja2.defaults import DEFAULT_NAMESPACE
from jinja2.nodes import Block, Include

from starlette_reactive._templates import BlockReads, PageReads, analyse, compile_block

MAX_SEGMENTS = 12
"""A value with more segments than this is false and empty, so that recursion ends."""
ADDRESS = re.compile(" at 0x[0-9a-f]+")
MARK = re.compile("\x01([+-])([^\x02]*)\x02")


class Recorder:
    """Records each path that is read, with the blocks that are open."""

    def __init__(self, fixed: Mapping[str, Any] | None = None) -> None:
        self.fixed: Mapping[str, Any] = fixed or {}
        self.open: list[str] = []
        self.log: set[tuple[tuple[str, ...], str]] = set()
        self.quiet = 0

    def begin(self) -> None:
        """Reset for a new page."""
        self.open.clear()
        self.log.clear()
        self.quiet = 0

    def note(self, path: str) -> None:
        self.log.add((tuple(self.open), path))


class TracedValue:
    """A value of the context that records its use."""

    def __init__(self, path: str, seed: int, recorder: Recorder) -> None:
        object.__setattr__(self, "_at", (path, seed, recorder))

    def _used(self) -> int:
        path, seed, recorder = self._at
        recorder.note(path)
        return zlib.crc32(f"{path}:{seed}".encode())

    def _child(self, key: object) -> Any:
        path, seed, recorder = self._at
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
        self._used()
        for arg in (*args, *kwargs.values()):
            if isinstance(arg, TracedValue):
                arg._used()
        return self._child("()")

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
        if frame.buffer is not None:
            self.writeline("environment.hush(1)")
        super().visit_Include(node, frame)
        if frame.buffer is not None:
            self.writeline("environment.hush(-1)")

    def _mark(self, code: str, name: str, guarded: bool, frame: Frame) -> None:
        if guarded:
            self.writeline("if parent_template is None:")
            self.indent()
        if frame.buffer is None:
            self.simple_write(f"environment.{code}({name!r})", frame)
        else:
            # captured text may be changed later, together with its marks
            self.writeline(f"environment.{code}({name!r}, quiet=True)")
        if guarded:
            self.outdent()


def marking(kind: type[Environment]) -> type[Environment]:
    """Return a subclass of ``kind`` that marks the blocks in its pages."""

    class MarkingEnvironment(kind):  # type: ignore[valid-type, misc]
        code_generator_class = MarkingCodeGenerator
        recorder: Recorder

        def hush(self, by: int) -> None:
            self.recorder.quiet += by

        def enter(self, name: str, *, quiet: bool = False) -> str:
            self.recorder.open.append(name)
            self.recorder.quiet += quiet
            return "" if self.recorder.quiet else f"\x01+{name}\x02"

        def leave(self, name: str, *, quiet: bool = False) -> str:
            self.recorder.open.pop()
            mark = "" if self.recorder.quiet else f"\x01-{name}\x02"
            self.recorder.quiet -= quiet
            return mark

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


@dataclass(slots=True)
class Result:
    """The result for a page, over all seeds."""

    misses: set[str] = field(default_factory=set)
    differences: list[str] = field(default_factory=list)
    compared: int = 0
    rendered: int = 0
    failed: list[str] = field(default_factory=list)
    reported: set[tuple[str, str]] = field(default_factory=set)
    hit: set[tuple[str, str]] = field(default_factory=set)
    everything: set[str] = field(default_factory=set)
    blocks: int = 0
    shown: set[str] = field(default_factory=set)
    alone: dict[str, set[str]] = field(default_factory=dict)

    def add(self, other: Result, name: str) -> None:
        self.misses |= {f"{name}: {miss}" for miss in other.misses}
        self.differences += [f"{name}: {each}" for each in other.differences]
        self.compared += other.compared
        self.rendered += other.rendered
        self.failed += [f"{name}: {each}" for each in other.failed]
        self.reported |= {(f"{name}:{block}", path) for block, path in other.reported}
        self.hit |= {(f"{name}:{block}", path) for block, path in other.hit}
        self.everything |= {f"{name}:{block}" for block in other.everything}
        self.blocks += other.blocks

    @property
    def precision(self) -> float:
        """The share of the paths reported for shown blocks that some rendering reads."""
        return len(self.hit) / len(self.reported) if self.reported else 1.0


def check(
    make: Callable[[type[Environment]], Environment],
    page: str,
    *,
    kind: type[Environment] = Environment,
    seeds: range = range(8),
    names: set[str] | None = None,
    extra: Mapping[str, Any] | None = None,
    fixed: Mapping[str, Any] | None = None,
) -> Result:
    """Compare the analysis of ``page`` with what the page reads and contains when it is rendered.

    Args:
        make: Makes an environment of the given class.
        page: The page's template.
        kind: The class of environments.
        seeds: The seeds, with one rendering each.
        names: The names in the context. Defaults to those that the templates look up.
        extra: Further values of the context.
        fixed: Values at given paths of the context.
    """
    plain, marked = make(kind), make(marking(kind))
    reads = analyse(plain, page)
    loader = plain.loader
    assert loader is not None
    calls_blocks = any("self." in loader.get_source(plain, name)[0] for name in reads.templates)
    recorder: Recorder = Recorder(fixed)
    marked.recorder = recorder  # type: ignore[attr-defined]
    result = Result(blocks=len(reads.blocks))
    log: set[tuple[tuple[str, ...], str]] = set()
    for seed in seeds:
        wanted = names or undeclared(plain, reads)
        context = {name: TracedValue(name, seed, recorder) for name in wanted} | dict(extra or {})
        other_recorder = Recorder(fixed)
        again = {name: TracedValue(name, seed, other_recorder) for name in wanted} | dict(extra or {})
        recorder.begin()
        try:
            text = marked.get_template(page).render(context)
        except Exception as error:  # noqa: BLE001 - a page may not work with these values
            result.failed.append(f"{type(error).__name__}: {error}")
            continue
        result.rendered += 1
        log |= recorder.log
        compare_blocks(plain, page, reads, slices(str(text)), again, other_recorder, result, calls_blocks=calls_blocks)
    compare_paths(reads, log, result, calls_blocks=calls_blocks)
    return result


def compare_blocks(
    env: Environment,
    page: str,
    reads: PageReads,
    in_page: dict[str, list[str]],
    context: dict[str, Any],
    other_recorder: Recorder,
    result: Result,
    *,
    calls_blocks: bool,
) -> None:
    """Compare each block rendered alone with its text in the page."""
    result.shown |= set(in_page)
    for name, texts in in_page.items():
        block = reads.blocks.get(name)
        if block is None or block.alone is not None or any("x02" in text.lower() for text in texts):
            continue
        if len(texts) != 1 and not calls_blocks:
            result.differences.append(f"{name} is shown {len(texts)} times")
            continue
        result.compared += 1
        other_recorder.begin()
        try:
            alone = compile_block(env, page, name).render(context)
        except Exception as error:  # noqa: BLE001 - it is reported
            alone = f"{type(error).__name__}: {error}"
        result.alone.setdefault(name, set()).update(path for _, path in other_recorder.log)
        if not any(ADDRESS.sub("", alone) == ADDRESS.sub("", text) for text in texts):
            result.differences.append(f"{name}: alone {alone!r}, in the page {texts[0]!r}")


def compare_paths(
    reads: PageReads, log: set[tuple[tuple[str, ...], str]], result: Result, *, calls_blocks: bool = False
) -> None:
    """Compare what was read with what the analysis reports."""
    read: dict[str, set[str]] = {}
    for stack, path in log:
        around = [reads.blocks[name] for name in reversed(stack) if name in reads.blocks]
        block = around[0] if around else None
        read.setdefault(block.name if block else "", set()).add(path)
        paths = block.paths if block is not None else reads.outside
        if calls_blocks and around:
            # the text of self.name() belongs to the block that calls it
            paths = paths.union(*(each.paths for each in around))
        if not covered(path, paths):
            result.misses.add(f"{block.name if block else 'outside'} reads {path}, not in {sorted(paths)}")
    for block in reads.blocks.values():
        if block.name in result.shown:
            # statements that a block depends on run before it in the page, but as part of it when it is rendered alone
            _count_hits(block, read.get(block.name, set()) | result.alone.get(block.name, set()), result)


def _count_hits(block: BlockReads, read: set[str], result: Result) -> None:
    if "*" in block.paths:
        result.everything.add(block.name)
        return
    for path in block.paths:
        result.reported.add((block.name, path))
        if any(each == path or each.startswith(f"{path}.") for each in read):
            result.hit.add((block.name, path))


def covered(path: str, paths: frozenset[str]) -> bool:
    """Return whether a change of ``path`` itself affects a block that reads ``paths``."""
    return any(known in ("*", path) or path.startswith(f"{known}.") for known in paths)


def undeclared(env: Environment, reads: PageReads) -> set[str]:
    """Return the names that the templates of a page look up and do not define."""
    assert env.loader is not None
    names: set[str] = set()
    for template in reads.templates:
        names |= meta.find_undeclared_variables(env.parse(env.loader.get_source(env, template)[0], template))
    return names - set(DEFAULT_NAMESPACE) - {"gettext", "ngettext", "pgettext", "npgettext", "_"}


def environments_of(templates: Mapping[str, str], **options: Any) -> Callable[[type[Environment]], Environment]:
    """Return a factory of environments with templates given as strings."""

    def make(kind: type[Environment]) -> Environment:
        return kind(loader=DictLoader(dict(templates)), **options)

    return make
