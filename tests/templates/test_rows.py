"""Which blocks are keyed lists, and how their text is taken apart into rows."""

from __future__ import annotations

from collections.abc import Mapping

import anyio
import pytest
from jinja2 import DictLoader, Environment

from starlette_reactive._core.rows import KeyedText, RowChange, changed_rows
from starlette_reactive._templates import BlockRows, compile_block, rows_of_page

TASKS = [{"id": number, "name": f"n{number}"} for number in range(3)]
ROW = '<li id="t{{ t.id }}">{{ t.name }}</li>'
LOOP = f"{{% for t in tasks %}}{ROW}{{% endfor %}}"


def environment(templates: Mapping[str, str], **options: bool) -> Environment:
    return Environment(loader=DictLoader(dict(templates)), autoescape=True, **options)  # type: ignore[arg-type]


def block(content: str, **others: str) -> Environment:
    return environment({"page": f"<ul id=b>{{% block b %}}{content}{{% endblock %}}</ul>", **others})


def rows_in(env: Environment) -> BlockRows:
    return rows_of_page(env, "page")["b"]


def rendered(env: Environment, tasks: object = TASKS) -> str:
    text = compile_block(env, "page", "b").render({"tasks": tasks})
    assert text in env.get_template("page").render(tasks=tasks)
    return text


def parts_of(text: str) -> tuple[str, ...]:
    assert isinstance(text, KeyedText)
    assert "".join(text.parts) == text
    return text.parts


