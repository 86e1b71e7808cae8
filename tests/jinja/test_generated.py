"""Both facts, on templates that nobody wrote."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .oracle import Result, check, of_strings

NAMES = ("doc", "user", "tasks", "flag", "text")
LOCALS = ("a", "b", "doc", "text")
ATTRIBUTES = ("title", "author", "name", "items_", "done")


@dataclass
class Writer:
    """Draws templates."""

    draw: st.DrawFn
    blocks: list[str] = field(default_factory=list)
    macros: list[str] = field(default_factory=list)
    depth: int = 0

    def pick(self, *options: str) -> str:
        return self.draw(st.sampled_from(options))

    def chance(self, of: int = 2) -> bool:
        return self.draw(st.integers(0, of - 1)) == 0

    def name(self) -> str:
        return self.pick(*NAMES, "a", "b")

    def path(self) -> str:
        text = self.name()
        for _ in range(self.draw(st.integers(0, 2))):
            text += self.pick(*(f".{name}" for name in ATTRIBUTES), "['title']", "[0]", "[text]", "[-1]")
        return text

    def expression(self) -> str:
        kind = self.pick(
            "path", "path", "path", "or", "if", "filter", "call", "list", "dict", "compare", "concat", "macro", "ns"
        )
        if kind == "path" or self.depth > 3:
            return self.path()
        self.depth += 1
        try:
            return self.compound(kind)
        finally:
            self.depth -= 1

    def compound(self, kind: str) -> str:
        one, two = self.expression(), self.path()
        return {
            "or": f"({one} {self.pick('or', 'and')} {two})",
            "if": f"({one} if {self.path()} else {two})",
            "filter": f"({one})|{self.pick('upper', 'list', 'length', 'default(text)', 'string', 'first')}",
            "call": f"{two}.{self.pick('full', 'get')}({one})",
            "list": f"[{one}, {two}]{self.pick('', '[0]', '|join')}",
            "dict": f"{{'title': {one}, 'name': {two}}}.{self.pick('title', 'name')}",
            "compare": f"({one} {self.pick('==', '!=', 'in')} {two})",
            "concat": f"({one} ~ {two})",
            "macro": f"{self.pick(*self.macros)}({one})" if self.macros else two,
            "ns": "(ns.a if ns is defined and ns.a is defined else '')",
        }[kind]

    def body(self, size: int = 3) -> str:
        return "".join(self.statement() for _ in range(self.draw(st.integers(1, size))))

    def statement(self) -> str:
        kinds = ["out", "out", "set", "text"]
        if self.depth < 3:
            kinds += [
                "if",
                "for",
                "with",
                "block",
                "scoped",
                "filter",
                "setblock",
                "include",
                "call",
                "nsset",
                "loopset",
            ]
        kind = self.pick(*kinds)
        self.depth += 1
        try:
            return self.write(kind)
        finally:
            self.depth -= 1

    def write(self, kind: str) -> str:
        match kind:
            case "out":
                return f"{{{{ {self.expression()} }}}}"
            case "set":
                return f"{{% set {self.pick(*LOCALS)} = {self.expression()} %}}"
            case "if":
                other = f"{{% else %}}{self.body(2)}" if self.chance() else ""
                return f"{{% if {self.expression()} %}}{self.body(2)}{other}{{% endif %}}"
            case "for":
                target = self.pick("a", "b", "doc")
                shown = self.pick("", "{{ loop.index }}", "{{ loop.last }}")
                return f"{{% for {target} in {self.path()} %}}{shown}{self.body(2)}{{% endfor %}}"
            case "with":
                return f"{{% with {self.pick(*LOCALS)} = {self.expression()} %}}{self.body(2)}{{% endwith %}}"
            case "block" | "scoped":
                return self.block(kind == "scoped")
            case "filter":
                return f"{{% filter lower %}}{self.body(2)}{{% endfilter %}}"
            case "setblock":
                return f"{{% set {self.pick(*LOCALS)} %}}{self.body(2)}{{% endset %}}"
            case "include":
                return "{% include 'part' %}"
            case "call" if self.macros:
                return f"{{% call {self.pick(*self.macros)}({self.path()}) %}}{self.body(2)}{{% endcall %}}"
            case "nsset":
                return f"{{% set ns.a = {self.expression()} %}}{{{{ ns.a }}}}"
            case "loopset":
                return f"{{% for a in {self.path()} %}}{{% set ns.a = {self.pick('a.title', 'ns.a ~ a', 'text')} %}}{{% endfor %}}"
        return "text"

    def block(self, scoped: bool) -> str:
        name = f"block{len(self.blocks)}"
        self.blocks.append(name)
        return f"{{% block {name}{' scoped' if scoped else ''} %}}{self.body(3)}{{% endblock %}}"


def macro(writer: Writer, name: str) -> str:
    caller = "{{ caller() if caller else '' }}" if writer.chance() else ""
    inner = Writer(writer.draw, macros=list(writer.macros), depth=2)
    text = f"{{% macro {name}(a, b=text) %}}{inner.body(2)}{caller}{{% endmacro %}}"
    writer.macros.append(name)
    return text


@st.composite
def pages(draw: st.DrawFn) -> dict[str, str]:
    head = "{% set ns = namespace(a='') %}"
    base = Writer(draw)
    base_text = head + (macro(base, "one") if base.chance() else "") + base.body(4)
    part = Writer(draw, depth=2)
    module = Writer(draw)
    module_text = macro(module, "two")
    child = Writer(draw)
    imported = "{% import 'module' as m" + (" with context" if child.chance() else "") + " %}"
    child.macros = ["m.two"]
    child_head = head + imported + (macro(child, "three") if child.chance() else "")
    child_text = (
        child_head
        + "{% extends 'base' %}"
        + "".join(f"{{% set {child.pick(*LOCALS)} = {child.expression()} %}}" for _ in range(2))
    )
    for name in base.blocks:
        if child.chance():
            body = child.body(2) + ("{{ super() }}" if child.chance() else "")
            child.blocks = [f"x{len(child.blocks)}{name}"]
            child_text += f"{{% block {name} %}}{body}{{% endblock %}}"
    return {
        "page": _unique(child_text, base.blocks),
        "base": base_text,
        "part": part.body(3).replace("'part'", "'leaf'"),
        "leaf": "{{ text }}{{ a }}",
        "module": module_text,
    }


def _unique(text: str, taken: list[str]) -> str:
    """Give the blocks that the child adds names of their own."""
    parts = text.split("{% block block")
    return parts[0] + "".join(
        f"{{% block {'block' if f'block{rest.split(None, 1)[0]}' in taken and not rest.startswith('_') else 'extra'}{rest}"
        for rest in parts[1:]
    )


TOTAL = Result()


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck), derandomize=False)
@given(pages())
def test_no_read_is_missed_and_a_block_alone_is_what_the_page_holds(templates: dict[str, str]) -> None:
    from jinja2 import TemplateError

    from starlette_reactive.errors import TemplateLoadError

    make = of_strings(templates, autoescape=True)
    try:
        from jinja2 import Environment

        env = make(Environment)
        for name in templates:
            env.get_template(name)
    except TemplateError:
        return
    result = check(make, "page", seeds=range(5), names=set(NAMES) | {"a"})
    if result.misses or result.differences:
        print("TEMPLATES", templates, result.misses, result.differences)
    assert result.misses == set()
    assert result.differences == []
    TOTAL.add(result, "")


if __name__ == "__main__":
    test_no_read_is_missed_and_a_block_alone_is_what_the_page_holds()
    print(
        TOTAL.compared, TOTAL.rendered, len(TOTAL.failed), TOTAL.precision, len(TOTAL.reported), len(TOTAL.everything)
    )
    from collections import Counter

    print(Counter(f[:90] for f in TOTAL.failed).most_common(8))
