"""Issues: what is wrong, where, how to fix it, its category and its severity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from .._templates import BlockReads, Element
from .page_tree import Node

__all__ = ["CATEGORIES", "Issue", "Severity", "block_issue", "element_issue"]


class Severity(StrEnum):
    """How severe an issue is. Only errors make the check fail."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that cannot work, or may not.

    Args:
        severity: How severe it is.
        category: The rule that found it, one of :data:`CATEGORIES`.
        template: The template to change. ``None`` if the issue is not in a template.
        line: The line there, counted from 1. ``None`` for the template as a whole.
        message: What is wrong, and what follows from it.
        fix: How to fix it.
    """

    severity: Severity
    category: str
    template: str | None
    line: int | None
    message: str
    fix: str

    @property
    def place(self) -> str:
        """The location, as ``template:line``."""
        if self.template is None:
            return "-"
        return self.template if self.line is None else f"{self.template}:{self.line}"


CATEGORIES: Final[Mapping[str, str]] = {
    "template": "A template does not load or parse.",
    "reactive_block": "A BlockRef names a block or a template that does not exist.",
    "reactive_cycle": "Derived paths are derived from each other in a cycle.",
    "reactive_paths": "An emitted path is not shown by any live block.",
    "no_scope": "A page has no scope, and no database is tracked.",
    "reactive_audience": "Changes are emitted to an audience in a scope whose streams do not know their users.",
    "sse_self_swap": "An element with sse-connect swaps away its own content or itself.",
    "sse_scope": "The messages of a stream are swapped into an element outside those that show them.",
    "sse_dialect": "A page uses markup of one htmx version and loads another.",
    "sse_event_name": "An event has a name that the browser uses itself.",
    "swap_target": "A swap target is missing, is not unique, or contains the connection.",
    "swap_safety": "The target or swap style of an element with sse-swap does not fit it.",
    "select_inheritance": "An inherited hx-select empties responses that are meant for another place.",
    "swap_morph": "An element with sse-swap uses hx-swap=morph.",
    "sse_crossref": "An element listens for an event that nothing sends.",
    "block_alone": "A live block cannot be rendered alone.",
    "block_target": "A registered block has no element to go to.",
    "block_markup": "The HTML parser builds the element of a live block in another way than the template says.",
    "block_not_live": "A block looks live and is not, or only in part.",
    "no_live_block": "A page calls live(), and no block of it is live.",
    "not_connected": "A page that an endpoint declares never calls live().",
    "live_script_needed": "A live block contains what only the live script updates as a reload shows it.",
    "block_editable": "A live block contains user input that an update discards.",
    "csrf_token": "A live block contains a CSRF token.",
    "appended_items": "A request appends to a live block, and the next update removes what it appended.",
    "query_without_script": "A request shows a live block for a query that the updates of the block do not have.",
    "deferred_value": "A deferred value has no placeholder, or is shown where no update brings it.",
    "autoescape": "A template with live blocks is rendered without autoescaping.",
    "block_unknown": "The paths that a live block reads are unknown, so every change renders it.",
    "unkeyed_rows": "A live list whose rows have ids is sent whole when one of its rows changes.",
    "viewer_name": "A shared page shows data that belongs to one viewer.",
    "cookie_middleware": "Open streams do not notice that the cookies of their browser change.",
    "shared_request": "A live block of a shared page may show what depends on the request of a viewer.",
    "personal_block": "A block is rendered for each viewer only because of what is in it, or of what it may read.",
    "could_share": "A page is rendered for each viewer, and reads no name that belongs to one viewer.",
    "client_script": "A page calls live() and does not load what applies its updates.",
    "htmx_version": "The version of htmx that a page loads cannot be determined.",
    "reactive_scopes": "A page has a scope that nothing is emitted to.",
    "package_version": "An installed package is older than supported.",
    "yield_dependency": "A stream's endpoint keeps a dependency with yield open for the life of the stream.",
}
"""Every category with its description."""


def element_issue(
    severity: Severity, category: str, element: Element | Node, message: str, fix: str, attribute: str | None = None
) -> Issue:
    """Return an issue at an attribute of an element, or at its tag if it lacks the attribute or none is given."""
    location = (element.element if isinstance(element, Node) else element).place(attribute)
    return Issue(severity, category, location.template, location.line, message, fix)


def block_issue(severity: Severity, category: str, reads: BlockReads, message: str, fix: str) -> Issue:
    """Return an issue at a block's tag."""
    return Issue(severity, category, reads.template, reads.line, message, fix)
