"""Things that the package does and that the server can be told to leave out: the harness has to notice each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette_reactive._bus.hub import Hub, Location
from starlette_reactive._core.rows import KeyedText, RowChange
from starlette_reactive._pages.viewer_share import ViewerShare
from starlette_reactive._streams import row_changes
from starlette_reactive._streams.feed import Feed


def _what_changed_before() -> None:
    """Whatever cursor a viewer sends, report nothing as changed before its stream began."""
    locate = Hub.locate

    def locate_now(self: Hub, scope: str, cursor: str | None, others: Sequence[str] = ()) -> Location:
        return locate(self, scope, None, others)

    Hub.locate = locate_now  # type: ignore[method-assign]


def _keys() -> None:
    """Ask for no key before something is sent."""
    ViewerShare.check = lambda self: None  # type: ignore[method-assign]


def _replaced_blocks() -> None:
    """Do not send again what a personal block has replaced."""
    Feed.replaced = lambda self, viewer, blocks, since: None  # type: ignore[method-assign]


def _rows() -> None:
    """Send what precedes the rows of a list as all that is left of it, if a row differs."""

    def nothing(before: KeyedText, after: KeyedText) -> RowChange:
        return RowChange(before.version, after.version, ((0, 1),), ())

    vars(row_changes)["changed_rows"] = nothing


_CONTROLS: dict[str, Callable[[], None]] = {
    "what changed before": _what_changed_before,
    "keys": _keys,
    "replaced blocks": _replaced_blocks,
    "rows": _rows,
}


def lose(name: str) -> None:
    """Leave something out; without a name, nothing."""
    if name:
        _CONTROLS[name]()
