"""What a check says: an issue with a place and a mend, its category, and how severe it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["CATEGORIES", "Issue", "Severity"]


class Severity(StrEnum):
    """How severe an issue is; only errors make the check fail."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that cannot work, or may not.

    Args:
        severity: How severe it is.
        category: The rule that says so; see :data:`CATEGORIES`.
        template: The template in which it stands; None: in none.
        line: The line there, counted from 1; None: the template as a whole.
        message: What is wrong, and what follows from it.
        mend: What to write instead.
    """

    severity: Severity
    category: str
    template: str | None
    line: int | None
    message: str
    mend: str

    @property
    def place(self) -> str:
        """Where it is, as ``template:line``."""
        if self.template is None:
            return "-"
        return self.template if self.line is None else f"{self.template}:{self.line}"


CATEGORIES: Final[Mapping[str, str]] = {
    "template": "A template does not load or parse.",
    "reactive_block": "A BlockRef names a block or a template that does not exist.",
    "reactive_cycle": "Derived paths are derived from each other in a circle.",
    "reactive_paths": "A path is emitted that no live block shows.",
    "reactive_audience": "Changes are emitted to an audience in a scope whose streams do not know their users.",
    "sse_self_swap": "An element with sse-connect swaps its own content or place away.",
    "sse_scope": "The messages of a stream are swapped into an element outside of those that show them.",
    "sse_dialect": "Markup of one version of htmx in a page that loads another.",
    "sse_event_name": "An event has a name that the browser uses itself.",
    "swap_target": "An element to swap into is missing, is there more than once, or takes the connection with it.",
    "swap_safety": "An element with sse-swap takes a target or a swap style that does not fit it.",
    "select_inheritance": "An inherited hx-select empties answers that are meant for another place.",
    "swap_morph": "hx-swap=morph on an element with sse-swap.",
    "sse_crossref": "An element listens to an event that nothing sends.",
    "block_alone": "A live block cannot be rendered alone.",
    "block_target": "A block is registered as live and has no element to go to.",
    "block_editable": "A live block holds what a person edits, and an update takes it away.",
    "autoescape": "A template with live blocks is rendered without autoescaping.",
    "block_unknown": "What a live block reads is not known, so every change renders it.",
    "viewer_name": "A shared page shows what belongs to one viewer.",
    "yield_dependency": "A stream's endpoint holds a dependency with yield open for as long as the stream lives.",
}
"""Every category, with what it is about."""
