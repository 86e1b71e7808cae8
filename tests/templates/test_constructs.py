# ruff: noqa: E501 - one construct per line is easier to read
"""Single constructs of Jinja: what the block ``b`` reads, and its output alone and in the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace as Thing
from typing import Any

import pytest
from jinja2 import DictLoader, Environment, StrictUndefined
from jinja2.nativetypes import NativeEnvironment
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import pass_context, pass_eval_context

from starlette_reactive._templates import analyse, compile_block

from .recording import Recorder, marking, slices

EXTENSIONS = ["jinja2.ext.do", "jinja2.ext.loopcontrols", "jinja2.ext.i18n"]


def context() -> dict[str, Any]:
    return {
        "doc": Thing(
            title="T",
            body="B",
            n=3,
            author=Thing(name="Ann", email="a@x"),
            tags=["x", "y"],
            meta={"k": "v", "a b": "w"},
            full=lambda *args: "F" + "".join(map(str, args)),
        ),
        "tasks": [Thing(title="one", done=True, n=1), Thing(title="two", done=False, n=2)],
        "user": Thing(name="Uma", admin=True),
        "flag": True,
        "off": False,
        "key": "title",
        "n": 2,
        "text": "hey",
        "html": "<i>",
        "names": ["p", "q"],
        "pairs": {"a": 1, "b": 2},
        "tree": Thing(name="r", kids=[Thing(name="s", kids=[Thing(name="t", kids=[])])]),
        "f": lambda *args, **kwargs: "f" + "".join(map(str, (*args, *kwargs.values()))),
        "layout": "parent",
    }


@pass_context
def reads_user(values: Mapping[str, Any]) -> str:
    return str(values["user"].name)


@pass_context
def reads_anything(values: Mapping[str, Any]) -> str:
    return str(len(dict(values)) > 0)


@pass_context
def add_name(values: Any, value: object) -> str:
    return f"{value}{values.get('text')}"


@pass_eval_context
def escaped(eval_ctx: Any, value: object) -> str:
    return f"{value}{eval_ctx.autoescape}"


@pass_context
def has_user(values: Mapping[str, Any], value: object) -> bool:
    return "user" in values and bool(value)


def add_to(env: Environment) -> Environment:
    env.globals.update(
        reads_user=reads_user, reads_anything=reads_anything, site="S", plain=lambda *a: "g" + "".join(a)
    )
    env.filters.update(add_name=add_name, escaped=escaped)
    env.tests.update(has_user=has_user)
    env.install_null_translations(newstyle=True)  # type: ignore[attr-defined]
    return env


@dataclass(frozen=True, slots=True)
class Row:
    """A construct: the page, the paths that its block ``b`` reads, and the output of the block."""

    name: str
    page: str
    paths: str
    output: str
    others: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    kind: type[Environment] = Environment

    def env(self, kind: type[Environment], **options: Any) -> Environment:
        loader = DictLoader({"page": self.page, **self.others})
        return add_to(kind(loader=loader, extensions=EXTENSIONS, **{**self.options, **options}))


def B(body: str) -> str:  # noqa: N802
    return "{% block b %}" + body + "{% endblock %}"


def row(name: str, body: str, paths: str, output: str, **others: str) -> Row:
    """Return a row with a construct inside the block."""
    return Row(name, B(body), paths, output, others)


PARENT = "<{% block b %}parent {{ doc.body }}{% endblock %}|{% block c %}{{ user.name }}{% endblock %}>"
MACROS = (
    "{% macro show(d) %}{{ d.title }}{% endmacro %}{% macro wrap() %}[{{ caller() }}]{% endmacro %}"
    "{% macro sees() %}{{ text }}{% endmacro %}{% set const = 'C' %}{% set local = text %}"
)

STATE = (
    "{% macro m() %}{% set ns = namespace(x='') %}{% set ns.x = caller() if caller else 'x' %}{{ ns.x }}{% endmacro %}"
)
LIST = "{% set l = [] %}"
L = B("{{ l|join }}")

ROWS = [
    # names, attributes, items
    row("text alone", "hello", "", "hello"),
    row("name", "{{ text }}", "text", "hey"),
    row("attribute", "{{ doc.title }}", "doc.title", "T"),
    row("attribute of an attribute", "{{ doc.author.name }}", "doc.author.name", "Ann"),
    row("item by constant", "{{ doc['title'] }}", "doc.title", "T"),
    row("item of a dict", "{{ doc.meta.k }}", "doc.meta.k", "v"),
    row("item by position", "{{ doc.tags[0] }}", "doc.tags.0", "x"),
    row("item by dotted position", "{{ doc.tags.1 }}", "doc.tags.1", "y"),
    row("item from the end", "{{ doc.tags[-1] }}", "doc.tags", "y"),
    row("item by a computed key", "{{ doc[key] }}", "doc key", "T"),
    row("item by a constant name", "{% set k = 'title' %}{{ doc[k] }}", "doc.title", "T"),
    row("item whose key is no segment", "{{ doc.meta['a b'] }}", "doc.meta", "w"),
    row("slice", "{{ doc.tags[:1]|join }}", "doc.tags", "x"),
    row("slice with computed ends", "{{ names[off:n]|join }}", "names off n", "pq"),
    row("missing attribute", "{{ doc.nothing }}", "doc.nothing", ""),
    row("missing name", "{{ nothing }}", "nothing", ""),
    row("call of a method", "{{ doc.full() }}", "doc", "F"),
    row("call of a method with arguments", "{{ doc.full(user.name) }}", "doc user.name", "FUma"),
    row("call of a method of a dict", "{{ doc.meta.get('k') }}", "doc.meta", "v"),
    row("call of a variable", "{{ f(text, a=doc.n) }}", "f text doc.n", "fhey3"),
    row("call with spread arguments", "{{ f(*names, **pairs) }}", "f names pairs", "fpq12"),
    row("call of an item", "{{ doc['full']() }}", "doc", "F"),
    row("method as a value", "{% set m = doc.full %}{{ m() }}", "doc doc.full", "F"),
    row("method as a value of a with", "{% with m = doc['full'] %}{{ m(text) }}{% endwith %}", "doc doc.full text", "Fhey"),
    row("method by the attr filter", "{{ (doc|attr('full'))() }}", "doc doc.full", "F"),
    row("method by a choice", "{{ (doc.full if flag else user.name)() }}", "doc doc.full flag user user.name", "F"),
    row("method in a list", "{{ [doc.full][0]() }}", "doc doc.full", "F"),
    row("methods by map", "{% for m in [doc]|map(attribute='full') %}{{ m() }}{% endfor %}", "doc", "F"),
    row("method as an argument", "{% macro m(g) %}{{ g() }}{% endmacro %}{{ m(doc.full) }}", "doc doc.full", "F"),
    row("method that changes its object, as a value", "{% set add = doc.tags.append %}{% do add(text) if off %}{{ doc.tags.0 }}", "doc.tags doc.tags.0 doc.tags.append off text", "x"),
    row("constant", "{{ 1 + 2 }}{{ 'a' ~ 'b' }}{{ [1, 2]|length }}", "", "3ab2"),
    # operators
    row("arithmetic", "{{ n + doc.n * 2 - 1 }}", "n doc.n", "7"),
    row("unary", "{{ -n }}{{ not flag }}", "n flag", "-2False"),
    row("comparison", "{{ n < doc.n }}", "n doc.n", "True"),
    row("chained comparison", "{{ 1 < n < doc.n }}", "n doc.n", "True"),
    row("membership", "{{ text in names }}", "text names", "False"),
    row("and, or", "{{ off or doc.title and text }}", "off doc.title text", "hey"),
    row("conditional expression", "{{ doc.title if flag else user.name }}", "doc.title flag user.name", "T"),
    row("conditional expression without else", "{{ doc.title if off }}", "doc.title off", ""),
    row("concatenation", "{{ text ~ doc.n }}", "text doc.n", "hey3"),
    row("attribute of a choice", "{{ (doc if flag else user).name }}", "doc.name flag user.name", ""),
    row("attribute of an or", "{{ (nothing or doc).title }}", "nothing nothing.title doc.title", "T"),
    row("list literal", "{{ [doc.title, text]|join(',') }}", "doc.title text", "T,hey"),
    row("item by a chosen name", "{{ doc['title' if flag else 'body'] }}", "doc.title doc.body flag", "T"),
    row("attr filter by a chosen name", "{{ doc|attr('title' if flag else 'body') }}", "doc.title doc.body flag", "T"),
    row("dict literal by a chosen key", "{{ {('a' if flag else 'b'): n}.a }}", "flag n", "2"),
    row("item of a list literal", "{{ [doc, user][1].name }}", "user.name", "Uma"),
    row("dict literal", "{{ {'a': doc, 'b': user}.a.title }}", "doc.title", "T"),
    row("dict literal by computed key", "{{ {'title': text}[key] }}", "text key", "hey"),
    row("string method", "{{ 'x'.join(names) }}", "names", "pxq"),
    # filters and tests
    row("filter", "{{ text|upper }}", "text", "HEY"),
    row("filter arguments", "{{ doc.nothing|default(user.name) }}", "doc.nothing user.name", "Uma"),
    row("filter chain", "{{ tasks|map(attribute='title')|join('+') }}", "tasks", "one+two"),
    row("select", "{{ tasks|selectattr('done')|list|length }}", "tasks", "1"),
    row("attr filter", "{{ doc|attr('title') }}", "doc.title", "T"),
    row("first", "{{ (tasks|first).title }}", "tasks", "one"),
    row("filter that receives the context", "{{ doc.title|add_name }}", "doc.title text", "They"),
    row("filter that receives the context, called by map", "{{ names|map('add_name')|join }}", "names text", "pheyqhey"),
    row("filter that receives the evaluation context", "{{ text|escaped }}", "text", "heyFalse"),
    row("test", "{{ n is even }}", "n", "True"),
    row("test with an argument", "{{ n is divisibleby doc.n }}", "n doc.n", "False"),
    row("test whether it is defined", "{{ doc.title is defined }}{{ nothing is defined }}", "doc.title nothing", "TrueFalse"),
    row("test that receives the context", "{{ text is has_user }}", "text user", "True"),
    row("filter block", "{% filter upper %}a{{ text }}{% endfilter %}", "text", "AHEY"),
    row("filter block with arguments", "{% filter replace('a', doc.title) %}a{% endfilter %}", "doc.title", "T"),
    # globals
    row("range", "{% for i in range(n) %}{{ i }}{% endfor %}", "n", "01"),
    row("dict()", "{{ dict(a=doc.title).a }}", "doc.title", "T"),
    row("value of a global", "{{ site }}", "site", "S"),
    row("a global function", "{{ plain(text) }}", "plain text", "ghey"),
    row("a default global that is not called", "{{ range.start is defined }}", "range.start", "True"),
    row("a function that receives the context", "{{ reads_user() }}", "reads_user user", "Uma"),
    row("a function that receives the context and reads anything", "{{ reads_anything() }}", "*", "True"),
    row("cycler", "{% set c = cycler('a', text) %}{{ c.next() }}{{ c.next() }}", "text", "ahey"),
    row("joiner", "{% set j = joiner(text) %}{{ j() }}a{{ j() }}b", "text", "aheyb"),
    # set and with
    row("set", "{% set d = doc.author %}{{ d.name }}", "doc.author.name", "Ann"),
    row("set twice", "{% set d = doc %}{% set d = user %}{{ d.name }}", "user.name", "Uma"),
    row("set replaces a context variable", "{% set text = user.name %}{{ text }}", "user.name", "Uma"),
    row("set in an if", "{% if flag %}{% set d = doc.title %}{% else %}{% set d = text %}{% endif %}{{ d }}", "flag doc.title text", "T"),
    row("set in one branch", "{% if off %}{% set text = 'x' %}{% endif %}{{ text }}", "off text", "hey"),
    row("set of a tuple", "{% set x, y = doc.title, user.name %}{{ y }}", "doc.title user.name", "Uma"),
    row("set block", "{% set d %}{{ text }}!{% endset %}{{ d }}", "text", "hey!"),
    row("set block with a filter", "{% set d|upper %}{{ text }}{% endset %}{{ d }}", "text", "HEY"),
    row("set in a loop does not leave it", "{% set x = 'a' %}{% for t in tasks %}{% set x = t.title %}{% endfor %}{{ x }}", "tasks", "a"),
    row("namespace", "{% set ns = namespace(s=0) %}{% for t in tasks %}{% set ns.s = ns.s + t.n %}{% endfor %}{{ ns.s }}", "tasks", "3"),
    row("namespace under a condition", "{% set ns = namespace(s='a') %}{% if flag %}{% set ns.s = text %}{% endif %}{{ ns.s }}", "flag text", "hey"),
    row("with", "{% with d = doc %}{{ d.title }}{% endwith %}", "doc.title", "T"),
    row("with of two names", "{% with d = doc, text = user.name %}{{ d.title }}{{ text }}{% endwith %}", "doc.title user.name", "TUma"),
    row("with evaluates its values outside", "{% with text = 'a', d = text %}{{ d }}{% endwith %}", "text", "hey"),
    row("with ends", "{% with text = 'a' %}{% endwith %}{{ text }}", "text", "hey"),
    row("do", "{% set l = [] %}{% do l.append(doc.title) %}{{ l|join }}", "doc.title", "T"),
    row("do by a method as a value", "{% set l = [] %}{% set add = l.append %}{% do add(doc.title) %}{{ l|join }}", "doc.title", "T"),
    row("sort", "{% set l = [n, doc.n] %}{% do l.sort() %}{{ l|join }}", "n doc.n", "23"),
    row("iterator that is used up", "{% set u = names|map('upper') %}{{ u|join }}{{ u|join }}", "names", "PQ"),
    row("iterator by a choice", "{% set u = (names|select if flag else tasks|reverse) %}{{ u|join }}{{ u|join }}", "flag names tasks", "pq"),
    # loops
    row("for", "{% for t in tasks %}{{ t.title }}{% endfor %}", "tasks", "onetwo"),
    row("for over an attribute", "{% for t in doc.tags %}{{ t }}{% endfor %}", "doc.tags", "xy"),
    row("for with else", "{% for t in [] %}{% else %}{{ text }}{% endfor %}", "text", "hey"),
    row("for with a test", "{% for t in tasks if t.done == flag %}{{ t.title }}{% endfor %}", "tasks flag", "one"),
    row("for of pairs", "{% for k, v in pairs.items() %}{{ k }}{{ v }}{% endfor %}", "pairs", "a1b2"),
    row("for over a list literal", "{% for d in [doc, user] %}{{ d.name }}{% endfor %}", "doc doc.name user user.name", "Uma"),
    row("for over literal pairs", "{% for k, v in [('a', doc.title), ('b', text)] %}{{ k }}{{ v }}{% endfor %}", "doc.title text", "aTbhey"),
    row("loop", "{% for t in tasks %}{{ loop.index }}{{ loop.last }}{% endfor %}", "tasks", "1False2True"),
    row("loop.cycle", "{% for t in tasks %}{{ loop.cycle(text, doc.title) }}{% endfor %}", "tasks text doc.title", "heyT"),
    row("loop.previtem", "{% for t in tasks %}{{ loop.previtem.title if not loop.first }}{% endfor %}", "tasks", "one"),
    row("a loop's variable ends with it", "{% for text in names %}{% endfor %}{{ text }}", "names text", "hey"),
    row("recursive loop", "{% for t in [tree] recursive %}{{ t.name }}{{ loop(t.kids) }}{% endfor %}", "tree tree.name tree.kids", "rst"),
    row("nested loops", "{% for a in names %}{% for t in tasks %}{{ a }}{{ t.n }}{{ loop.index }}{% endfor %}{% endfor %}", "names tasks", "p11p22q11q22"),
    row("outer loop by name", "{% for a in names %}{% set o = loop %}{% for t in tasks %}{{ o.index }}{% endfor %}{% endfor %}", "names tasks", "1122"),
    row("break", "{% for t in tasks %}{% if t.title == text %}{% break %}{% endif %}{{ t.n }}{% endfor %}", "tasks text", "12"),
    row("continue", "{% for t in tasks %}{% if t.done %}{% continue %}{% endif %}{{ t.n }}{% endfor %}", "tasks", "2"),
    row("if", "{% if user.admin %}{{ text }}{% elif off %}{{ n }}{% else %}{{ doc.title }}{% endif %}", "user.admin text off n doc.title", "hey"),
    # macros
    row("macro", "{% macro m(d) %}{{ d.title }}{% endmacro %}{{ m(doc) }}", "doc.title", "T"),
    row("macro by keyword", "{% macro m(a, b) %}{{ b }}{% endmacro %}{{ m(b=text, a=n) }}", "text", "hey"),
    row("macro's default", "{% macro m(a=text) %}{{ a }}{% endmacro %}{{ m() }}{{ m('x') }}", "text", "heyx"),
    row("macro reads the context", "{% macro m() %}{{ text }}{% endmacro %}{{ m() }}", "text", "hey"),
    row("macro not called", "{% macro m() %}{{ text }}{% endmacro %}", "", ""),
    row("macro with varargs", "{% macro m() %}{{ varargs|join }}{{ kwargs.x }}{% endmacro %}{{ m(text, x=doc.title) }}", "text doc.title", "heyT"),
    row("macro that calls itself", "{% macro m(t) %}{{ t.name }}{% for k in t.kids %}{{ m(k) }}{% endfor %}{% endmacro %}{{ m(tree) }}", "tree.name tree.kids", "rst"),
    row("macro called twice", "{% macro m(d) %}{{ d.name }}{% endmacro %}{{ m(user) }}{{ m(doc.author) }}", "user.name doc.author.name", "UmaAnn"),
    row("macro as a value", "{% macro m(d) %}{{ d.title }}{% endmacro %}{% set k = [m] %}{{ k[0](doc) }}", "doc.title", "T"),
    row("macro call as an argument", "{% macro m(d) %}{{ text }}{% endmacro %}{{ f(m(1)) }}", "f text", "fhey"),
    row("macro in a macro", "{% macro a(x) %}<{{ x }}>{% endmacro %}{% macro m(d) %}{{ a(d.title) }}{% endmacro %}{{ m(doc) }}", "doc.title", "<T>"),
    row("call block", "{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}{{ text }}{% endcall %}", "text", "[hey]"),
    row("call block with arguments", "{% macro m(d) %}{{ caller(d.author) }}{% endmacro %}{% call(a) m(doc) %}{{ a.name }}{% endcall %}", "doc.author.name", "Ann"),
    row("call block that is not called", "{% macro m() %}{{ caller is defined }}{% endmacro %}{% call m() %}{{ text }}{% endcall %}", "", "True"),
    # imports and includes
    row("import", "{% import 'm' as m %}{{ m.show(doc) }}{{ m.const }}", "doc.title", "TC", m=MACROS),
    row("import sees no context", "{% import 'm' as m %}{{ m.sees() }}{{ m.local }}", "", "", m=MACROS),
    row("import with context", "{% import 'm' as m with context %}{{ m.sees() }}{{ m.local }}", "text", "heyhey", m=MACROS),
    row("from import", "{% from 'm' import show, const as c %}{{ show(doc) }}{{ c }}", "doc.title", "TC", m=MACROS),
    row("from import with context", "{% from 'm' import sees with context %}{{ sees() }}", "text", "hey", m=MACROS),
    row("import and call", "{% from 'm' import wrap %}{% call wrap() %}{{ text }}{% endcall %}", "text", "[hey]", m=MACROS),
    row("module as text", "{% import 'm' as m with context %}{{ m }}", "text", "<hey>", m="<{{ text }}>"),
    row("include", "{% include 'i' %}", "text", "<hey>", i="<{{ text }}>"),
    row("include sees a set variable", "{% set text = doc.title %}{% include 'i' %}", "doc.title", "<T>", i="<{{ text }}>"),
    row("include in a loop", "{% for t in tasks %}{% include 'i' %}{% endfor %}", "tasks loop loop.index", "one1two2", i="{{ t.title }}{{ loop.index if loop is defined else t.n }}"),
    row("include without context", "{% include 'i' without context %}", "", "<>", i="<{{ text }}>"),
    row("include of a list", "{% include ['no', 'i'] %}", "text", "<hey>", i="<{{ text }}>"),
    row("include of a missing template", "a{% include 'no' ignore missing %}", "", "a"),
    row("include by a choice", "{% include 'i' if flag else 'j' %}", "flag text n", "<hey>", i="<{{ text }}>", j="{{ n }}"),
    row("include by a constant name", "{% set x = 'i' %}{% include x %}", "text", "<hey>", i="<{{ text }}>"),
    row("include by a joined name", "{% include 'dir/' ~ 'i' %}", "text", "<hey>", **{"dir/i": "<{{ text }}>"}),
    row("include by a prefix and a suffix", "{% include 'dir/' ~ key ~ '.x' %}", "key text n", "<hey>", **{"dir/title.x": "<{{ text }}>", "dir/o.x": "{{ n }}", "dir/o": "{{ off }}", "p.x": "{{ off }}"}),
    row("include by a sum", "{% include 'dir/' + key %}", "key text", "<hey>", **{"dir/title": "<{{ text }}>"}),
    row("include by a constant in a loop", "{% for x in ['i', 'j'] %}{% include x ~ '.x' %}{% endfor %}", "text n", "hey2", **{"i.x": "{{ text }}", "j.x": "{{ n }}"}),
    row("import by a prefix", "{% import 'm/' ~ key as m %}{{ m.f }}{{ m.g(n) }}", "key n", "12", **{"m/title": "{% set f = 1 %}{% macro g(x) %}{{ x }}{% endmacro %}", "m/body": "{% set f = 3 %}"}),
    row("items by constants in a loop", "{% for k in ['title', 'body'] %}{{ doc[k] }}{% endfor %}", "doc.title doc.body", "TB"),
    row("items by constants in pairs", "{% for k, label in [('title', 'A'), ('body', 'B')] %}{{ label }}{{ doc[k] }}{% endfor %}", "doc.title doc.body", "ATBB"),
    row("items by a list that changes", "{% set l = ['title'] %}{% do l.extend(['body']) %}{% for k in l %}{{ doc[k] }}{% endfor %}", "doc", "TB"),
    row("items by a list that the loop extends", "{% set l = ['title'] %}{% for k in l %}{{ doc[k] }}{% do l.append('body') if k == 'title' %}{% endfor %}", "doc doc.title", "TB"),
    row("loop that extends what it iterates over", "{% set l = [tree] %}{% for t in l %}{{ t.name }}{% do l.extend(t.kids) %}{% endfor %}", "tree tree.name tree.kids tree.kids.name tree.kids.kids", "rst"),
    row("items by the keys of a dict", "{% for k in {'title': 'body'} %}{{ doc[k] }}{% endfor %}", "doc", "T"),
    row("items by a list or something else", "{% for k in (['title'] if off else [key]) %}{{ doc[k] }}{% endfor %}", "off doc key", "T"),
    row("include by a list or something else", "{% include ['i'] if off else doc.full('p') %}", "*", "<hey>", i="", Fp="<{{ text }}>"),
    row("include in branches", "{% if flag %}{% include 'i' %}{% else %}{% include 'j' %}{% endif %}", "flag text", "<hey1>", i="<{{ text }}{% block x %}1{% endblock %}>", j="{% block x %}{{ n }}{% endblock %}"),
    row("include of an unknown template", "{% set layout = 'i' if off else layout %}{% include layout %}", "*", "<hey>", parent="<{{ text }}>", i=""),
    row("include of a child", "{% include 'i' %}", "text", "<2hey>", i="{% extends 'p' %}{% block x %}{{ n }}{% endblock %}", p="<{% block x %}{% endblock %}{{ text }}>"),
    row("include of itself", "{% with t = tree %}{% include 'i' %}{% endwith %}", "tree.name tree.kids", "rst", i="{{ t.name }}{% for k in t.kids %}{% with t = k %}{% include 'i' %}{% endwith %}{% endfor %}"),
    row("include binds nothing outside", "{% include 'i' %}{{ text }}", "text", "hey", i="{% set text = 'x' %}"),
    # escaping, translation
    row("autoescape on", "{% autoescape true %}{{ html }}{% endautoescape %}", "html", "&lt;i&gt;"),
    row("autoescape by a value", "{% autoescape flag %}{{ html }}{% endautoescape %}", "flag html", "&lt;i&gt;"),
    row("safe", "{% autoescape true %}{{ html|safe }}{% endautoescape %}", "html", "<i>"),
    row("trans", "{% trans %}hello{% endtrans %}", "", "hello"),
    row("trans with names", "{% trans who=user.name %}hello {{ who }}{% endtrans %}", "user.name", "hello Uma"),
    row("trans with a context variable", "{% trans %}hello {{ text }}{% endtrans %}", "text", "hello hey"),
    row("trans with a plural", "{% trans count=doc.n %}one{% pluralize %}{{ count }} of {{ text }}{% endtrans %}", "doc.n text", "3 of hey"),
    row("gettext", "{{ _('a') }}{{ gettext('b') }}", "", "ab"),
    row("raw", "{% raw %}{{ text }}{% endraw %}{# {{ n }} #}", "", "{{ text }}"),
    # blocks in blocks
    row("nested block is separate", "{{ text }}{% block c %}{{ n }}{% endblock %}", "text", "hey2"),
    row("scoped block in a loop", "{% for t in tasks %}{% block c scoped %}{{ t.n }}{% endblock %}{% endfor %}", "tasks", "12"),
    row("self", "{% block c %}{{ n }}{% endblock %}{{ self.c() }}", "n", "22"),
    Row("self of an earlier block", "{% block a %}{{ text }}{% endblock %}" + B("{{ self.a() }}"), "text", "hey"),
    # the page's top level
    Row("set at the top", "{% set total = tasks|length %}{{ n }}" + B("{{ total }}"), "tasks", "2"),
    Row("set at the top from another set", "{% set x = text %}{% set y = x ~ '!' %}{% set z = n %}" + B("{{ y }}"), "text", "hey!"),
    Row("set in an if at the top", "{% if flag %}{% set x = text %}{% else %}{% set x = n %}{% endif %}" + B("{{ x }}"), "flag text n", "hey"),
    Row("set after the block", B("{{ x }}") + "{% set x = text %}", "x", ""),
    Row("import by a choice", "{% import 'i' if flag else 'j' as m %}" + B("{{ m.a() }}"), "flag", "1", {"i": "{% macro a() %}1{% endmacro %}", "j": "{% macro a() %}2{% endmacro %}"}),
    Row("from import by a choice", "{% from 'i' if flag else 'j' import a %}" + B("{{ a }}"), "flag", "1", {"i": "{% set a = 1 %}", "j": "{% set a = 2 %}"}),
    Row("import in branches", "{% if flag %}{% import 'i' as m %}{% else %}{% import 'j' as m %}{% endif %}" + B("{{ m.a }}"), "flag", "1", {"i": "{% set a = 1 %}", "j": "{% set a = 2 %}"}),
    Row("import of a chosen module by a module", "{% import 'h' as h with context %}" + B("{{ h.k }}"), "flag", "1", {"h": "{% import 'i' if flag else 'j' as m %}{% set k = m.a %}", "i": "{% set a = 1 %}", "j": "{% set a = 2 %}"}),
    Row("import of a module that a choice imports too", "{% import 'i' if flag else 'j' as m %}{% import 'i' as k %}" + B("{{ k.a }}"), "", "1", {"i": "{% set a = 1 %}", "j": "{% set a = 2 %}"}),
    Row("import by a choice of a module that is imported already", "{% import 'i' as k %}{% import 'i' if flag else 'j' as m %}" + B("{{ m.a }}"), "flag", "1", {"i": "{% set a = 1 %}", "j": "{% set a = 2 %}"}),
    Row("method of a module", "{% import 'm' as m with context %}" + B("{{ m.full() }}"), "doc doc.full", "F", {"m": "{% set full = doc.full %}"}),
    Row("import of an unknown module", "{% import layout as m %}" + B("{{ m.a }}"), "layout", "1", {"parent": "{% set a = 1 %}"}),
    Row("macro at the top", "{% macro m(d) %}{{ d.title }}{{ text }}{% endmacro %}" + B("{{ m(doc) }}"), "doc.title text", "They"),
    Row("import at the top", "{% import 'm' as m %}" + B("{{ m.show(doc) }}"), "doc.title", "T", {"m": MACROS}),
    Row("import with context at the top", "{% set text = n %}{% from 'm' import sees with context %}" + B("{{ sees() }}"), "n", "2", {"m": MACROS}),
    Row("namespace filled at the top", "{% set ns = namespace(s=0) %}{% for t in tasks %}x{% set ns.s = ns.s + t.n %}{% endfor %}" + B("{{ ns.s }}"), "tasks", "3"),
    Row("list filled at the top", "{% set l = [] %}{% do l.append(text) %}" + B("{{ l|join }}"), "text", "hey"),
    Row("cycler advanced at the top", "{% set c = cycler('a', 'b') %}{{ c.next() }}" + B("{{ c.next() }}"), "", "b"),
    Row("private name at the top", "{% set _x = text %}" + B("{{ _x }}"), "text", "hey"),
    Row("names of a surrounding with are not visible", "{% with text = 'x' %}" + B("{{ text }}") + "{% endwith %}", "text", "hey"),
    Row("a surrounding condition is not read", "{% if user.admin %}" + B("{{ text }}") + "{% endif %}", "text", "hey"),
    Row("surrounding autoescape", "{% autoescape true %}" + B("{{ text|escaped }}") + "{% endautoescape %}", "text", "heyTrue"),
    # changes under a condition
    Row("change in an if", LIST + "{% if flag %}{% do l.append(n) %}{% endif %}" + L, "flag n", "2"),
    Row("change in an elif", LIST + "{% if off %}{% elif flag %}{% do l.append(n) %}{% endif %}" + L, "off flag n", "2"),
    Row("change in an else", LIST + "{% if off %}{% else %}{% do l.append(n) %}{% endif %}" + L, "off n", "2"),
    Row("change in a conditional expression", LIST + "{% do (l.append(n) if flag) %}" + L, "flag n", "2"),
    Row("change in the else of an expression", LIST + "{% do (1 if off else l.append(n)) %}" + L, "off n", "2"),
    Row("change after an and", LIST + "{% do (flag and l.append(n)) %}" + L, "flag n", "2"),
    Row("change after an or", LIST + "{% do (off or l.append(n)) %}" + L, "off n", "2"),
    Row("change in a chain of comparisons", LIST + "{% do (0 < n < (l.append(1) or 3)) %}" + L, "n", "1"),
    Row("change in the value of a set", LIST + "{% set x = (l.append(1) if flag) %}" + L, "flag", "1"),
    Row("change in the value of a with", LIST + "{% with x = (flag and l.append(1)) %}{% endwith %}" + L, "flag", "1"),
    Row("change in a set block", LIST + "{% set x %}{% if flag %}{{ l.append(1) }}{% endif %}{% endset %}" + L, "flag", "1"),
    Row("change in a loop", LIST + "{% for t in tasks %}{% do l.append(1) %}{% endfor %}" + L, "tasks", "11"),
    Row("change in a loop with a test", LIST + "{% for t in tasks if flag %}{% do l.append(1) %}{% endfor %}" + L, "tasks flag", "11"),
    Row("change in the else of a loop", LIST + "{% for t in tasks if off %}{% else %}{% do l.append(1) %}{% endfor %}" + L, "tasks off", "1"),
    Row("change after a break", LIST + "{% for t in tasks %}{% if flag %}{% break %}{% endif %}{% do l.append(1) %}{% endfor %}" + L, "tasks flag", ""),
    Row("change in a recursive loop", LIST + "{% for t in [tree] recursive %}{% do l.append(1) %}{{ loop(doc.tags) if loop.first and loop.depth < 2 }}{% endfor %}" + L, "tree doc.tags", "111"),
    Row("change in a call block", LIST + "{% macro m(x) %}{{ caller() if x }}{% endmacro %}{% call m(flag) %}{% do l.append(1) %}{% endcall %}" + L, "flag", "1"),
    Row("state of a macro that call blocks in a loop call", B(STATE + "{% for t in tasks %}{% call m() %}{{ t.title }}{% endcall %}{% endfor %}"), "tasks", "onetwo"),
    Row("state of a macro that an include in a loop calls", B("{% for t in tasks %}{% include 'i' %}{% endfor %}"), "tasks", "xx", {"i": "{% from 'k' import m %}{{ m() }}", "k": STATE}),
    Row("include in a macro that calls itself", B("{% macro m(d, n) %}{{ d }}{% include 'i' %}{{ m(d, n - 1) if n }}{% endmacro %}{{ m(text, 1) }}"), "text", "hey1hey1", {"i": "{% set y = 1 %}{{ y }}"}),
    Row("change in a macro that is called again", LIST + "{% macro m() %}{% do l.append(1) %}{% endmacro %}{% with x = 1 %}{{ m() }}{{ m() }}{{ m() }}{% if flag %}{{ m() }}{% endif %}{% endwith %}" + L, "flag", "1111"),
    Row("change by a method as a value", LIST + "{% set add = l.append %}{% do add(n) %}" + L, "n", "2"),
    Row("change of a value of the context by a method as a value", "{% set add = doc.tags.append %}{% do add(text) if flag %}" + B("{{ doc.tags|join }}"), "doc.tags flag text", "xyhey"),
    Row("change of a copy", "{% set l = names|list %}{% do l.append(text) %}" + B("{{ l|join }}"), "names text", "pqhey"),
    Row("change of a copy in another block", "{% block a %}{% set l = names|sort %}{% do l.append(text) %}{% endblock %}" + B("{{ names|join }}"), "names", "pq"),
    Row("change by a method as an argument", LIST + "{% macro m(add) %}{% do add(n) %}{% endmacro %}{{ m(l.append) }}" + L, "n", "2"),
    Row("change by a function that gets a method", LIST + "{% do f(l.append, n) %}" + L, "n", ""),
    Row("change in a chosen macro", LIST + "{% macro m() %}{% do l.append(1) %}{% endmacro %}{% macro o() %}{% endmacro %}{{ (m if flag else o)() }}" + L, "flag", "1"),
    Row("change by a function that is called again", LIST + "{% if flag %}{% do f(l, text) %}{% endif %}{% if n %}{% do f(l, text) %}{% endif %}" + L, "flag n text", ""),
    Row("change in a chosen include", LIST + "{% include 'i' if flag else 'j' %}" + L, "flag", "1", {"i": "{% do l.append(1) %}", "j": ""}),
    Row("change in a chosen import", LIST + "{% import 'i' if flag else 'j' as m with context %}" + L, "flag", "1", {"i": "{% do l.append(1) %}", "j": ""}),
    Row("change in a chosen parent", "{% extends 'i' if flag else 'j' %}" + LIST + L, "flag", "1", {"i": "{% do l.append(1) %}" + B(""), "j": B("")}),
    Row("dict by a chosen key at the top", "{% set d = {('a' if flag else 'b'): n} %}" + B("{{ d.a }}"), "flag n", "2"),
    Row("attribute by a chosen name at the top", "{% set x = doc|attr('title' if flag else 'body') %}{% set y = doc['title' if off else 'body'] %}" + B("{{ x }}{{ y }}"), "flag off doc.title doc.body", "TB"),
    Row("iterator in a list", "{% set l = [names|select] %}{{ l[0]|join }}" + B("{{ l[0]|join }}"), "names", ""),
    Row("iterator in a dict", "{% set d = {'k': names|select} %}{{ d.k|join }}" + B("{{ d.k|join }}"), "names", ""),
    Row("iterator in a namespace", "{% set ns = namespace(k=names|select) %}{{ ns.k|join }}" + B("{{ ns.k|join }}"), "names", ""),
    Row("iterator as a default", "{% set u = (names|select)|default([]) %}{{ u|join }}" + B("{{ u|join }}"), "names", ""),
    Row("iterator over an iterator", "{% set u = names|select %}{% set v = u|map('upper') %}{{ u|join }}" + B("{{ v|join }}"), "names", ""),
    Row("list of an iterator", "{% set u = names|select %}{% set v = u|list %}{{ u|join }}{{ v|join }}" + B("{{ v|join }}"), "names", "pq"),
    Row("iterator that a loop uses up in part", "{% set u = names|select %}{% for t in u %}{% if flag %}{% break %}{% endif %}{% endfor %}" + B("{{ u|join }}"), "flag names", "q"),
    Row("cycler that is advanced under a condition", "{% set c = cycler('x', 'y') %}{{ c.next() if flag }}" + B("{{ c.current }}"), "flag", "y"),
    Row("iterator that is used up under a condition", "{% set u = names|select %}{% if flag %}{{ u|list|length }}{% endif %}" + B("{{ u|join }}"), "flag names", ""),
    Row("text after an extends changes nothing", "{% extends 'p' %}" + LIST + "{% for t in tasks %}{{ l.append(1) }}{% filter upper %}{{ l.append(2) }}{% endfilter %}{% do l.append(3) %}{% endfor %}" + L, "tasks", "33", {"p": B("")}),
    Row("text before the second of two equal extends", LIST + "{% if off %}{% extends 'p' %}{% else %}{% for t in [1] %}{{ l.append(t) or '' }}{% endfor %}{% extends 'p' %}{% endif %}" + L, "off", "1", {"p": B("")}),
    Row("set blocks and call blocks after an extends", "{% extends 'p' %}" + LIST + "{% macro m() %}{{ l.append(1) }}{{ caller() }}{% endmacro %}{% call m() %}{{ l.append(2) }}{% endcall %}{% set x %}{{ l.append(3) }}{% endset %}" + L, "", "123", {"p": B("")}),
    Row("text before an extends", LIST + "{{ l.append(1) or '' }}{% extends 'p' %}{{ l.append(2) }}" + L, "", "1", {"p": B("")}),
    # inheritance
    Row("override", "{% extends 'p' %}" + B("{{ text }}"), "text", "hey", {"p": PARENT}),
    Row("no override", "{% extends 'p' %}", "doc.body", "parent B", {"p": PARENT}),
    Row("super", "{% extends 'p' %}" + B("{{ super() }}{{ text }}"), "doc.body text", "parent Bhey", {"p": PARENT}),
    Row("super in an expression", "{% extends 'p' %}" + B("{{ super()|upper }}"), "doc.body", "PARENT B", {"p": PARENT}),
    Row("super through two parents", "{% extends 'q' %}" + B("{{ super() }}3"), "doc.body", "parent B23", {"p": PARENT, "q": "{% extends 'p' %}" + B("{{ super() }}2")}),
    Row("super that skips a parent", "{% extends 'q' %}" + B("{{ super.super() }}"), "doc.body", "parent B", {"p": PARENT, "q": "{% extends 'p' %}" + B("{{ n }}")}),
    Row("child's set is visible in the parent's block", "{% extends 'p' %}{% set body = text %}", "text", "hey", {"p": B("{{ body }}")}),
    Row("child's set after its blocks", "{% extends 'p' %}" + B("{{ x }}") + "{% set x = text %}", "text", "hey", {"p": PARENT}),
    Row("parent's set wins", "{% extends 'p' %}{% set x = text %}", "n", "2", {"p": "{% set x = n %}" + B("{{ x }}")}),
    Row("child's block within the parent's", "{% extends 'p' %}{% block c %}{{ n }}{% endblock %}", "text", "hey2", {"p": B("{{ text }}{% block c %}{% endblock %}")}),
    Row("parent by a constant name", "{% set p = 'p' %}{% extends p %}" + B("{{ text }}"), "text", "hey", {"p": PARENT}),
    Row("parent of a parent", "{% extends 'p' %}" + B("{{ text }}"), "text", "hey", {"p": "{% extends 'q' %}", "q": PARENT}),
    Row("parent by a choice", "{% extends 'p' if flag else 'q' %}" + B("{{ text }}{{ super() }}"), "flag text doc.body n", "heyparent B", {"p": PARENT, "q": B("{{ n }}")}),
    Row("parent by a choice that changes no text of the block", "{% extends 'p' if flag else 'q' %}" + B("{{ text }}"), "text", "hey", {"p": PARENT, "q": B("{{ n }}")}),
    Row("parent in branches", "{% if flag %}{% extends 'p' %}{% else %}{% extends 'q' %}{% endif %}", "flag doc.body n", "parent B", {"p": PARENT, "q": B("{{ n }}")}),
    Row("parent by a name that a condition sets", "{% if off %}{% set up = 'q' %}{% else %}{% set up = 'p' %}{% endif %}{% extends up %}", "off doc.body n", "parent B", {"p": PARENT, "q": B("{{ n }}")}),
    Row("parent by a chosen key", "{% set up = {'a': 'p', 'b': 'q'} %}{% extends up['a' if flag else 'b'] %}", "flag doc.body n", "parent B", {"p": PARENT, "q": B("{{ n }}")}),
    Row("parent of a parent by a choice", "{% extends 'o' %}", "flag doc.body n", "parent B", {"o": "{% extends 'p' if flag else 'q' %}", "p": PARENT, "q": B("{{ n }}")}),
    Row("set of a chosen parent", "{% extends 'p' if flag else 'q' %}" + B("{{ x }}"), "flag text x", "hey", {"p": "{% set x = text %}" + B(""), "q": B("")}),
    Row("macro of a chosen parent", "{% extends 'p' if flag else 'q' %}" + B("{{ m() }}"), "flag", "1", {"p": "{% macro m() %}1{% endmacro %}" + B(""), "q": "{% macro m() %}2{% endmacro %}" + B("")}),
    Row("import of a chosen parent", "{% extends 'p' if flag else 'q' %}" + B("{{ m.a }}"), "flag", "1", {"p": "{% import 'i' as m %}" + B(""), "q": "{% import 'j' as m %}" + B(""), "i": "{% set a = 1 %}", "j": "{% set a = 2 %}"}),
    Row("autoescape of a chosen parent", "{% extends 'p' if flag else 'q' %}" + B("{{ text|escaped }}"), "flag text", "heyTrue", {"p": "{% autoescape true %}" + B("") + "{% endautoescape %}", "q": B("")}),
    Row("self through a chosen parent", "{% extends 'p' if flag else 'q' %}" + B("{{ self.c() }}"), "flag user.name", "Uma", {"p": PARENT, "q": B("") + "{% block c %}{% endblock %}"}),
    Row("parent under a condition", "{% if flag %}{% extends 'p' %}{% endif %}" + B("{{ text }}"), "text", "hey", {"p": PARENT}),
    Row("required block", "{% extends 'p' %}" + B("{{ text }}"), "text", "hey", {"p": "{% block b required %}{% endblock %}"}),
    Row("macro of the child in the parent's block", "{% extends 'p' %}{% macro m() %}{{ text }}{% endmacro %}", "text", "hey", {"p": B("{{ m() }}")}),
    Row("block of an include", "{% include 'i' %}", "text", "hey", {"i": B("{{ text }}")}),
    Row("block of an include that sees the page's set", "{% set x = text %}{% include 'i' %}", "text n", "hey2", {"i": "{% set y = n %}" + B("{{ x }}{{ y }}")}),
    # environments
    Row("strict", B("{{ doc.title }}{{ x if x is defined }}"), "doc.title x", "T", options={"undefined": StrictUndefined}),
    Row("sandbox", B("{{ doc.full(text) }}"), "doc text", "Fhey", kind=SandboxedEnvironment),
    Row("native", B("{{ n }}{{ doc.n }}"), "n doc.n", "23", kind=NativeEnvironment),
    Row("other delimiters", "<% block b %>${ text }<% endblock %>", "text", "hey", options={"block_start_string": "<%", "block_end_string": "%>", "variable_start_string": "${", "variable_end_string": "}"}),
    Row("line statements", "# block b\n{{ text }}\n# endblock", "text", "hey\n", options={"line_statement_prefix": "#"}),
    Row("trimmed blocks", "{% block b %}\n  {% if flag %}\n{{ text }}\n  {% endif %}\n{% endblock %}", "flag text", "hey\n", options={"trim_blocks": True, "lstrip_blocks": True}),
    Row("autoescape", B("{{ html }}{% set x %}{{ html }}{% endset %}{{ x }}"), "html", "&lt;i&gt;&lt;i&gt;", options={"autoescape": True}),
    Row("finalize", B("{{ none }}{{ text }}"), "text", "-hey", options={"finalize": lambda value: value or "-"}),
]  # fmt: skip


def by_name(each: Row) -> str:
    return each.name


def test_the_table_is_large_and_its_names_are_unique() -> None:
    assert len({each.name for each in ROWS}) == len(ROWS)
    assert len(ROWS) >= 120


@pytest.mark.parametrize("each", ROWS, ids=by_name)
def test_the_paths_of_the_block_are_exact(each: Row) -> None:
    assert analyse(each.env(each.kind), "page").blocks["b"].paths == frozenset(each.paths.split())


@pytest.mark.parametrize("each", ROWS, ids=by_name)
def test_the_block_rendered_alone_equals_the_page(each: Row) -> None:
    env = each.env(each.kind)
    assert compile_block(env, "page", "b").render(context()) == each.output
    if each.kind is not NativeEnvironment:
        marked = each.env(marking(each.kind))
        marked.recorder = Recorder()  # type: ignore[attr-defined]
        assert slices(marked.get_template("page").render(context()))["b"] == [each.output]


@pytest.mark.parametrize("each", ROWS, ids=by_name)
async def test_the_block_rendered_asynchronously_is_the_same(each: Row) -> None:
    env = each.env(each.kind, enable_async=True)
    assert await compile_block(env, "page", "b").render_async(context()) == each.output
    assert await compile_block(each.env(each.kind), "page", "b").render_async(context()) == each.output
