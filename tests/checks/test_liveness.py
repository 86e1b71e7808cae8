"""What the check says of blocks that are not live."""

from __future__ import annotations

from starlette_reactive._checks import Issue, check

from .cases import Case, page_2


def declared(source: str) -> list[Issue]:
    return check(Case("page", {"page": source}, declare=True).describe())


def test_a_page_without_a_live_block_names_each_block_with_its_reason_and_the_markup_that_makes_it_live() -> None:
    blocks = "{% block a %}{{ a }}{% endblock %}<p id='b'>{% block b %}<ul><li>{{ b }}</ul>{% endblock %}</p>"
    issue = next(each for each in declared(page_2(f"{blocks}<div {{{{ live() }}}}></div>")) if each.severity == "error")
    assert "the block 'a' is in no element with an id" in issue.message
    assert "the block 'b' cannot be updated in #b, because the <ul> closes the <p> around it" in issue.message
    assert "for 'a': put the block, and nothing else, into an element that is always there" in issue.fix
    assert "for 'b': write a <div> instead of the <p>" in issue.fix


def test_the_issue_of_a_block_around_live_says_what_to_move() -> None:
    live = '<p id="b">{% block b %}{{ b }}{% endblock %}</p>'
    page = page_2(f'{live}<main id="a">{{% block a %}}{{{{ a }}}}<div {{{{ live() }}}}></div>{{% endblock %}}</main>')
    issue = next(each for each in declared(page) if each.category == "block_not_live")
    assert "it contains the element with live(). Changes of a are not shown there" in issue.message
    assert issue.fix == "move that element out of the block"
