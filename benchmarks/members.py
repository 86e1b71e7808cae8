"""The page of signed-in people that every variant serves: the tasks of a board, and a line for whoever looks at it.

The line is personal: it shows the member's name and notes. A change of the tasks does not touch it.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from .content import Row, marker

__all__ = [
    "LIST",
    "PAGE",
    "PAGES",
    "PLAIN_PAGE",
    "ROWS_PAGE",
    "SECRET",
    "SHARED_PAGE",
    "Board",
    "name_of",
    "sign_in",
    "team_of",
]

PAGE, SHARED_PAGE, PLAIN_PAGE, LIST = "members.html", "members_shared.html", "members_plain.html", "_tasks.html"
ROWS_PAGE = "members_rows.html"
SECRET = "a secret for sessions, used by nobody"
TEAMS = 4
_LIST = """<h2>{{ team }}</h2><ul>{% for task in tasks %}<li{% if task.done %} class="done"{% endif %}>\
<a href="/tasks/{{ task.id }}">{{ task.title|title }}</a> {{ task.owner }}</li>{% endfor %}</ul>"""
_PAGE = """<!doctype html><html><head><title>Board</title></head><body>
{personal}<section id="tasks">{{% block tasks %}}{list}{{% endblock %}}</section>
{sink}
</body></html>
"""
_PERSONAL = '<p id="greeting">{% block greeting %}{{ me.name }} {{ me.notes }}{% endblock %}</p>\n'
_SINK = "<div {{ live() }}></div>"
_PLAIN_SINK = '<div hx-ext="sse" sse-connect="/stream"></div>'

_ROWS = """<ul id="tasks">{% block tasks %}{% for task in tasks %}
<li id="task-{{ task.id }}"{% if task.done %} class="done"{% endif %}><input type="checkbox"{% if task.done %} checked\
{% endif %}> <a href="/tasks/{{ task.id }}">{{ task.title }}</a> <b>{{ task.owner }}</b> <button>Assign</button></li>
{% endfor %}{% endblock %}</ul>"""

PAGES = {
    ROWS_PAGE: f"<!doctype html><html><head><title>Tasks</title></head><body>{_ROWS}{_SINK}</body></html>",
    PAGE: _PAGE.format(personal=_PERSONAL, list=_LIST, sink=_SINK),
    SHARED_PAGE: _PAGE.format(personal="", list=_LIST, sink=_SINK),
    PLAIN_PAGE: _PAGE.format(personal=_PERSONAL, list=_LIST, sink=_PLAIN_SINK),
    LIST: _LIST,
}
"""The sources of all templates."""


def name_of(request: Request) -> str:
    """Return the name of whoever is signed in.

    Raises:
        HTTPException: Nobody is.
    """
    name = request.session.get("name")
    if name is None:
        raise HTTPException(401)
    return str(name)


def team_of(request: Request) -> str:
    """Return the team of whoever is signed in, by the number in the name."""
    return team_named(name_of(request))


async def sign_in(request: Request) -> Response:
    """Begin a session: the endpoint of ``/sign-in/{name}``."""
    request.session["name"] = request.path_params["name"]
    return Response()


def team_named(name: str) -> str:
    """Return the team of a member."""
    return f"team {int(name.removeprefix('member')) % TEAMS}"


class Board:
    """Ten tasks or more in an SQLite database in memory, and what each member is told."""

    def __init__(self, count: int = 10) -> None:
        self._count = count
        self._connection = sqlite3.connect(":memory:")
        self._connection.execute("create table task (id integer primary key, title text, owner text, done integer)")
        rows = [(each, f"paint the fence no. {each}", "ann", each % 2) for each in range(count)]
        self._connection.executemany("insert into task values (?, ?, ?, ?)", rows)
        self._notes: dict[str, str] = {}
        self.reads = 0

    def change(self, number: int) -> None:
        """Give one task another owner."""
        self._connection.execute("update task set owner = ? where id = ?", (_stamp(number), number % self._count))
        self._connection.commit()

    def note(self, name: str, number: int) -> None:
        """Tell a member something."""
        self._notes[name] = _stamp(number)

    def tasks(self) -> list[Row]:
        """Read the tasks."""
        self.reads += 1
        found = self._connection.execute("select id, title, owner, done from task order by id")
        return [Row(*row) for row in found]

    def context(self, name: str) -> dict[str, Any]:
        """Return the template's variables for a member."""
        me = {"name": name, "notes": self._notes.get(name, "")}
        return {"team": team_named(name), "tasks": self.tasks(), "me": me}


def _stamp(number: int) -> str:
    return marker(number, 1).decode()
