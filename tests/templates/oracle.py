"""The oracle: what the blocks of a page read and contain when the page is rendered.

A modified compiler marks where each block begins and ends, and the values of the context record when they are used
(:mod:`.recording`). Each value represents a whole tree: any attribute, item or call of it is another such value. Its
truth and its text follow from its path and a seed, so that each seed takes different branches.

Reads alone do not show everything: what decides which parent, file or macro is taken is read outside of the blocks
whose text it changes. Therefore the oracle also changes one value at a time and compares the texts
(:mod:`.perturbation`).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jinja2 import DictLoader, Environment, meta
from jinja2.defaults import DEFAULT_NAMESPACE

from starlette_reactive._templates import BlockReads, PageReads, analyse, compile_block

from .perturbation import covered, missed_changes, page_tree
from .recording import Recorder, TracedValue, marking, slices

ADDRESS = re.compile(" at 0x[0-9a-f]+")


@dataclass(slots=True)
class Result:
    """The result for a page, over all seeds."""

    misses: set[str] = field(default_factory=set)
    differences: list[str] = field(default_factory=list)
    compared: int = 0
    changed: int = 0
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
        self.changed += other.changed
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
    changes: int = 0,
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
        changes: How many values to change for each seed, one at a time.
    """
    return _Check(make, page, kind, names, extra or {}, fixed).run(seeds, changes)


class _Check:
    """One check of one page."""

    def __init__(
        self,
        make: Callable[[type[Environment]], Environment],
        page: str,
        kind: type[Environment],
        names: set[str] | None,
        extra: Mapping[str, Any],
        fixed: Mapping[str, Any] | None,
    ) -> None:
        self.page = page
        self.plain, self.marked = make(kind), make(marking(kind))
        self.reads = analyse(self.plain, page)
        loader = self.plain.loader
        assert loader is not None
        self.calls_blocks = any("self." in loader.get_source(self.plain, name)[0] for name in self.reads.templates)
        self.names = names or undeclared(self.plain, self.reads)
        self.extra = extra
        self.recorder, self.other_recorder = Recorder(fixed), Recorder(fixed)
        self.other_recorder.objects = self.recorder.objects
        self.marked.recorder = self.recorder  # type: ignore[attr-defined]
        self.result = Result(blocks=len(self.reads.blocks))

    def run(self, seeds: range, changes: int) -> Result:
        log: set[tuple[tuple[str, ...], str]] = set()
        for seed in seeds:
            text = self.render(seed)
            if text is None:
                continue
            self.result.rendered += 1
            log |= self.recorder.all_reads()
            self.compare_blocks(seed, text)
            paths = self.recorder.changeable()
            for path in random.Random(seed).sample(paths, min(changes, len(paths))):
                self.change(seed, text, path)
        compare_paths(self.reads, log, self.result, calls_blocks=self.calls_blocks)
        return self.result

    def context(self, seed: int, recorder: Recorder) -> dict[str, Any]:
        return {name: TracedValue(name, seed, recorder) for name in self.names} | dict(self.extra)

    def render(self, seed: int, changed: str | None = None) -> str | None:
        """Return the marked page, or None if it does not work with these values."""
        self.recorder.begin(changed)
        try:
            return str(self.marked.get_template(self.page).render(self.context(seed, self.recorder)))
        except Exception as error:  # noqa: BLE001 - a page may not work with these values
            self.result.failed.append(f"{type(error).__name__}: {error}")
            return None

    def change(self, seed: int, before: str, path: str) -> None:
        """Change the value at ``path`` and compare the page with what the analysis says about the change."""
        after = self.render(seed, path)
        if after is None:
            return
        old, new = page_tree(ADDRESS.sub("", before)), page_tree(ADDRESS.sub("", after))
        if old is not None and new is not None:
            self.result.changed += 1
            missed = missed_changes(self.reads, old, new, path, calls_blocks=self.calls_blocks)
            self.result.misses.update(missed)
        self.compare_blocks(seed, after, path)

    def compare_blocks(self, seed: int, text: str, changed: str | None = None) -> None:
        """Compare each block rendered alone with its text in the page."""
        in_page = slices(text)
        self.result.shown |= set(in_page)
        for name, texts in in_page.items():
            block = self.reads.blocks.get(name)
            if block is None or block.alone is not None or any("x02" in text.lower() for text in texts):
                continue
            if len(texts) != 1 and not self.calls_blocks:
                self.result.differences.append(f"{name} is shown {len(texts)} times")
                continue
            self.result.compared += 1
            alone = self.render_alone(name, seed, changed)
            self.result.alone.setdefault(name, set()).update(path for _, path in self.other_recorder.all_reads())
            if not any(ADDRESS.sub("", alone) == ADDRESS.sub("", text) for text in texts):
                self.result.differences.append(f"{name} ({changed}): alone {alone!r}, in the page {texts[0]!r}")

    def render_alone(self, name: str, seed: int, changed: str | None) -> str:
        self.other_recorder.begin(changed)
        try:
            return compile_block(self.plain, self.page, name).render(self.context(seed, self.other_recorder))
        except Exception as error:  # noqa: BLE001 - it is reported
            return f"{type(error).__name__}: {error}"


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
