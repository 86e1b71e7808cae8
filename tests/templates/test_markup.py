"""The elements of a composed page."""

from __future__ import annotations

from jinja2 import DictLoader, Environment

from starlette_reactive._templates import DYNAMIC, Element, elements

BASE = """<!doctype html><html><body class="a>b {{ x }}" {% if y %}data-x{% endif %}>
<!-- <i id="no"> --><div id="one">
{% block one %}x{% endblock %}
</div>{% block two %}
 <section id="{{ i }}-s" sse-swap=two><p>a<p>b<br></section>
{% endblock %}<script>if (a<b) {{ z }} "</div>" </script><ul>{% for t in ts %}<li>{% block t scoped %}{% endblock %}
{% endfor %}</ul>{% include 'i' %}"""


def found(**templates: str) -> list[Element]:
    env = Environment(loader=DictLoader(templates))
    return elements(env, next(iter(templates)))


def one(tag: str, **templates: str) -> Element:
    (element,) = (each for each in found(**templates) if each.tag == tag)
    return element


def test_elements_are_found_across_inheritance_and_includes_with_template_and_line() -> None:
    made = found(
        c="{% extends 'b' %}\n{% block one %}<b>{{ super() }}</b>{% endblock %}",
        b=BASE,
        i="\n<footer>{% block f %}{% endblock %}</footer>",
    )
    assert [(each.tag, each.template, each.line) for each in made] == [
        ("html", "b", 1),
        ("body", "b", 1),
        ("div", "b", 2),
        ("b", "c", 2),
        ("section", "b", 5),
        ("p", "b", 5),
        ("p", "b", 5),
        ("br", "b", 5),
        ("script", "b", 6),
        ("ul", "b", 6),
        ("li", "b", 6),
        ("footer", "i", 2),
    ]
    tags = {each.tag: each for each in made}
    assert tags["div"].holds == ("one",)
    assert tags["div"].sole
    assert tags["b"].around == "one"
    assert tags["b"].root
    assert tags["section"].root
    assert tags["section"].parent == 1
    assert tags["footer"].sole
    assert tags["li"].in_loop


def test_expressions_in_attribute_values_are_marked() -> None:
    body = one("body", b=BASE, i="")
    assert body.attributes == {"class": f"a>b {DYNAMIC}", "data-x": None}
    section = one("section", b=BASE, i="")
    assert section.attributes == {"id": f"{DYNAMIC}-s", "sse-swap": "two"}


def test_attributes_that_an_expression_may_add_are_marked() -> None:
    assert one("p", a='<p {{ x }} id="i">').attributes == {DYNAMIC: None, "id": "i"}


def test_each_attribute_has_its_own_place() -> None:
    made = one("p", a="\n<p\n  id='i'\n\n  {% include 'b' %} hidden>", b="data-x='1'\nclass\n=\n'c'")
    assert (made.template, made.line) == ("a", 2)
    assert made.places == {"id": ("a", 3), "data-x": ("b", 1), "class": ("b", 2), "hidden": ("a", 5)}
    assert made.place("x") == made.place("data-x") == ("b", 1)
    assert made.place("none") == made.place() == ("a", 2)


def test_the_elements_of_a_macro_appear_at_its_call_with_the_place_of_the_macro() -> None:
    made = found(
        a="""{% import 'm' as m %}{% macro own(x) %}<i>{{ x }}</i>{% endmacro %}<main>
{{ own(1) }}{% for t in ts %}{{ m.row(t)|safe }}{% endfor %}{{ m.row() if x else own() }}</main>
{% block b %}{% call m.box(t) %}<u>{{ m.row() }}</u>{% endcall %}{% endblock %}""",
        m="""{% macro row(t) %}
<p title="{{ t }}"></p>{% endmacro %}
{% macro box() %}<div>{{ caller() }}</div>{% endmacro %}""",
    )
    assert [(each.tag, each.template, each.line, each.parent, each.in_loop) for each in made] == [
        ("main", "a", 1, None, False),
        ("i", "a", 1, 0, False),
        ("p", "m", 2, 0, True),
        ("p", "m", 2, 0, False),
        ("i", "a", 1, 0, False),
        ("div", "m", 3, None, False),
        ("u", "a", 3, 5, False),
        ("p", "m", 2, 6, False),
    ]
    assert made[2].attributes == {"title": DYNAMIC}
    assert made[3].when[0][0] == made[4].when[0][0]
    assert made[3].when != made[4].when
    assert made[5].root


def test_call_blocks_of_one_macro_nest() -> None:
    made = found(
        a="{% macro m() %}<p>{% if caller %}{{ caller() }}{% else %}<i></i>{% endif %}</p>{% endmacro %}"
        "{% call m() %}{% call m() %}{{ m() }}{% endcall %}{% endcall %}"
    )
    assert [(each.tag, each.parent) for each in made] == [("p", None), ("p", None), ("p", None), ("i", 2)]


