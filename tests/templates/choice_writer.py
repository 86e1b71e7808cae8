"""Generates sites whose values choose: the parent, the files, the macros, the methods, and what changes state."""

from __future__ import annotations

from dataclasses import dataclass

from .writer import Chooser, Writer

__all__ = ["choice_site"]

OBJECTS = ("doc", "user", "doc.author", "text")
VALUES = ("flag", "mode", "doc.title", "user.name", "text", "doc.done", "tasks")
STATE = ("l|join", "ns.a", "l|length", "c.current", "l", "ns.b", "g|list", "h|join")
PARTS = (
    "out", "out", "text", "set", "if", "for", "with", "include", "include", "effect", "effect", "state", "state",
    "method", "method", "module", "module", "call", "self", "local", "block", "filter",
)  # fmt: skip


@dataclass
class ChoiceWriter(Writer):
    """Writes one template of a site.

    Attributes:
        modules: Whether it has the macros of a module.
        current: The block that is written, if it is one of those that all parents have.
        level: How deeply the statement at hand is nested.
    """

    modules: bool = False
    current: str = ""
    level: int = 0

    def value(self) -> str:
        return self.pick(*VALUES)

    def text(self, size: int = 2) -> str:
        """Write statements that show text."""
        if self.level > 2:
            return f"{{{{ {self.value()} }}}}"
        self.level += 1
        try:
            return "".join(self.part(self.pick(*PARTS)) for _ in range(self.chooser.number(1, size)))
        finally:
            self.level -= 1

    def part(self, kind: str) -> str:
        one, two = self.value(), self.value()
        match kind:
            case "out":
                return f"{{{{ {self.pick(one, f'({one} or {two})', f'({one} if {two} else text)', f'{one}|upper')} }}}}"
            case "set":
                return f"{{% set {self.pick('v', 'w', 'text')} = {one} %}}{{{{ v }}}}"
            case "if":
                return f"{{% if {one} %}}{self.text(1)}{{% else %}}{self.text(1)}{{% endif %}}"
            case "for":
                test = self.pick("", f" if {two}", " if q.done")
                return f"{{% for q in {one}{test} %}}{self.text(1)}{{% else %}}{self.text(1)}{{% endfor %}}"
            case "with":
                return f"{{% with v = {one} %}}{self.text(1)}{{% endwith %}}"
            case "filter":
                return f"{{% filter lower %}}{self.text(1)}{{% endfilter %}}"
            case "state":
                return f"{{{{ {self.pick(*STATE)} }}}}"
            case "effect":
                return self.controlled()
            case "include":
                return self.include()
            case "block":
                return self.nested()
        return self.called(kind)

    def called(self, kind: str) -> str:
        match kind:
            case "method":
                return self.method()
            case "module" if self.modules:
                call = self.pick("m.hi", "m.add", "hi", "m.each", "m.local")
                return f"{{{{ {call}({self.pick(*OBJECTS)}) }}}}"
            case "call" if self.modules:
                return f"{{% call {self.pick('m.wrap', 'm.maybe')}({self.value()}) %}}{self.text(1)}{{% endcall %}}"
            case "self" if self.current in ("y", "z"):
                return f"{{{{ self.{self.pick(*'xy'[: 'xyz'.index(self.current)])}() }}}}"
            case "local":
                return (
                    "{% macro own(v) %}{% set n = namespace(k='') %}{% set o = [] %}{% set d = cycler('1', '2') %}"
                    f"{{% for q in v %}}{{% set n.k = n.k ~ q %}}{{% do o.append({self.value()}) %}}{{{{ d.next() }}}}"
                    f"{{% endfor %}}{{{{ n.k }}}}{{{{ o|join }}}}{{% endmacro %}}{{{{ own({self.value()}) }}}}"
                )
        return "."

    # ── state ────────────────────────────────────────────────────────────────────────────────────────────────────

    def effect(self) -> str:
        """Write an expression that changes state."""
        value = self.value()
        kinds = [f"l.append({value})", "c.next()", "(l.pop() if l)", f"put({value})", f"l.insert(0, {value})", "g|list"]
        if self.modules:
            kinds += [f"m.push(l, {value})", f"m.apply(l.append, {value})"]
        return self.pick(*kinds)

    def controlled(self) -> str:
        """Write an effect under control flow of some kind."""
        one, two, effect, other = self.value(), self.value(), self.effect(), self.effect()
        kinds = [
            f"{{% if {one} %}}{{% do {effect} %}}{{% endif %}}",
            f"{{% if {one} %}}{{% elif {two} %}}{{% do {effect} %}}{{% else %}}{{% do {other} %}}{{% endif %}}",
            f"{{% if {one} %}}{{% set ns.a = {two} %}}{{% endif %}}",
            f"{{% if {one} %}}{{% set ns.a = 'k' %}}{{% else %}}{{% set ns.b = 'k' %}}{{% endif %}}",
            f"{{% for q in {one} %}}{{% do {effect} %}}{{% else %}}{{% do {other} %}}{{% endfor %}}",
            f"{{% for q in {one} if {two} %}}{{% else %}}{{% set ns.a = 'k' %}}{{% endfor %}}",
            f"{{% for q in {one} %}}{{% if {two} %}}{{% break %}}{{% endif %}}{{% do {effect} %}}{{% endfor %}}",
            f"{{% for q in [{one}] recursive %}}{{% do {effect} %}}"
            f"{{{{ loop({two}) if loop.depth < 2 }}}}{{% endfor %}}",
            f"{{% do ({effect} if {one}) %}}",
            f"{{% do (1 if {one} else {effect}) %}}",
            f"{{% do ({one} and {effect}) %}}",
            f"{{% do ({one} or {effect}) %}}",
            f"{{% do ('a' < {one} < {effect}) %}}",
            f"{{% with v = {effect} %}}{{% endwith %}}",
            f"{{% with v = ({one} and {effect}) %}}{{% endwith %}}",
            f"{{% set v = ({effect} if {one}) %}}",
            f"{{% set v %}}{{% if {one} %}}{{% do {effect} %}}{{% endif %}}{{% endset %}}",
            f"{{% do (put if {one} else l.append)({two}) %}}",
            "{% macro fx() %}{% do l.append('k') %}{% endmacro %}{{ fx() }}{{ fx() }}"
            f"{{% if {one} %}}{{{{ fx() }}}}{{% endif %}}",
        ]
        if self.modules:
            kinds += [
                f"{{% call {self.pick('m.wrap', 'm.maybe')}({one}) %}}{{% do {effect} %}}{{% endcall %}}",
                f"{{{{ m.effect(l, {one}) }}}}",
            ]
        return self.pick(*kinds)

    # ── files ────────────────────────────────────────────────────────────────────────────────────────────────────

    def include(self) -> str:
        if not self.includes:
            return "-"
        value, one, two = self.value(), self.pick(*self.includes), self.pick(*self.includes)
        return self.pick(
            f"{{% include '{one}' %}}",
            f"{{% if {value} %}}{{% include '{one}' %}}{{% else %}}{{% include '{two}' %}}{{% endif %}}",
            f"{{% include '{one}' if {value} else '{two}' %}}",
            f"{{% for q in {value} %}}{{% include '{one}' %}}{{% else %}}{{% include '{two}' %}}{{% endfor %}}",
            f"{{% include ['nowhere', '{one}'] %}}",
            f"{{% if {value} %}}{{% include '{one}' %}}{{% endif %}}",
            f"{{% if {value} %}}{{% set file = '{one}' %}}{{% else %}}{{% set file = '{two}' %}}{{% endif %}}"
            "{% include file %}",
        )

    def nested(self) -> str:
        name = f"{self.prefix}{len(self.blocks)}"
        self.blocks.append(name)
        block = f"{{% block {name}{self.pick('', ' scoped')} %}}{self.text(2)}{{% endblock %}}"
        return f"{{% if {self.value()} %}}{block}{{% endif %}}" if self.chance() else block

    # ── methods ──────────────────────────────────────────────────────────────────────────────────────────────────

    def method(self) -> str:
        """Write the call of a method that was taken as a value."""
        one, two, value = self.pick(*OBJECTS), self.pick(*OBJECTS), self.value()
        kinds = [
            f"{{% set f = {one}.full %}}{{{{ f() }}}}",
            f"{{% with f = {one}['full'] %}}{{{{ f({value}) }}}}{{% endwith %}}",
            f"{{{{ ({one}.full if {value} else {two}.get)() }}}}",
            f"{{{{ ({one}.full or {two}.get)({value}) }}}}",
            f"{{{{ ([{one}]|map(attribute='full')|first)() }}}}",
            f"{{{{ ({one}|attr('full'))() }}}}",
            f"{{{{ [{one}.full, {two}.get][1]() }}}}",
            f"{{{{ {{'f': {one}.full}}.f({value}) }}}}",
            f"{{% for f in [{one}.full, {two}.get] %}}{{{{ f() }}}}{{% endfor %}}",
        ]
        if self.modules:
            kinds += [f"{{{{ m.apply({one}.full, {value}) }}}}", f"{{{{ m.late({one}.full) }}}}"]
        return self.pick(*kinds)


