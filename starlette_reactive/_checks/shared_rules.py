"""Rules for the live blocks of pages whose renders serve several viewers.

With ``shared=True`` they show what belongs to nobody, and depends on the request of nobody. With ``share=`` those that
are not personal show the same to all viewers with an equal key.
"""

from __future__ import annotations

import gettext
import inspect
from collections.abc import Iterator, Set

from jinja2 import Environment

from .._core.blocks import BlockRef
from .._core.callables import name_of
from .._index.index import registry_of
from .._index.personal import Personal
from .._templates import BlockReads
from .context_processors import names_from_request
from .description import AppDescription, DeclaredPage, Sharing
from .issues import Issue, Severity, block_issue
from .page_tree import PageTree

__all__ = ["check_sharing"]


def check_sharing(tree: PageTree, page: DeclaredPage, app: AppDescription) -> Iterator[Issue]:
    """Check who shares the renders of a page's live blocks: whether they may, and whether more viewers could."""
    personal = page.personal(app.viewer_names)
    if page.sharing is Sharing.VIEWER:
        if page.index.blocks() and not personal and not _reads_request(tree, page, app):
            yield _could_share(tree, page)
        return
    for ref in page.index.blocks():
        reads = tree.reads.blocks.get(ref.block_name)
        if reads is None:
            continue
        if page.sharing is Sharing.ALL:
            yield from _check_viewer_names(reads, _names(tree, page, ref) & app.viewer_names)
        elif ref in personal:
            yield from _check_personal(reads, page, ref, personal[ref])
            continue
        yield from _check_processors(reads, page, _names(tree, page, ref) - app.viewer_names, app)
    yield from _check_translations(tree, page, personal.keys() if page.sharing is Sharing.KEY else frozenset())


def _names(tree: PageTree, page: DeclaredPage, ref: BlockRef) -> set[str]:
    """Return the context variables that a block's HTML depends on. It contains the blocks nested in it."""
    paths = set(page.index.block_dependencies(*ref.key))
    for block in tree.reads.blocks.values():
        if ref.block_name in (block.name, *tree.reads.enclosing(block.name)):
            paths |= block.paths
    return {path.partition(".")[0] for path in paths}


def _reads_request(tree: PageTree, page: DeclaredPage, app: AppDescription) -> bool:
    """Return whether a live block reads a name that a context processor may find in the request."""
    names = {name for ref in page.index.blocks() for name in _names(tree, page, ref)}
    return any(names & names_from_request(processor) for processor in app.context_processors)


def _could_share(tree: PageTree, page: DeclaredPage) -> Issue:
    reads = (tree.reads.blocks.get(ref.block_name) for ref in page.index.blocks())
    line = next((each.line for each in reads if each is not None and each.template == tree.name), None)
    scopes = " with the scope" + f"{'' if len(page.scopes) == 1 else 's'} {' and '.join(map(repr, page.scopes))}"
    return Issue(
        Severity.INFO,
        "could_share",
        tree.name,
        line,
        f"the page{scopes if page.scopes else ''} could be shared: no live block of it reads a name that belongs to "
        "one viewer, and each change runs its endpoint for each viewer",
        "add share=, a function of the request, if viewers with, for example, an equal role see the same; declare it "
        "with shared=True if everybody sees the same without credentials; otherwise leave it as it is, and ignore this",
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


def _check_personal(reads: BlockReads, page: DeclaredPage, ref: BlockRef, reason: Personal) -> Iterator[Issue]:
    """Report a block that would be rendered for all viewers with an equal key, if it were written differently."""
    if (reason.name is not None and reason.block == ref.block_name) or not page.index.block_dependencies(*ref.key):
        return
    if reason.block != ref.block_name:
        fix = f"move the block {reason.block!r} out of the block {ref.block_name!r}"
    else:
        fix = "write the template's name as a constant, or pass values to the function as arguments"
    yield block_issue(
        Severity.INFO,
        "personal_block",
        reads,
        f"changes render the block {ref.block_name!r} for each viewer, and not once for each key of share=, because it "
        f"{reason.describe(ref.block_name)}",
        fix,
    )


def _check_processors(reads: BlockReads, page: DeclaredPage, names: set[str], app: AppDescription) -> Iterator[Issue]:
    for processor in app.context_processors:
        supplied = names & names_from_request(processor)
        if not supplied:
            continue
        name = min(supplied)
        found = f"which {name_of(processor)}, a context processor, may find in the request"
        if page.sharing is Sharing.ALL:
            message = (
                f"the live block {reads.name!r} of the shared page reads {name!r}, {found}, and an update of a shared "
                "page has the request of no viewer: all viewers are shown what it returns without one"
            )
            fix = (
                "move what differs between viewers out of live blocks, or exclude the block with exclude_blocks=, or "
                "declare the page without shared=True; return what is the same for everybody from the endpoint"
            )
        else:
            message = (
                f"the live block {reads.name!r} of the page with share= reads {name!r}, {found}: all viewers with an "
                "equal key are shown what it returns for one of them"
            )
            fix = (
                f"add {name!r} to viewer_names=, so that the block is rendered for each viewer, or let the key contain "
                "what it depends on, and ignore this"
            )
        yield block_issue(Severity.WARNING, "shared_request", reads, message, fix)


def _check_translations(tree: PageTree, page: DeclaredPage, personal: Set[BlockRef]) -> Iterator[Issue]:
    env = registry_of(page.index).environment(page.template_name)
    if env is None or not _translates_by_request(env):
        return
    live = {ref.block_name for ref in page.index.blocks()}
    translating = {tree.reads.nearest(each.name, live) for each in tree.reads.blocks.values() if each.translates}
    for ref in page.index.blocks():
        reads = tree.reads.blocks.get(ref.block_name)
        if reads is None or ref.block_name not in translating or ref in personal:
            continue
        if page.sharing is Sharing.ALL:
            message = (
                f"the live block {reads.name!r} of the shared page is translated, and an update of a shared page has "
                "no cookie and no header that names a language: all viewers are shown the language of the update"
            )
            fix = (
                "let the path or the query of the page name the language, or exclude the block with exclude_blocks=, "
                "or declare the page without shared=True"
            )
        else:
            message = (
                f"the live block {reads.name!r} of the page with share= is translated: all viewers with an equal key "
                "are shown the language of one of them"
            )
            fix = "let the key contain the language, and ignore this"
        yield block_issue(Severity.WARNING, "shared_request", reads, message, fix)


def _translates_by_request(env: Environment) -> bool:
    """Return whether text may be translated into another language for each request."""
    function = env.globals.get("gettext")
    if function is None:
        return False
    if inspect.isfunction(function) and function.__module__ == "jinja2.ext":  # "newstyle" wraps the application's own
        function = inspect.getclosurevars(function).nonlocals.get("func", function)
    return not isinstance(getattr(function, "__self__", None), gettext.NullTranslations)
