"""Rules for live blocks: what they need to be rendered alone, where they go, and whom they must not disturb."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from difflib import get_close_matches

from .._clients import WIRES
from .._core.paths import ALL
from .._templates import BlockReads
from .document import Document, Node, never_together
from .model import Issue, Severity
from .subject import DeclaredPage, LiveBlock, Subject, at_block, at_element

__all__ = ["check_blocks", "live_blocks", "near"]

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


def near(name: str, known: Set[str]) -> str:
    """Return " (did you mean …?)" if a known name is close, else an empty string."""
    close = get_close_matches(name, sorted(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def live_blocks(document: Document, subject: Subject) -> list[LiveBlock]:
    """Return the live blocks of a page: registered, shown by an element with ``sse-swap``, or of a declared page."""
    found: dict[tuple[str, str], LiveBlock] = {}
    indexes = [*subject.indexes, *(page.index for page in subject.pages if page.template_name == document.name)]
    for index in indexes:
        for ref in index.blocks():
            reads = document.reads.blocks.get(ref.block_name) or document.reads.unplaced.get(ref.block_name)
            if ref.template_name == document.name and reads is not None:
                nodes = document.with_id(ref.target_id) or _listening(document, ref.event_name)
                found.setdefault(
                    (ref.block_name, ref.target_id), LiveBlock(reads, nodes[0] if nodes else None, ref, index)
                )
    registered = {name for name, _ in found}
    declared = any(page.template_name == document.name for page in subject.pages)
    for node in document.nodes:
        block = _shown(node)
        if block is None:
            continue
        shows = node.events not in ([], ["message"])
        own = declared and node.dom_id is not None and not node.element.in_loop
        if block in document.reads.blocks and block not in registered and (shows or own):
            reads = document.reads.blocks[block]
            if not shows and (reads.alone is None or _calls(document, block, subject.sink_names)):
                continue  # excluded, or the page's own connection
            found.setdefault((block, node.dom_id or block), LiveBlock(reads, node))
    return list(found.values())


def _listening(document: Document, event: str) -> list[Node]:
    return [node for node in document.swaps if event in node.events]


def _shown(node: Node) -> str | None:
    if node.element.sole:
        return node.element.holds[0]
    return node.element.around if node.element.root else None


def _calls(document: Document, block: str, names: Set[str]) -> bool:
    return any(
        names & {path.partition(".")[0] for path in reads.paths}
        for reads in document.reads.blocks.values()
        if block in document.blocks_around(reads.name)
    )


def check_blocks(document: Document, subject: Subject, *, escapes: bool, is_page: bool) -> Iterator[Issue]:
    """Check the live blocks of a page."""
    blocks = live_blocks(document, subject)
    declared = [page for page in subject.pages if page.template_name == document.name]
    for block in blocks:
        yield from _check_alone(document, block, blocks)
        yield from _check_unknown(block)
        if is_page:
            yield from _check_target(document, block, bool(declared))
    yield from _check_loops(document, declared, blocks)
    if blocks and not escapes:
        yield Issue(
            Severity.WARNING,
            "autoescape",
            document.name,
            1,
            "it has live blocks and is rendered without autoescaping: what one person types runs as markup in the "
            "browsers of all others",
            "turn autoescape on for this name in the environment (select_autoescape goes by the file's suffix)",
        )
    morphs = document.htmx.major >= 4 or (len(declared) > 0 and all(WIRES[page.wire].morphs for page in declared))
    yield from _check_editable(document, blocks, morphs=morphs)
    yield from _check_connects(document, blocks)
    yield from _check_crossref(document, subject)
    for page in declared:
        yield from _check_viewer(document, page, subject)


def _check_alone(document: Document, block: LiveBlock, blocks: Sequence[LiveBlock]) -> Iterator[Issue]:
    reads = block.reads
    if reads.alone is None:
        return
    alone = {each.reads.name for each in blocks if each.reads.alone is None}
    around = next((name for name in document.blocks_around(reads.parent) if name in alone), None)
    instead = f"the block {around!r} around it is updated instead" if around else "nothing is updated instead"
    yield at_block(
        Severity.ERROR,
        "block_alone",
        reads,
        f"the live block {reads.name!r} cannot be rendered alone: {reads.alone}; {instead}",
        "move what it needs into the block, or make a block around both the live one",
    )


def _check_unknown(block: LiveBlock) -> Iterator[Issue]:
    reads = block.reads
    if ALL in reads.paths and reads.alone is None:
        why = "; ".join(reads.widened) or "what it calls may read anything"
        yield at_block(
            Severity.INFO,
            "block_unknown",
            reads,
            f"every change renders the block {reads.name!r}, for what it reads is not known: {why}",
            "name the template by a constant, or hand what is called its values as arguments",
        )


def _check_target(document: Document, block: LiveBlock, declared: bool) -> Iterator[Issue]:
    ref, index = block.ref, block.index
    if ref is None or index is None or not block.is_ever_sent(document):
        return
    nodes = document.with_id(ref.target_id)
    if not declared and document.htmx.major == 2 and _listening(document, ref.event_name):
        return  # an event of its own finds its element without an id
    if not nodes:
        if f'"{ref.target_id}"' in document.text or f"'{ref.target_id}'" in document.text:
            return  # a macro or an expression may make it
        yield at_block(
            Severity.WARNING,
            "block_target",
            block.reads,
            f"the block {ref.block_name!r} is registered, and the page has no element with the id {ref.target_id!r} "
            f"and none that listens to {ref.event_name!r}: its updates go nowhere",
            f'put it into an element with id="{ref.target_id}", or name the id in dom_id_map=',
        )
        return
    yield from _check_single(nodes, ref.target_id, "an update of the block overwrites each of them")


def _check_single(nodes: Sequence[Node], dom_id: str, effect: str) -> Iterator[Issue]:
    first = nodes[0]
    if first.element.in_loop:
        message = f"the id {dom_id!r} stands in a loop, so the page may have it more than once; {effect}"
        mend = "let the element that is updated stand around the loop"
        yield at_element(Severity.ERROR, "swap_target", first, message, mend, "id")
    for number, other in enumerate(nodes):
        if any(not never_together(other, each) for each in nodes[:number]):
            place, mend = first.element.place("id"), "give one of them another id"
            again = f"after {place}"
            if other.element.place("id") == place:
                again, mend = "for what makes it is shown more than once", "make the id of what each call hands in"
            message = f"the id {dom_id!r} is there a second time, {again}; {effect}"
            yield at_element(Severity.ERROR, "swap_target", other, message, mend, "id")
            return


def _check_loops(document: Document, declared: Sequence[DeclaredPage], blocks: Sequence[LiveBlock]) -> Iterator[Issue]:
    """Find the targets of messages that the page lacks, and blocks that are not live for the loop they stand in."""
    for node in document.swaps if document.htmx.major == 2 else []:
        target = document.target(node)
        if target is None or target.node is not node or not target.known or not target.value.startswith("#"):
            continue
        dom_id = target.value[1:]
        nodes = document.with_id(dom_id)
        if nodes:
            yield from _check_single(nodes, dom_id, "only the first is updated")
        elif dom_id.replace("-", "_").isidentifier() and document.text.count(dom_id) <= document.text.count(
            f"#{dom_id}"
        ):
            yield at_element(
                Severity.ERROR,
                "swap_target",
                node,
                f"its messages go to {target.value!r}, and the page has no such element",
                "correct the id in hx-target",
                "hx-target",
            )
    known = {block.reads.name for block in blocks}
    for node in document.nodes if declared else []:
        if node.element.in_loop and node.dom_id is not None and _shown(node) not in (None, *known):
            yield at_element(
                Severity.WARNING,
                "swap_target",
                node,
                f"the id {node.dom_id!r} stands in a loop, so the page may have it more than once: its block is not "
                "live by itself",
                "let the element with the id and its block stand around the loop",
                "id",
            )


def _check_editable(document: Document, blocks: Sequence[LiveBlock], *, morphs: bool) -> Iterator[Issue]:
    sent = {block.reads.name for block in blocks if block.reads.alone is None and block.is_ever_sent(document)}
    for node in document.nodes:
        block = next((name for name in document.blocks_around(node.element.around) if name in sent), None)
        what = _edited(node, morphs=morphs) if block is not None else ""
        if not what or any(each.has("hx-preserve") or each.has("data-ignore-morph") for each in node.chain()):
            continue
        yield at_element(
            Severity.WARNING,
            "block_editable",
            node,
            f"the live block {block!r} holds {what}: an update takes away what a person has put there",
            "move it out of the block, or leave the block alone with exclude_blocks=",
            "contenteditable",
        )


def _edited(node: Node, *, morphs: bool) -> str:
    editable = node.own("contenteditable") if "contenteditable" in node.element.attributes else "false"
    if editable in (None, "", "true", "plaintext-only"):
        return "an element with contenteditable"
    if morphs or node.has("disabled") or node.has("readonly"):
        return ""  # a morph leaves fields and drawings as they are
    if node.tag == "canvas":
        return "a canvas"
    if node.tag == "textarea" or (node.tag == "input" and (node.own("type") or "").lower() in _TYPED):
        name = node.own("name")
        return f"a field (<{node.tag}{f' name={name}' if name else ''}>)"
    return ""


def _check_connects(document: Document, blocks: Sequence[LiveBlock]) -> Iterator[Issue]:
    """Find connect elements that an update takes away."""
    sent = {block.reads.name for block in blocks if block.reads.alone is None and block.is_ever_sent(document)}
    for node in document.connects if document.htmx.major == 2 else []:
        if node.events:
            continue
        around = next(
            (each for each in node.chain() if each is not node and each.events not in ([], ["message"])), None
        )
        block = next((name for name in document.blocks_around(node.element.around) if name in sent), None)
        if around is None and block is None:
            continue
        what = f"the live block {block!r}" if block is not None else f"{around.opening if around else ''}"
        yield at_element(
            Severity.ERROR,
            "swap_target",
            node,
            f"the connect element stands inside of {what}, so that each update there ends its connection and opens "
            "another",
            "move the connect element outside of what is updated",
            "sse-connect",
        )


def _check_crossref(document: Document, subject: Subject) -> Iterator[Issue]:
    refs = [ref for index in subject.indexes for ref in index.blocks()]
    if document.htmx.major >= 4 or not any(ref.template_name == document.name for ref in refs):
        return
    declared = subject.data.get("reactive_emitted_paths") or ()
    sent = {*(ref.event_name for ref in refs), *([declared] if isinstance(declared, str) else declared)}
    for node in document.nodes:
        listened = [
            *((event, "sse-swap") for event in node.events),
            *((event, "hx-trigger") for event in _triggers(node)),
        ]
        for event, attribute in listened:
            if event not in sent and event not in ("message", "open", "error"):
                yield at_element(
                    Severity.WARNING,
                    "sse_crossref",
                    node,
                    f"it listens to the event {event!r}, which no registered block sends{near(event, sent)}",
                    "correct the name, or register the block that is sent by it",
                    attribute,
                )


def _triggers(node: Node) -> Iterator[str]:
    for part in (node.own("hx-trigger") or "").split(","):
        first = (part.split() or [""])[0]
        if first.startswith("sse:") and first[4:].replace("-", "_").isidentifier():
            yield first[4:]


def _check_viewer(document: Document, page: DeclaredPage, subject: Subject) -> Iterator[Issue]:
    if not page.shared:
        return
    for ref in page.index.blocks():
        paths = page.index.block_dependencies(*ref.key)
        names = sorted({path.partition(".")[0] for path in paths} & subject.viewer_names)
        reads: BlockReads | None = document.reads.blocks.get(ref.block_name)
        if names and reads is not None:
            yield at_block(
                Severity.ERROR,
                "viewer_name",
                reads,
                f"the block {ref.block_name!r} of the shared page reads {names[0]!r}, which is a viewer's own",
                "name it in exclude_blocks=, or declare the page without shared=True",
            )
