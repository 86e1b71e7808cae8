"""Generates unusual templates from the choices of a ``Chooser``."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

NAMES = ("doc", "user", "tasks", "flag", "text")
LOCALS = ("a", "b", "doc", "text", "_p")
ATTRIBUTES = ("title", "author", "name", "items_", "done")
FILTERS = (
    "upper",
    "list|length",
    "length",
    "default(text)",
    "string",
    "first",
    "join(text)",
    "map(attribute='name')|join",
)
STATEMENTS = (
    "if", "if", "for", "for", "with", "block", "block", "block", "scoped", "scoped", "filter", "setblock", "include",
    "call", "nsset", "loopset", "recursive", "autoescape", "macro", "self", "leave", "do", "lone", "pair", "cycle",
)  # fmt: skip


class Chooser(Protocol):
    """Makes the choices of a writer."""

    def pick(self, options: Sequence[str]) -> str: ...

    def number(self, low: int, high: int) -> int: ...


class Random:
    """Chooses at random."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def pick(self, options: Sequence[str]) -> str:
        return self.random.choice(options)

    def number(self, low: int, high: int) -> int:
        return self.random.randint(low, high)


@dataclass
class Writer:
    """Writes one template."""

    chooser: Chooser
    prefix: str = "block"
    macros: list[str] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)
    includes: tuple[str, ...] = ()
    depth: int = 0
    loops: int = 0

    def pick(self, *options: str) -> str:
        return self.chooser.pick(options)

    def chance(self, of: int = 2) -> bool:
        return self.chooser.number(1, of) == of

    def path(self) -> str:
        text = self.pick(*NAMES, *NAMES, "a", "b", "_p")
        for _ in range(self.chooser.number(0, 2)):
            text += self.pick(*(f".{name}" for name in ATTRIBUTES), "['title']", "[0]", "[text]", "[-1]", "[1:]")
        return text

    def expression(self) -> str:
        kinds = (
            "path",
            "path",
            "path",
            "path",
            "or",
            "if",
            "filter",
            "call",
            "list",
            "dict",
            "compare",
            "concat",
            "macro",
            "ns",
            "test",
        )
        kind = self.pick(*kinds)
        if kind == "path" or self.depth > 3:
            return self.path()
        self.depth += 1
        try:
            return self.compound(kind)
        finally:
            self.depth -= 1

    def compound(self, kind: str) -> str:
        one, two = self.expression(), self.path()
        macro = self.pick(*self.macros) if self.macros else ""
        return {
            "or": f"({one} {self.pick('or', 'and')} {two})",
            "if": f"({one} if {self.path()} else {two})",
            "filter": f"({one})|{self.pick(*FILTERS)}",
            "call": f"{two}.{self.pick('full', 'get')}({one})",
            "list": f"[{one}, {two}]{self.pick('', '[0]', '|join', '[1].title')}",
            "dict": f"{{'title': {one}, 'name': {two}}}.{self.pick('title', 'name', 'name.done')}",
            "compare": f"({one} {self.pick('==', '!=', 'in')} {two})",
            "concat": f"({one} ~ {two})",
            "macro": (f"{macro}({one}{self.pick('', ', ' + two, ', b=' + two)})") if macro else two,
            "ns": "(ns.a if ns is defined and ns.a is defined else '')",
            "test": f"({one} is {self.pick('defined', 'none', 'iterable', 'sameas ' + two)})",
        }[kind]

    def body(self, size: int = 3) -> str:
        known = len(self.macros)
        text = "".join(self.statement() for _ in range(self.chooser.number(1, size)))
        del self.macros[known:]
        return text

    def statement(self) -> str:
        kinds = ["out", "out", "out", "set", "text"]
        if self.depth < 4:
            kinds += STATEMENTS
        kind = self.pick(*kinds)
        self.depth += 1
        try:
            return self.write(kind)
        finally:
            self.depth -= 1

    def write(self, kind: str) -> str:
        name = self.pick(*LOCALS)
        match kind:
            case "out":
                return f"{{{{ {self.expression()} }}}}"
            case "set":
                return f"{{% set {name} = {self.expression()} %}}"
            case "pair":
                return f"{{% set a, b = {self.expression()}, {self.expression()} %}}"
            case "if":
                other = f"{{% elif {self.path()} %}}{self.body(2)}{{% else %}}{self.body(2)}" if self.chance() else ""
                return f"{{% if {self.expression()} %}}{self.body(2)}{other}{{% endif %}}"
            case "for" | "recursive":
                return self.loop(recursive=kind == "recursive")
            case "with":
                return f"{{% with {name} = {self.expression()} %}}{self.body(2)}{{% endwith %}}"
            case "block" | "scoped":
                return self.block(" scoped" if kind == "scoped" else "")
            case "filter":
                return f"{{% filter lower %}}{self.body(2)}{{% endfilter %}}"
            case "setblock":
                return f"{{% set {name} %}}{self.body(2)}{{% endset %}}"
            case "autoescape":
                return f"{{% autoescape {self.pick('true', 'false', 'flag')} %}}{self.body(2)}{{% endautoescape %}}"
            case "macro" if self.chance(3):
                return self.macro(f"local{self.depth}")
        return self.rare(kind)

    def rare(self, kind: str) -> str:
        match kind:
            case "include" if self.includes:
                target = self.pick(*self.includes)
                context = self.pick("", "", "", " ignore missing", " without context")
                choice = self.pick(f"'{target}'", f"['nowhere', '{target}']", f"('{target}' if flag else 'leaf')")
                return f"{{% include {choice}{context} %}}"
            case "call" if self.macros:
                return (
                    f"{{% call(x) {self.pick(*self.macros)}({self.path()}) %}}{self.body(2)}{{{{ x }}}}{{% endcall %}}"
                )
            case "nsset":
                return f"{{% set ns.a = {self.expression()} %}}{{{{ ns.a }}}}"
            case "loopset":
                value = self.pick("a.title", "ns.a ~ a", "text")
                return f"{{% for a in {self.path()} %}}{{% set ns.a = {value} %}}{{% endfor %}}"
            case "self" if self.blocks and self.chance(3):
                return f"{{{{ self.{self.pick(*self.blocks)}() }}}}" if not self.loops else ""
            case "leave" if self.loops:
                return f"{{% if {self.expression()} %}}{{% {self.pick('break', 'continue')} %}}{{% endif %}}"
            case "do":
                return f"{{% set l = [{self.path()}] %}}{{% do l.append({self.expression()}) %}}{{{{ l[1] }}}}"
            case "cycle":
                return "{{ c.next() if c is defined else '' }}"
        return "text"

    def loop(self, *, recursive: bool) -> str:
        target = self.pick("a", "b", "doc", "a, b")
        shown = self.pick("", "{{ loop.index }}", "{{ loop.last }}")
        again = (
            f"{{% if loop.depth < 3 %}}{{{{ loop({self.pick('a', 'b', 'doc')}.items_) }}}}{{% endif %}}"
            if recursive
            else ""
        )
        test = f" if {self.expression()}" if self.chance(4) else ""
        loops, self.loops = self.loops, self.loops + 1
        body = self.body(2)
        self.loops = 0 if recursive else loops
        empty = f"{{% else %}}{self.body(1)}" if self.chance(4) else ""
        self.loops = loops
        if recursive and target == "a, b":
            target = "a"
        kind = " recursive" if recursive else ""
        return f"{{% for {target} in {self.path()}{test}{kind} %}}{shown}{body}{again}{empty}{{% endfor %}}"

    def block(self, kind: str) -> str:
        name = f"{self.prefix}{len(self.blocks)}"
        self.blocks.append(name)
        return f"{{% block {name}{kind} %}}{self.function()}{{% endblock %}}"

    def function(self) -> str:
        """Write the body of a block. It cannot leave the loops around the block."""
        loops, self.loops = self.loops, 0
        body = self.body(3)
        self.loops = loops
        return body

    def macro(self, name: str) -> str:
        caller = "{{ caller(a) if caller else '' }}" if not self.chance(5) else ""
        inner = Writer(self.chooser, f"{name}_{self.prefix}", macros=list(self.macros), depth=2)
        text = f"{{% macro {name}(a, b=text) %}}{inner.body(2)}{caller}{{% endmacro %}}"
        self.macros.append(name)
        return text


