"""Pages whose elements a browser builds in another way than the template says, pages that look so, and random pages."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TreePage:
    """A page with one element ``#x`` around a block ``x``, and nothing that depends on a value.

    Args:
        before: What is before the element.
        tag: The element's tag.
        content: What is in the block.
        after: What is after the element.
        reason: A part of the fault's reason. Empty if there is none.
    """

    before: str
    tag: str
    content: str
    after: str = ""
    reason: str = ""

    def html(self, content: str | None = None) -> str:
        """Return the page as HTML, with its own content or another one."""
        inside = self.content if content is None else content
        return f"<!doctype html><body>{self.before}<{self.tag} id=x>{inside}</{self.tag}>{self.after}"

    def template(self) -> str:
        """Return the page as a template."""
        return self.html(f"{{% block x %}}{self.content}{{% endblock %}}")


FAULTY = [
    TreePage("", "p", "a<div>b</div>", reason="the <div> closes the <p>"),
    TreePage("<p>", "span", "<ul><li>a</ul>", "</p>", reason="the <ul> closes the <p>"),
    TreePage("<p>", "b", "a<hr>", "</p>", reason="the <hr> closes the <p>"),
    TreePage("", "table", "<p>none</p>", reason="moves the <p> in the <table> in front of the <table>"),
    TreePage("", "table", "none<tr><td>a", reason="moves the text in the <table> in front of the <table>"),
    TreePage("<table>", "tbody", "<div>none</div>", "</table>", reason="moves the <div> in the <tbody>"),
    TreePage("<table><tr>", "td", "a</td><td>b", "</table>", reason="the <td> closes the <td>"),
    TreePage("", "td", "a", reason="the <td> is not in a <table>"),
    TreePage("<form>", "div", "<form><input></form>", "</form>", reason="drops a <form> in a <form>"),
    TreePage("<table>", "form", "a", "</table>", reason="closes a <form> in a <table> at once"),
    TreePage("", "div", "<form>", "<form>a</form>", reason="the <form>"),
    TreePage("<a>", "div", "<a>b</a>", "</a>", reason="contains another <a>"),
    TreePage("<button>", "span", "<button>b</button>", "</button>", reason="the <button> closes the <button>"),
    TreePage("", "h1", "<h2>a</h2>", reason="the <h2> closes the <h1>"),
    TreePage("<ul>", "li", "a<li>b", "</ul>", reason="the <li> closes the <li>"),
    TreePage("<dl>", "dt", "a<dd>b", "</dl>", reason="the <dd>"),
    TreePage("<select>", "option", "a<option>b", "</select>", reason="the <option> closes the <option>"),
    TreePage("", "div", "<b>a", "b", reason="the <b> is not closed"),
    TreePage("<p><i>a", "p", "b", reason="the <i> is not closed"),
    TreePage("<div>", "p", "a</div>", "b", reason="an end tag in a block"),
    TreePage("<template>", "p", "a", "</template>", reason="the content of a <template>"),
    TreePage("", "noscript", "<p>a</p>", reason="do not show a <noscript>"),
]
"""Pages whose element an update cannot build."""

SOUND = [
    TreePage("", "p", "a <b>b</b>"),
    TreePage("", "div", "<p>a<div>b</div>"),
    TreePage("<p>a", "div", "b"),
    TreePage("", "ul", "<li>a<li>b"),
    TreePage("", "dl", "<dt>a<dd>b<dt>c"),
    TreePage("", "table", "<tr><td>a<td>b<tr><td>c"),
    TreePage("<table>", "tbody", "<tr><td>a</td></tr>", "</table>"),
    TreePage("<table><tr>", "td", "<table><tr><td>a</td></tr></table>", "</tr></table>"),
    TreePage("", "select", "<option>a<option>b<optgroup><option>c"),
    TreePage("<form>", "div", "<input><button>a</button>", "</form>"),
    TreePage("<button>", "span", "a", "</button><button>b</button>"),
    TreePage("", "div", "<p><b>a<p>b</b>"),
    TreePage("", "svg", '<circle r="1"/><g><title>a</title></g>'),
    TreePage("<svg>", "g", "<circle/><path/>", "</svg>"),
    TreePage("<svg><foreignObject>", "div", "<p>a</p>", "</foreignObject></svg>"),
    TreePage("<math>", "mi", "a", "</math>"),
    TreePage("", "textarea", "a&lt;b"),
    TreePage("", "div", "<textarea><p></textarea><script>if (a<b) '</div>'</script>"),
    TreePage("", "div", "<template><p>a</p></template>"),
    TreePage("<table><p>b</p>", "caption", "a", "</table>"),
    TreePage("", "button", "<span>a</span>"),
    TreePage("", "details", "<summary>a</summary><p>b"),
    TreePage("<h1>", "span", "a", "</h1><h2>b</h2>"),
    TreePage("", "x-card", "<p>a</p>"),
    TreePage("<h1>", "h2", "a", "</h1>"),
    TreePage("<h1>", "span", "<h2>a</h2>", "</h1>"),
]
"""Pages whose element an update builds as the browser does."""

_TAGS = [
    *("div", "p", "span", "b", "a", "ul", "li", "table", "tr", "td", "tbody", "form", "button", "h1", "h2", "select"),
    *("option", "textarea", "svg", "g", "section", "dl", "dt", "dd", "template", "input", "br", "caption", "label"),
]
_OUTER = ["div", "p", "span", "b", "a", "ul", "li", "form", "button", "h1", "section", "dl", "dt", "label", "template"]
_VOID = frozenset({"input", "br"})


class Writer:
    """Writes a random page from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def page(self) -> TreePage:
        """Return a page."""
        tag = self.random.choice([each for each in _TAGS if each not in _VOID and each != "template"])
        content = self.markup(0) or "text "
        before, after = "", ""
        for _ in range(self.random.randint(0, 3)):
            outer = self.random.choice(_OUTER)
            before = f"{self.beside()}<{outer}>{before}"
            after = f"{after}{self.end(outer)}{self.beside()}"
        return TreePage(before, tag, content, after)

    def beside(self) -> str:
        return self.markup(3) if self.random.random() < 0.4 else ""

    def markup(self, depth: int) -> str:
        return "".join(self.part(depth) for _ in range(self.random.randint(0, 3)))

    def part(self, depth: int) -> str:
        if self.random.random() < 0.25 or depth > 3:
            return "text "
        tag = self.random.choice(_TAGS)
        return f"<{tag}>" if tag in _VOID else f"<{tag}>{self.markup(depth + 1)}{self.end(tag)}"

    def end(self, tag: str) -> str:
        """Return the end tag, which may be missing."""
        return "" if self.random.random() < 0.1 else f"</{tag}>"
