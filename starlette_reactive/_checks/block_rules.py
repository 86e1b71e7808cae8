"""Rules for live blocks: what they need to be rendered alone, where they go, and what an update must not destroy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .._clients import WIRES
from .._core.paths import ALL
from .._core.suggestions import did_you_mean
from .deferred_rules import check_deferred
from .description import AppDescription
from .issues import Issue, Severity, block_issue, element_issue
from .live_blocks import LiveBlock, block_shown_by, listeners_for, live_blocks, sendable_names
from .liveness_rules import check_liveness
from .page_tree import Node, PageTree, are_exclusive
from .request_rules import check_requests
from .row_rules import check_rows
from .script_rules import check_without_script
from .shared_rules import check_sharing
from .token_rules import check_tokens

__all__ = ["check_blocks"]

_TYPED = frozenset(
    {
        "",
        "text",
        "search",
        "email",
        "url",
        "tel",
        "password",
        "number",
        "date",
        "time",
        "datetime-local",
        "month",
        "week",
    }
)
"""The types of ``<input>`` that a user types into."""


def check_blocks(tree: PageTree, app: AppDescription, *, escapes: bool, is_page: bool) -> Iterator[Issue]:
    """Check the live blocks of a page.

    Args:
        tree: The page.
        app: The application.
        escapes: Whether the page's template is rendered with autoescaping.
        is_page: Whether the template is a whole page, and not only a source of registered blocks.
    """
    blocks = live_blocks(tree, app)
    declared = app.pages_of(tree.name)
    for block in blocks:
        yield from _check_alone(tree, block, blocks)
        yield from _check_unknown(block)
        if is_page:
            yield from _check_target(tree, block, bool(declared))
    yield from _check_hx_targets(tree)
    if declared:
        yield from _check_loops(tree, blocks)
        yield from check_rows(tree, blocks)
    if blocks and not escapes:
        yield _autoescape_issue(tree)
    morphs = tree.htmx.major >= 4 or (
        len(declared) > 0 and (tree.live_script or all(WIRES[page.wire].morphs for page in declared))
    )
    yield from _check_editable(tree, blocks, morphs=morphs)
    yield from _check_connect_elements(tree, blocks)
    yield from _check_crossref(tree, app)
    if not declared or any(WIRES[page.wire].uses_htmx for page in declared):
        yield from check_requests(tree, sendable_names(tree, blocks), declared=bool(declared))
    yield from check_without_script(tree, blocks, sendable_names(tree, blocks), {page.wire for page in declared})
    yield from check_liveness(tree, blocks, app)
    if not any(page.shared for page in declared):  # else the block is an error
        yield from check_tokens(tree, sendable_names(tree, blocks))
    for page in declared:
        yield from check_sharing(tree, page, app)
        yield from check_deferred(tree, page)


def _check_alone(tree: PageTree, block: LiveBlock, blocks: Sequence[LiveBlock]) -> Iterator[Issue]:
    reads = block.reads
    if reads.alone is None:
        return
    alone = {each.reads.name for each in blocks if each.reads.alone is None}
    around = next((name for name in tree.blocks_around(reads.parent) if name in alone), None)
    instead = f"the block {around!r} around it is updated instead" if around else "nothing is updated instead"
    yield block_issue(
        Severity.ERROR,
        "block_alone",
        reads,
        f"the live block {reads.name!r} cannot be rendered alone: {reads.alone}; {instead}",
        "move what it needs into the block, or put a live block around both",
    )


def _check_unknown(block: LiveBlock) -> Iterator[Issue]:
    reads = block.reads
    if ALL in reads.paths and reads.alone is None:
        why = "; ".join(reads.widened) or "a function that it calls may read anything"
        yield block_issue(
            Severity.INFO,
            "block_unknown",
            reads,
            f"every change renders the block {reads.name!r}, because the paths that it reads are unknown: {why}",
            "write the template's name as a constant, declare it with Reactive(parents=…), or pass values to the "
            "function as arguments",
        )


def _check_target(tree: PageTree, block: LiveBlock, declared: bool) -> Iterator[Issue]:
    ref, index = block.ref, block.index
    if ref is None or index is None or not block.can_be_sent(tree):
        return
    nodes = tree.with_id(ref.target_id)
    if not declared and tree.htmx.major == 2 and listeners_for(tree, ref.event_name):
        return  # a named event finds its element without an id
    if nodes:
        yield from _check_unique(nodes, ref.target_id, "an update of the block overwrites each of them")
    elif f'"{ref.target_id}"' not in tree.text and f"'{ref.target_id}'" not in tree.text:  # else a macro may write it
        yield block_issue(
            Severity.WARNING,
            "block_target",
            block.reads,
            f"the block {ref.block_name!r} is registered, but the page has no element with the id {ref.target_id!r} "
            f"and none that listens for {ref.event_name!r}: its updates go nowhere",
            f'put it into an element with id="{ref.target_id}", or map it to an existing id with dom_id_map=',
        )


def _check_unique(nodes: Sequence[Node], dom_id: str, effect: str) -> Iterator[Issue]:
    first = nodes[0]
    if first.element.in_loop:
        message = f"the id {dom_id!r} is in a loop, so the page may contain it more than once; {effect}"
        fix = "put the element to update around the loop"
        yield element_issue(Severity.ERROR, "swap_target", first, message, fix, "id")
    for number, other in enumerate(nodes):
        if any(not are_exclusive(other, each) for each in nodes[:number]):
            location, fix = first.element.place("id"), "give one of them another id"
            again = f"after {location}"
            if other.element.place("id") == location:
                again, fix = "because the macro that writes it is called again", "pass the id to the macro"
            message = f"the id {dom_id!r} occurs a second time, {again}; {effect}"
            yield element_issue(Severity.ERROR, "swap_target", other, message, fix, "id")
            return


def _check_hx_targets(tree: PageTree) -> Iterator[Issue]:
    """Find elements whose messages go to an id that the page lacks or repeats."""
    for node in tree.swap_elements if tree.htmx.major == 2 else []:
        target = tree.target(node)
        if target is None or target.node is not node or not target.known or not target.value.startswith("#"):
            continue
        dom_id = target.value[1:]
        nodes = tree.with_id(dom_id)
        if nodes:
            yield from _check_unique(nodes, dom_id, "only the first is updated")
        elif dom_id.replace("-", "_").isidentifier() and tree.text.count(dom_id) <= tree.text.count(f"#{dom_id}"):
            yield element_issue(
                Severity.ERROR,
                "swap_target",
                node,
                f"its messages go to {target.value!r}, but the page has no such element",
                "correct the id in hx-target",
                "hx-target",
            )


def _check_loops(tree: PageTree, blocks: Sequence[LiveBlock]) -> Iterator[Issue]:
    """Find blocks of a declared page that are not live because they are in a loop."""
    live = {block.reads.name for block in blocks}
    for node in tree.nodes:
        if node.element.in_loop and node.dom_id is not None and block_shown_by(node) not in (None, *live):
            yield element_issue(
                Severity.WARNING,
                "swap_target",
                node,
                f"the id {node.dom_id!r} is in a loop, so the page may contain it more than once: its block is not "
                "live on its own",
                "put the element with the id and its block around the loop",
                "id",
            )


def _autoescape_issue(tree: PageTree) -> Issue:
    return Issue(
        Severity.WARNING,
        "autoescape",
        tree.name,
        1,
        "the template has live blocks and is rendered without autoescaping: what one user types runs as markup in "
        "the browsers of all others",
        "turn autoescape on for this name in the environment (select_autoescape goes by the file's suffix)",
    )


def _check_editable(tree: PageTree, blocks: list[LiveBlock], *, morphs: bool) -> Iterator[Issue]:
    sendable = sendable_names(tree, blocks)
    for node in tree.nodes:
        block = next((name for name in tree.blocks_around(node.element.around) if name in sendable), None)
        what = _edited(node, morphs=morphs) if block is not None else ""
        if not what or any(
            each.has("hx-preserve") or each.has("data-ignore-morph") for each in node.self_and_ancestors()
        ):
            continue
        yield element_issue(
            Severity.WARNING,
            "block_editable",
            node,
            f"the live block {block!r} contains {what}: an update discards what the user entered there",
            "move it out of the block, or exclude the block with exclude_blocks=",
            "contenteditable",
        )


def _edited(node: Node, *, morphs: bool) -> str:
    """Describe what a user edits in an element and an update discards. Empty if there is nothing."""
    editable = node.get("contenteditable") if "contenteditable" in node.element.attributes else "false"
    if editable in (None, "", "true", "plaintext-only"):
        return "an element with contenteditable"
    if morphs or node.has("disabled") or node.has("readonly"):
        return ""  # a morph keeps fields and drawings
    if node.tag == "canvas":
        return "a canvas"
    if node.tag == "textarea" or (node.tag == "input" and (node.get("type") or "").lower() in _TYPED):
        name = node.get("name")
        return f"a field (<{node.tag}{f' name={name}' if name else ''}>)"
    return ""


def _check_connect_elements(tree: PageTree, blocks: list[LiveBlock]) -> Iterator[Issue]:
    """Find connect elements that an update replaces."""
    sendable = sendable_names(tree, blocks)
    for node in tree.connect_elements if tree.htmx.major == 2 else []:
        if node.events:
            continue
        around = next(
            (each for each in node.self_and_ancestors() if each is not node and each.events not in ([], ["message"])),
            None,
        )
        block = next((name for name in tree.blocks_around(node.element.around) if name in sendable), None)
        if around is None and block is None:
            continue
        what = f"the live block {block!r}" if block is not None else f"{around.opening_tag if around else ''}"
        yield element_issue(
            Severity.ERROR,
            "swap_target",
            node,
            f"the connect element is inside {what}, so each update there closes its connection and opens another one",
            "move the connect element out of what is updated",
            "sse-connect",
        )


def _check_crossref(tree: PageTree, app: AppDescription) -> Iterator[Issue]:
    refs = [ref for index in app.indexes for ref in index.blocks()]
    if tree.htmx.major >= 4 or not any(ref.template_name == tree.name for ref in refs):
        return
    declared = app.data.get("reactive_emitted_paths") or ()
    sent = {*(ref.event_name for ref in refs), *([declared] if isinstance(declared, str) else declared)}
    for node in tree.nodes:
        listened = [
            *((event, "sse-swap") for event in node.events),
            *((event, "hx-trigger") for event in _triggers(node)),
        ]
        for event, attribute in listened:
            if event not in sent and event not in ("message", "open", "error"):
                yield element_issue(
                    Severity.WARNING,
                    "sse_crossref",
                    node,
                    f"it listens for the event {event!r}, which no registered block sends"
                    f"{did_you_mean(event, sorted(sent))}",
                    "correct the name, or register a block that sends it",
                    attribute,
                )


def _triggers(node: Node) -> Iterator[str]:
    for part in (node.get("hx-trigger") or "").split(","):
        first = (part.split() or [""])[0]
        if first.startswith("sse:") and first[4:].replace("-", "_").isidentifier():
            yield first[4:]