LI = tuple(f'<li id="t{number}">n{number}</li>' for number in range(3))
KEYED = {
    "a loop": (block(LOOP), ("", *LI, "")),
    "fixed markup around it": (block(f"<li>first</li>{LOOP}<li>last</li>"), ("<li>first</li>", *LI, "<li>last</li>")),
    "white space and comments": (
        block(f"{{% for t in tasks %}} <!-- row -->{ROW}\n{{% endfor %}}"),
        ("", *(f" <!-- row -->{row}\n" for row in LI), ""),
    ),
    "an else": (block(f"{{% for t in tasks %}}{ROW}{{% else %}}<li>none</li>{{% endfor %}}"), ("", *LI, "")),
    "a condition around it": (block(f"{{% if tasks %}}{LOOP}{{% else %}}none{{% endif %}}"), ("", *LI, "")),
    "a row of a macro": (
        block("{% from 'ui' import row %}{% for t in tasks %}{{ row(t) }}{% endfor %}",
              ui=f"{{% macro row(t) %}}{ROW}{{% endmacro %}}"),
        ("", *LI, ""),
    ),
    "a row that is included": (block("{% for t in tasks %}{% include 'row' %}{% endfor %}", row=ROW), ("", *LI, "")),
    "alternative rows": (
        block(f"""{{% for t in tasks %}}{{% if t.id %}}{ROW}{{% else %}}<li id='x{{{{ t.id }}}}'>zero</li>{{% endif %}}
        {{%- endfor %}}"""),
        ("", "<li id='x0'>zero</li>", *LI[1:], ""),
    ),
    "rows that are left out": (
        block(f"{{% for t in tasks %}}{{% if t.id != 1 %}}{ROW}{{% endif %}}{{% endfor %}}"),
        ("", LI[0], LI[2], ""),
    ),
    "a loop in a row": (
        block('{% for t in tasks %}<li id="t{{ t.id }}">{% for c in t.name %}{{ c }}{% endfor %}</li>{% endfor %}'),
        ("", *LI, ""),
    ),
    "an overridden block": (
        environment({"base": "<ul id=b>{% block b %}{% endblock %}</ul>",
                     "page": f"{{% extends 'base' %}}{{% block b %}}{LOOP}{{% endblock %}}"}),
        ("", *LI, ""),
    ),
    "a loop over an argument of a with": (
        block(f"{{% with tasks = tasks %}}{LOOP}{{% endwith %}}"),
        ("", *LI, ""),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KEYED)
def test_a_list_whose_rows_have_ids_is_taken_apart(name: str) -> None:
    env, parts = KEYED[name]
    assert rows_in(env).fault == ""
    text = rendered(env)
    assert parts_of(text) == parts
    assert isinstance(text, KeyedText)
    assert text.ids is not None
    assert len(text.ids) == len(parts) - 2


NOT_KEYED = {
    "rows without an id": ("{% for t in tasks %}<li>{{ t.name }}</li>{% endfor %}", "no id"),
    "rows with one id": ("{% for t in tasks %}<li id=x>{{ t.name }}</li>{% endfor %}", "a constant id"),
    "rows without an end tag": ("{% for t in tasks %}<li id=t{{ t.id }}>{{ t.name }}{% endfor %}", "does not close"),
    "two elements": (f"{{% for t in tasks %}}{ROW}{ROW}{{% endfor %}}", "several elements"),
    "elements of a loop in the loop": (f"{{% for u in tasks %}}{LOOP}{{% endfor %}}", "several elements"),
    "text beside the element": (f"{{% for t in tasks %}}{ROW}, {{% endfor %}}", "beside the element"),
    "a value beside the element": (f"{{% for t in tasks %}}{ROW}{{{{ t.name }}}}{{% endfor %}}", "beside the element"),
    "a recursive loop": (
        '{% for t in tasks recursive %}<li id="t{{ t.id }}">{{ loop(t.all) }}</li>{% endfor %}',
        "recursive",
    ),
    "two loops": (f"{LOOP}{LOOP}", "several loops"),
    "a loop in a macro": (f"{{% macro all() %}}{LOOP}{{% endmacro %}}{{{{ all() }}}}", "not in the block itself"),
    "a loop that a filter changes": (f"{{% filter upper %}}{LOOP}{{% endfilter %}}", "not in the block itself"),
}


@pytest.mark.parametrize("name", NOT_KEYED)
def test_another_loop_is_not_taken_apart_and_the_reason_is_known(name: str) -> None:
    content, reason = NOT_KEYED[name]
    env = block(content)
    rows = rows_in(env)
    assert reason in rows.fault
    assert rows.fix
    assert str(rows.loop) == "page:1"
    tasks = [] if name == "a recursive loop" else TASKS
    assert not isinstance(rendered(env, tasks), KeyedText)


def test_a_loop_that_shows_no_elements_is_no_list() -> None:
    assert rows_of_page(block("{% for t in tasks %}{{ t.name }}, {% endfor %}"), "page") == {}


def test_an_empty_list_has_no_rows() -> None:
    env = block(f"<b>x</b>{{% for t in tasks %}}{ROW}{{% else %}}<li>none</li>{{% endfor %}}<i>y</i>")
    assert parts_of(rendered(env, [])) == ("<b>x</b><li>none</li>", "<i>y</i>")


def test_a_branch_without_the_loop_is_plain_text() -> None:
    assert not isinstance(rendered(block(f"{{% if tasks %}}{LOOP}{{% else %}}none{{% endif %}}"), []), KeyedText)


def test_a_value_with_the_character_that_separates_parts_makes_plain_text() -> None:
    assert not isinstance(rendered(block(LOOP), [{"id": 1, "name": "\x1e"}]), KeyedText)


def test_an_asynchronous_environment_takes_lists_apart() -> None:
    env = environment({"page": f"<ul id=b>{{% block b %}}{LOOP}{{% endblock %}}</ul>"}, enable_async=True)
    text = anyio.run(compile_block(env, "page", "b").render_async, {"tasks": TASKS})
    assert parts_of(text) == ("", *LI, "")


def test_a_changed_template_is_taken_apart_as_it_is_now() -> None:
    templates = {"page": f"<ul id=b>{{% block b %}}{LOOP}{{% endblock %}}</ul>"}
    env = Environment(loader=DictLoader(templates), autoescape=True)
    assert parts_of(rendered(env)) == ("", *LI, "")
    templates["page"] = templates["page"].replace(ROW, f"{ROW}{ROW}")
    assert not isinstance(rendered(env), KeyedText)


# ── what differs ─────────────────────────────────────────────────────────────────────────────────────────────────────


def keyed(names: Mapping[str, str], before: str = "", after: str = "") -> KeyedText:
    rows = "".join(f'{{% if true %}}<li id="{dom_id}">{name}</li>{{% endif %}}' for dom_id, name in names.items())
    assert rows
    env = block(f'{before}{{% for t in tasks %}}<li id="{{{{ t[0] }}}}">{{{{ t[1] }}}}</li>{{% endfor %}}{after}')
    text = rendered(env, list(names.items()))
    assert isinstance(text, KeyedText)
    return text


def applied(change: RowChange, before: KeyedText) -> str:
    fresh, parts = list(change.fresh), list[str]()
    for piece in change.layout:
        if isinstance(piece, tuple):
            parts += before.parts[piece[0] : sum(piece)]
        else:
            parts += fresh[:piece]
            del fresh[:piece]
    assert not fresh
    return "".join(parts)


NAMES = {f"r{number}": f"the name of {number}" for number in range(20)}
CHANGES: dict[str, tuple[Mapping[str, str], tuple[object, ...]]] = {
    "one row": ({**NAMES, "r7": "new"}, ((0, 8), 1, (9, 13))),
    "a row at the end": ({**NAMES, "r20": "new"}, ((0, 21), 1, (21, 1))),
    "a row at the start": ({"r20": "new", **NAMES}, ((0, 1), 1, (1, 21))),
    "a window": ({**{k: v for k, v in NAMES.items() if k != "r0"}, "r20": "new"}, ((0, 1), (2, 19), 1, (21, 1))),
    "a removed row": ({k: v for k, v in NAMES.items() if k != "r7"}, ((0, 8), (9, 13))),
    "a moved row": ({"r19": NAMES["r19"], **NAMES}, ((0, 1), (20, 1), (1, 19), (21, 1))),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_consists_of_new_rows_and_of_runs_of_earlier_ones(name: str) -> None:
    names, layout = CHANGES[name]
    before, after = keyed(NAMES), keyed(names)
    change = changed_rows(before, after)
    assert change is not None
    assert change.layout == layout
    assert applied(change, before) == after
    assert after.ids == tuple(names)
    assert (change.before, change.after) == (before.version, after.version)


def test_the_markup_around_the_rows_may_change_as_well() -> None:
    before, after = keyed(NAMES, "<li>1</li>", "<li>3</li>"), keyed(NAMES, "<li>2</li>", "<li>4</li>")
    change = changed_rows(before, after)
    assert change is not None
    assert applied(change, before) == after
    assert change.fresh == ("<li>2</li>", "<li>4</li>")


def test_a_change_of_more_than_half_is_the_whole_text() -> None:
    assert changed_rows(keyed(NAMES), keyed(dict.fromkeys(NAMES, "another name"))) is None