def choice_site(chooser: Chooser) -> dict[str, str]:
    """Write the templates of a site whose values choose. The page is the template ``page``."""
    files = {name: _file(chooser, name) for name in ("one", "two", "three")}
    modules = {name: _module(chooser, name) for name in ("m1", "m2")}
    return {
        "page": _page(chooser),
        "a": _parent(chooser, "a"),
        "b": _parent(chooser, "b"),
        **files,
        **modules,
    }


STATE_AT_TOP = (
    "{% set ns = namespace(a='', b='') %}{% set l = [] %}{% set c = cycler('x', 'y') %}{% set put = l.append %}"
    "{% set g = tasks|map(attribute='title') %}{% set h = ([doc, user]|reverse if flag else tasks|select) %}"
)


def _page(chooser: Chooser) -> str:
    writer = ChoiceWriter(chooser, "page", includes=("one", "two", "three"), modules=True)
    value = writer.value()
    extends = writer.pick(
        "{% extends 'a' %}",
        f"{{% extends 'a' if {value} else 'b' %}}",
        f"{{% if {value} %}}{{% extends 'a' %}}{{% else %}}{{% extends 'b' %}}{{% endif %}}",
        f"{{% if {value} %}}{{% extends 'a' %}}{{% endif %}}",
        f"{{% if {value} %}}{{% set up = 'a' %}}{{% else %}}{{% set up = 'b' %}}{{% endif %}}{{% extends up %}}",
        f"{{% set up = {{'k': 'a', 'n': 'b'}} %}}{{% extends up['k' if {value} else 'n'] %}}",
        "",
    )
    head = STATE_AT_TOP + _imports(writer)
    top = "".join(writer.part(writer.pick("set", "effect", "effect", "state")) for _ in range(chooser.number(0, 2)))
    first = extends + head + top if writer.chance() else head + top + extends
    writer.blocks = ["x", "y", "s"]
    blocks = ""
    for name in ("x", "y", "z", "s"):
        if writer.chance():
            writer.current = name
            inner = f"{{% block s %}}{writer.text(1)}{{% endblock %}}" if name == "x" and writer.chance(3) else ""
            if "block s" in blocks and name == "s":
                continue
            blocks += (
                f"{{% block {name} %}}{writer.text(2)}{inner}{writer.pick('', '{{ super() }}', '')}{{% endblock %}}"
            )
    if not extends.endswith(("%}",)) or "endif" in extends[-20:]:
        blocks = blocks.replace("{{ super() }}", "")
    return first + blocks