def site(chooser: Chooser) -> dict[str, str]:
    """Write the templates of a site. The page is the template ``page``."""
    head = "{% set ns = namespace(a='') %}{% set c = cycler('x', 'y') %}"
    base = Writer(chooser, includes=("part", "leaf"))
    base_text = (
        head + (base.macro("one") if base.chance() else "") + base.body(4) + base.block("") + base.block(" scoped")
    )
    middle = _child(chooser, "base", base.blocks, "mid")
    module = Writer(chooser, "module")
    module_text = "{% set ns = namespace(a='') %}" + module.macro("two") + module.macro("four")
    part = Writer(chooser, "part", includes=("leaf",), depth=2)
    return {
        "page": head + _child(chooser, "middle" if chooser.number(0, 1) else "base", base.blocks, "page"),
        "middle": middle,
        "base": base_text,
        "part": part.body(3),
        "leaf": "{{ text }}{{ a }}{% block leaf scoped %}{{ b }}{% endblock %}",
        "module": module_text,
    }


def _child(chooser: Chooser, parent: str, blocks: list[str], prefix: str) -> str:
    writer = Writer(chooser, prefix, macros=["m.two", "four"], includes=("part", "leaf"))
    context = writer.pick("", " with context")
    text = f"{{% import 'module' as m{context} %}}{{% from 'module' import four{writer.pick('', ' with context')} %}}"
    extends = f"{{% extends '{parent}' %}}"
    text += extends if writer.chance() else ""
    text += writer.macro("three") if writer.chance() else ""
    text += "".join(
        writer.write(writer.pick("set", "setblock", "loopset", "pair")) for _ in range(chooser.number(0, 3))
    )
    text += extends if extends not in text else ""
    writer.blocks = list(blocks)
    for name in blocks:
        if writer.chance():
            rest = writer.pick("", "{{ super() }}", "{{ super()|lower }}")
            text += f"{{% block {name} %}}{writer.body(3)}{rest}{{% endblock %}}"
    return text
