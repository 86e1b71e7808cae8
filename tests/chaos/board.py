"""What the pages of a scope should show.

What a viewer should show is exact. Each scope has a history of its values, one step for each change, made one after
another. For each block a viewer remembers the last step that it was to be told of: the step of its page, then each
change of that block, or of one around it, that was for everybody, for the viewer's user, or the viewer's own. The block
then shows the values of that step or of a later one, all of one and the same step. If the last change was for everybody
it shows the newest values, as a fresh page does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .dom import own_rows, own_values
from .member import Member
from .state import PATHS, ROW_PATHS, State, rows_of
from .viewer import Viewer

BLOCKS = {
    "single": ["p0"],
    "pair": ["p1", "p2"],
    "sums": ["total"],
    "addends": ["p3", "p4", "p5"],
    "again": ["p0", "p6"],
    "rest": ["p7", "p8", "p9"],
    "tree": ["p10", "p11"],
    "branch": ["p12", "p13"],
    "leaf": ["p14", "p15"],
    "twig": ["p16"],
    "wide": ["p17", "p18"],
    "heavy": ["p19"],
    "list": ["rows"],
}
"""What each block of the page shows itself, written down again so that the server is not its own judge."""
INSIDE = {"tree": {"branch", "leaf", "twig"}, "branch": {"leaf"}}
SHARED = ("single", "pair", "sums", "addends", "rest", "leaf", "twig", "wide", "heavy", "list")
"""The blocks that members with an equal key share."""
DERIVED = {"total": ("p3", "p4", "p5"), "rows": ROW_PATHS}

Step = tuple[int, ...]
Shown = tuple[int, ...] | tuple[tuple[str, int], ...]


class StaleError(AssertionError):
    """When the changes had stopped, a page did not show what it should."""


class ForeignError(AssertionError):
    """A member was sent something that was not meant for it."""


def values_of(block: str, step: Step) -> Shown:
    """Return what a block shows of a step's values."""
    by_path = dict(zip(PATHS, step, strict=True))
    if block == "list":
        return rows_of(by_path)
    by_path["total"] = sum(by_path[each] for each in DERIVED["total"])
    return tuple(by_path[path] for path in BLOCKS[block])


def shown_in(page: str, block: str) -> Shown:
    """Return what a block of a page shows itself. Of the list, it is the rows in their order."""
    return own_rows(page, block) if block == "list" else own_values(page, block, BLOCKS[block])


def blocks_showing(paths: set[str]) -> set[str]:
    """Return the blocks that a change of these paths renders anew, those inside included."""
    changed = paths | {path for path, sources in DERIVED.items() if paths & set(sources)}
    shown = {block for block, own in BLOCKS.items() if changed & set(own)}
    return shown.union(*(INSIDE.get(block, set()) for block in shown))


class Board:
    """One scope: its history, and who views it."""

    def __init__(self, name: str, state: State) -> None:
        self.name = name
        self.state = state
        self.history: list[Step] = [state.read(name)]
        self.viewers: list[Viewer] = []
        self.lock = asyncio.Lock()  # held from a change to its note, so that the history has their order

    def note_load(self, viewer: Viewer) -> None:
        """A page that is asked for now shows this step, or a later one."""
        viewer.seen = dict.fromkeys(BLOCKS, len(self.history) - 1)

    def note_change(self, paths: set[str], told: Callable[[Viewer], bool]) -> None:
        """Take down what the data is after a change, and for whom the change was."""
        self.history.append(self.state.read(self.name))
        blocks = blocks_showing(paths)
        for viewer in self.viewers:
            if told(viewer):
                viewer.seen.update(dict.fromkeys(blocks, len(self.history) - 1))

    def faults_of(self, viewer: Viewer, fresh: str) -> list[str]:
        """Return what is wrong with a viewer's page."""
        if viewer.page is None:
            return ["it has no page"]
        wrong = []
        newest = True
        for block in BLOCKS:
            shown = shown_in(viewer.page, block)
            first = viewer.seen[block]
            newest = newest and shown == values_of(block, self.history[-1])
            if not any(values_of(block, step) == shown for step in reversed(self.history[first:])):
                wrong.append(f"{block} shows {shown}; since step {first} it is {values_of(block, self.history[-1])}")
        if newest and viewer.content != fresh:
            wrong.append("the page differs from a fresh one, though it shows the same values")
        if isinstance(viewer, Member):
            wrong += viewer.faults()
        return wrong