def _imports(writer: ChoiceWriter) -> str:
    value = writer.value()
    context = writer.pick("", " with context")
    target = writer.pick("'m1'", f"'m1' if {value} else 'm2'", "mod")
    chosen = f"{{% if {value} %}}{{% set mod = 'm1' %}}{{% else %}}{{% set mod = 'm2' %}}{{% endif %}}"
    whole = writer.pick(
        f"{{% import {target} as m{context} %}}",
        f"{{% if {value} %}}{{% import 'm1' as m{context} %}}"
        f"{{% else %}}{{% import 'm2' as m{context} %}}{{% endif %}}",
    )
    return f"{chosen}{whole}{{% from {target} import hi{context} %}}"


_SURROUNDINGS = {
    "none": ("", "", ""),
    "nothing": ("", "", ""),
    "autoescape": ("{% autoescape false %}", "", "{% endautoescape %}"),
    "with": ("{% with v = text %}", " scoped", "{% endwith %}"),
    "if": ("{% if mode %}", "", "{% endif %}"),
}


def _parent(chooser: Chooser, name: str) -> str:
    writer = ChoiceWriter(chooser, name, includes=("one", "two"), blocks=["x", "y"])
    value = writer.value()
    top = writer.pick("", f"{{% set text = {value} %}}", f"{{% set w = {value} %}}", "{% set ns.a = 'p' %}")
    if "ns.a" in top:
        top = "{% if ns is defined %}" + top + "{% endif %}"
    shared = "{% block s %}" + writer.text(1) + "{% endblock %}"
    within = writer.pick("x", "y", "z", "")
    text = top
    for block in ("x", "y", "z") if writer.chance(4) else ("x", "y"):
        writer.current = block
        before, scoped, after = _SURROUNDINGS[writer.pick(*_SURROUNDINGS)]
        inner = f"{writer.text(1)}{shared if block == within else ''}"
        text += f"{before}{{% block {block}{scoped} %}}{inner}{{% endblock %}}{after}|"
    return text


def _file(chooser: Chooser, name: str) -> str:
    writer = ChoiceWriter(chooser, name)
    block = "inc" if name != "three" else "own"
    extends = ""
    return f"{extends}{writer.text(1)}{{% block {block} %}}{writer.text(1)}{{% endblock %}}"


def _module(chooser: Chooser, name: str) -> str:
    value = ChoiceWriter(chooser).value()
    return (
        f"{{% macro hi(d) %}}{name}{{{{ d.title }}}}{{{{ {value} }}}}{{% endmacro %}}"
        "{% macro apply(fn, v) %}{{ fn(v) }}{% endmacro %}{% macro late(fn) %}{{ apply(fn, 1) }}{% endmacro %}"
        "{% macro push(to, v) %}{% if v %}{% do to.append(v) %}{% endif %}{% endmacro %}"
        "{% macro effect(to, v) %}{{ to.append('k') if v }}{% endmacro %}"
        f"{{% macro add(d) %}}{{% set n = namespace(k='{name}') %}}{{% if d %}}{{% set n.k = d.name %}}{{% endif %}}"
        "{{ n.k }}{% endmacro %}"
        "{% macro local(d) %}{% set o = [] %}{% for q in d %}{% do o.append(q) %}{% endfor %}{{ o|join }}{% endmacro %}"
        "{% macro each(d) %}{% for q in d if q.done %}{{ q.title }}{% else %}none{% endfor %}{% endmacro %}"
        "{% macro wrap(v) %}[{{ caller() }}]{% endmacro %}"
        "{% macro maybe(v) %}{% if v %}{{ caller() }}{% endif %}{% endmacro %}"
    )