def test_a_macro_that_calls_itself_is_followed_once() -> None:
    made = found(a="{% macro m(n) %}<ul><li>{{ m(n) }}</li></ul>{% endmacro %}{{ m(1) }}<p></p>")
    assert [(each.tag, each.parent) for each in made] == [("ul", None), ("li", 0), ("p", None)]


def test_an_unknown_call_puts_an_unknown_element_around_its_body() -> None:
    for call in ("x.panel()", "keep()", "either()"):
        made = found(
            a="{% macro keep() %}{% set c = caller() %}{{ c }}{% endmacro %}{% macro other() %}{% endmacro %}"
            "{% set either = keep if y else other %}"
            f"<main>{{% call {call} %}}<p></p>{{% endcall %}}</main>"
        )
        assert [(each.tag, each.parent) for each in made] == [("main", None), (DYNAMIC, 0), ("p", 1)]
        assert made[1].attributes == {DYNAMIC: None}


def test_elements_of_different_alternatives_are_distinguished() -> None:
    first, second, third, last = found(a="{% if x %}<p>{% elif y %}<p>{% if z %}<b>{% endif %}{% else %}<p>{% endif %}")
    ((choice, _),) = first.when
    assert first.when == ((choice, 0),)
    assert second.when == ((choice, 1),)
    assert third.when[0] == (choice, 1)
    assert third.when[1][0] != choice
    assert last.when == ((choice, 2),)


def test_an_element_is_the_root_of_a_block_only_if_it_is_always_there_alone() -> None:
    assert one("p", a="{% block x %}<p>{{ y }}</p>{% endblock %}").root
    assert not one("p", a="{% block x %}{% if y %}<p></p>{% endif %}{% endblock %}").root
    assert not one("p", a="{% block x %}<p></p>text{% endblock %}").root
    assert not one("p", a="{% block x %}<p></p>{{ y }}{% endblock %}").root
    assert not one("p", a="{% block x %}<p></p><b></b>{% endblock %}").root
    assert one("p", a="{% block x %}{# c #}<!-- d --> <p>{{ y }}</p> {% endblock %}").root


def test_an_element_is_the_sole_holder_of_a_block_only_if_it_always_holds_nothing_else() -> None:
    assert one("p", a="<p> {% block x %}{{ y }}<b></b>{% endblock %} </p>").sole
    assert not one("p", a="<p>{% if y %}{% block x %}{% endblock %}{% endif %}</p>").sole
    assert not one("p", a="<p>{% block x %}{% endblock %}{{ y }}</p>").sole
    assert not one("p", a="<p>{% block x %}{% endblock %}<b></b></p>").sole
    assert not one("p", a="<p>{% block x %}{% endblock %}{% block z %}{% endblock %}</p>").sole
    assert one("p", a="{% if y %}<p>{% block x %}{% endblock %}</p>{% endif %}").sole


def test_alternatives_that_open_different_elements_do_not_unbalance_the_page() -> None:
    made = found(a="{% if y %}<div id=a>{% else %}<div id=b>{% endif %}<p></p></div><i></i>")
    assert [(each.tag, each.parent) for each in made] == [("div", None), ("div", None), ("p", 0), ("i", None)]


def test_alternatives_within_a_tag_add_their_attributes_to_it() -> None:
    made = one("div", a="<div {% if y %}id=a{% else %}class=b {% endif %} hidden>{% block x %}{% endblock %}</div>")
    assert made.attributes["hidden"] is None
    assert made.holds == ("x",)


def test_broken_markup_raises_nothing() -> None:
    for source in (
        "<",
        "<div",
        "</",
        "<!--",
        "<!",
        "<a b='",
        "< a",
        "</x>",
        "<script>",
        "<a =b>",
        "<{{ t }} a>",
        "<a b=>",
    ):
        found(a=source + "{% block x %}{{ y }}{% endblock %}")


def test_a_slash_closes_elements_of_svg_and_mathml_only() -> None:
    source = "<div /><svg><circle /><title/><g>{% block x %}{% endblock %}</g></svg><x-y />{% block y %}{% endblock %}"
    made = found(a=source)
    assert [(each.tag, each.parent) for each in made] == [
        ("div", None),
        ("svg", 0),
        ("circle", 1),
        ("title", 1),
        ("g", 1),
        ("x-y", 0),
    ]
    assert made[4].holds == ("x",)
    assert made[5].holds == ("y",)


