"""Rules for shared pages: their live blocks show what belongs to nobody, and depends on the request of nobody."""

from __future__ import annotations

import gettext
import inspect
from collections.abc import Iterator

from jinja2 import Environment

from .._core.callables import name_of
from .._index.index import registry_of
from .._templates import BlockReads
from .context_processors import names_from_request
from .description import AppDescription, DeclaredPage
from .issues import Issue, Severity, block_issue
from .page_tree import PageTree

__all__ = ["check_shared_page"]


def check_shared_page(tree: PageTree, page: DeclaredPage, app: AppDescription) -> Iterator[Issue]:
    """Check the live blocks of a page, if it is shared."""
    if not page.shared:
        return
    env = registry_of(page.index).environment(page.template_name)
    depends_on_request = env is not None and _translates_by_request(env)
    live = {ref.block_name for ref in page.index.blocks()}
    translating = {tree.reads.nearest(each.name, live) for each in tree.reads.blocks.values() if each.translates}
    for ref in page.index.blocks():
        reads = tree.reads.blocks.get(ref.block_name)
        if reads is None:
            continue
        names = {path.partition(".")[0] for path in page.index.block_dependencies(*ref.key)}
        yield from _check_viewer_names(reads, names & app.viewer_names)
        yield from _check_processors(reads, names - app.viewer_names, app)
        if depends_on_request and ref.block_name in translating:
            yield block_issue(
                Severity.WARNING,
                "shared_request",
                reads,
                f"the live block {reads.name!r} of the shared page is translated, and an update of a shared page has "
                "no cookie and no header that names a language: all viewers are shown the language of the update",
                "let the path or the query of the page name the language, or exclude the block with exclude_blocks=, "
                "or declare the page without shared=True",
            )


def _check_viewer_names(reads: BlockReads, names: set[str]) -> Iterator[Issue]:
    if names:
        yield block_issue(
            Severity.ERROR,
            "viewer_name",
            reads,
            f"the block {reads.name!r} of the shared page reads {min(names)!r}, which belongs to one viewer",
            "exclude the block with exclude_blocks=, or declare the page without shared=True",
        )


def _check_processors(reads: BlockReads, names: set[str], app: AppDescription) -> Iterator[Issue]:
    for processor in app.context_processors:
        supplied = names & names_from_request(processor)
        if supplied:
            yield block_issue(
                Severity.WARNING,
                "shared_request",
                reads,
                f"the live block {reads.name!r} of the shared page reads {min(supplied)!r}, which "
                f"{name_of(processor)}, a context processor, may find in the request, and an update of a shared page "
                "has the request of no viewer: all viewers are shown what it returns without one",
                "move what differs between viewers out of live blocks, or exclude the block with exclude_blocks=, or "
                "declare the page without shared=True; return what is the same for everybody from the endpoint",
            )


def _translates_by_request(env: Environment) -> bool:
    """Return whether text may be translated into another language for each request."""
    function = env.globals.get("gettext")
    if function is None:
        return False
    if inspect.isfunction(function) and function.__module__ == "jinja2.ext":  # "newstyle" wraps the application's own
        function = inspect.getclosurevars(function).nonlocals.get("func", function)
    return not isinstance(getattr(function, "__self__", None), gettext.NullTranslations)
