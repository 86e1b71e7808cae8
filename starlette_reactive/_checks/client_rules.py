"""Rules for what a page under ``@reactive.page`` loads: a script at all, htmx, its extension, and their versions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from .issues import Issue, Severity, element_issue
from .page_tree import Node, PageTree

__all__ = ["OLDEST_HTMX", "check_client"]

OLDEST_HTMX: Final = (2, 0, 11)
"""The oldest htmx that applies the updates of a page without the live script."""
_EXTENSIONS: Final = {
    2: re.compile(r"htmx-ext-sse|ext/sse|/sse(\.min)?\.js", re.IGNORECASE),
    4: re.compile(r"hx-sse(\.min)?\.js", re.IGNORECASE),
}
_EXTENSION_NAMES: Final = {2: "htmx-ext-sse", 4: "hx-sse.js"}
_NOT_EXECUTED: Final = re.compile(r"json|importmap|template|speculationrules", re.IGNORECASE)
_SCRIPT: Final = "write {{ live_scripts() }} in its head"
_NAMES_HTMX: Final = re.compile(r"htmx|idiomorph", re.IGNORECASE)


def check_client(tree: PageTree, *, uses_htmx: bool) -> Iterator[Issue]:
    """Check what a declared page loads to apply its updates, unless that is the live script.

    Args:
        tree: The page.
        uses_htmx: Whether htmx receives the updates.
    """
    if tree.live_script or tree.sink is None:
        return
    scripts = [node for node in tree.nodes if node.tag == "script" and not _NOT_EXECUTED.search(node.get("type") or "")]
    if not scripts:
        yield Issue(
            Severity.WARNING,
            "client_script",
            tree.sink.template,
            tree.sink.line,
            "the page calls live() and has no <script>, so nothing applies its updates",
            f"{_SCRIPT}; ignore this if a function that the page calls writes its script tags",
        )
    elif uses_htmx and tree.htmx.script is not None:
        yield from _check_version(tree)
        yield from _check_extension(tree, scripts)


def _check_version(tree: PageTree) -> Iterator[Issue]:
    version, script, oldest = tree.htmx.version, tree.htmx.script, ".".join(map(str, OLDEST_HTMX))
    if script is None or version >= OLDEST_HTMX[: len(version) or None]:
        return
    if version:
        message = f"htmx {'.'.join(map(str, version))} silently drops the updates of a page under @reactive.page"
        fix = f"load htmx {oldest} or later, or {_SCRIPT.removeprefix('write ')}"
        yield element_issue(Severity.ERROR, "sse_dialect", script, message, fix, "src")
        return
    yield element_issue(
        Severity.WARNING,
        "htmx_version",
        script,
        f"the script tag does not name the version of htmx, and one before {oldest} silently drops the updates of the "
        "page",
        f'name the version in the address, such as htmx.min.js?v={oldest}, or write htmx = "{oldest}" below '
        "[tool.starlette-reactive] in pyproject.toml",
        "src",
    )


def _check_extension(tree: PageTree, scripts: list[Node]) -> Iterator[Issue]:
    major, script = tree.htmx.major, tree.htmx.script
    if script is None or not tree.htmx.version or _EXTENSIONS[major].search(tree.text):
        return
    others = [node for node in scripts if node.element is not script and not _NAMES_HTMX.search(node.get("src") or "")]
    yield element_issue(
        Severity.WARNING if others else Severity.ERROR,
        "client_script",
        script,
        f"the page loads htmx {major} without its extension for Server-Sent Events, so it does not connect",
        f"load {_EXTENSION_NAMES[major]} after htmx, or {_SCRIPT}, which needs no extension"
        + ("; ignore this if another script of the page contains the extension" if others else ""),
        "src",
    )