def test_elements_whose_end_tags_are_left_out_end_where_the_standard_says() -> None:
    for source, parents in (
        ("<p>a<div>b</div>", [None, None]),
        ("<p><b>a<ul></ul>", [None, 0, None]),
        ("<div><p>a</div><b></b>", [None, 0, None]),
        ("<button><p><span>a</button><b></b>", [None, 0, 1, None]),
        ("<ul><li>a<div><p>b<li>c</ul><b></b>", [None, 0, 1, 2, 0, None]),
        ("<dl><dt>a<dd>b<dt>c</dl>", [None, 0, 0, 0]),
        (
            "<table><caption>a<colgroup><col><tr><td>b<td>c<tbody><tr></table><b></b>",
            [None, 0, 0, 2, 0, 4, 4, 0, 7, None],
        ),
        ("<table><tr><td><table><tr><td>a</table><td>b</table>", [None, 0, 1, 2, 3, 4, 1]),
        ("<select><optgroup><option>a<option>b<optgroup><option>c</select>", [None, 0, 1, 1, 0, 4]),
        ("<h1>a<h2>b</h1><b></b>", [None, None, None]),
        ("<div><table><tr><td></div><b></b>", [None, 0, 1, 2, 3]),
        ("<html><head><title></title><div></div>", [None, 0, 1, 0]),
        ("<html><body><p></p></body><b></b></html><i></i>", [None, 0, 1, 1, 1]),
        ("<svg><g><p>", [None, 0, None]),
        ("<svg><foreignObject><p>a<div>", [None, 0, 1, 1]),
        ("<ruby>a<rt>b<rp>c</ruby>", [None, 0, 0]),
    ):
        assert [each.parent for each in found(a=source)] == parents, source


def test_what_an_expression_or_an_unknown_macro_writes_closes_nothing() -> None:
    made = found(a="<p>{{ x }}<{{ tag }}><b></b></{{ tag }}>{% call y() %}<td>a<td>b{% endcall %}<i></i></p>")
    assert [(each.tag, each.parent) for each in made] == [
        ("p", None),
        (DYNAMIC, 0),
        ("b", 1),
        (DYNAMIC, 0),
        ("td", 3),
        ("td", 3),
        ("i", 0),
    ]


def test_what_comes_after_a_block_in_an_element_that_the_block_leaves_open_is_not_in_the_block() -> None:
    assert not one("main", a="<main>{% block x %}<div>{% endblock %}text</div></main>").sole
    assert not one("main", a="<main>{% block x %}<div>{% endblock %}{% block y %}{% endblock %}</div></main>").sole
    assert not one("main", a="<main>{% block x %}<textarea>{% endblock %}text</textarea></main>").sole
    assert not one("div", a="{% block x %}<div>{% endblock %}text</div>").root
    assert one("main", a="<main>{% block x %}<div>text{% endblock %}</main>").sole


def test_white_space_counts_where_browsers_show_it() -> None:
    assert not one("pre", a="<pre>\n{% block x %}{{ y }}{% endblock %}</pre>").sole
    assert not one("code", a="<pre><code>{% block x %}{{ y }}{% endblock %} </code></pre>").sole
    assert not one("textarea", a="<textarea> {% block x %}{{ y }}{% endblock %}</textarea>").sole
    assert one("pre", a="<pre>{% block x %}\n{{ y }} {% endblock %}</pre>").sole


def test_a_line_break_at_the_beginning_is_known_where_the_parser_drops_it() -> None:
    for source, begins in (
        ("<pre>\n{{ y }}</pre>", True),
        ("<pre>{% block x %}\ntext{% endblock %}</pre>", True),
        ("<pre>text\n</pre>", False),
        ("<pre>{{ y }}\n</pre>", False),
        ("<pre><b></b>\n</pre>", False),
    ):
        assert one("pre", a=source).begins_with_break is begins, source
    assert not one("div", a="<div>\n</div>").begins_with_break


def test_the_content_of_noscript_is_text() -> None:
    assert [each.tag for each in found(a="<noscript><p></p>{% block x %}{% endblock %}</noscript><b></b>")] == [
        "noscript",
        "b",
    ]


def test_a_comment_may_be_empty() -> None:
    assert [each.tag for each in found(a="<!--><p></p><!---><b></b><!-- a --> <i></i>")] == ["p", "b", "i"]


def test_the_body_of_a_loop_and_its_else_are_alternatives() -> None:
    first, second = found(a="{% for x in y %}<p>{% else %}<b></b>{% endfor %}")
    assert (first.in_loop, second.in_loop) == (True, False)
    assert second.parent is None
    assert first.when[0][0] == second.when[0][0]
    assert first.when != second.when


def test_the_names_in_the_tests_around_an_element_are_known() -> None:
    made = found(a="<i></i>{% if x.y and z %}<p></p>{% elif u %}<b></b>{% endif %}{% for t in ts %}<u></u>{% endfor %}")
    assert [each.conditions for each in made] == [frozenset(), {"x", "z", "u"}, {"x", "z", "u"}, {"ts"}]
