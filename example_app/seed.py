"""The initial content of a new workspace."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from .models import Activity, Board, Document, Message, Notification, Person, Room, Task, now

__all__ = ["GUIDE", "ROOM", "fill"]

GUIDE = "Guide"
"""The name of the chat's assistant."""
ROOM = 1
"""The id of the only chat room."""

PEOPLE = ("Ada", "Ben", "Chloé")
TASKS = {
    "Summer fair": [
        ("Ask the city for the meadow", "done", "ada"),
        ("Draw the map of the stalls", "doing", "ben"),
        ("Find a band that plays outside", "doing", "chloé"),
        ("Order 40 chairs", "todo", None),
        ("Print the posters", "todo", "ben"),
        ("Write down who brings which cake", "todo", None),
    ],
    "New website": [
        ("Collect websites that we like", "done", "chloé"),
        ("Write the first page", "doing", "ada"),
        ("Take pictures of everybody", "todo", None),
    ],
}
PLAN = """\
Plan for the summer fair

The fair is on the meadow by the river, on the second Saturday in July, from noon to ten.

Stalls open at noon. The band plays from six; if it rains, everything moves into the boathouse.

We need 40 chairs, 12 tables, two tents, and somebody who can fix a generator.
"""
NOTES = """\
How we work

Everybody writes down what they do on the board, so that nobody has to ask.

Decisions go into a document. Anything urgent goes into the chat.
"""
TALK = (
    ("Ada", "Good morning! The city says yes to the meadow."),
    ("Chloé", "Wonderful. Then I'll write to the band today."),
    ("Ben", "I ask @guide when I can't find something. Try: @guide, how does this page work?"),
)


async def fill(session: AsyncSession) -> None:
    """Add the initial content to an empty database."""
    if await session.scalar(select(func.count(Person.id))):
        return
    session.add_all(Person(name.lower(), name) for name in PEOPLE)
    session.add(Room(ROOM, "Kitchen table"))
    session.add_all([Document("Plan for the summer fair", PLAN, "Chloé"), Document("How we work", NOTES, "Ada")])
    await session.flush()
    for name, tasks in TASKS.items():
        await _fill_board(session, name, tasks)
    for number, (author, said) in enumerate(TALK):
        session.add(Message(author, said, at=now() - timedelta(minutes=30 - 7 * number)))
    for each in PEOPLE:
        session.add(Notification(each.lower(), "Welcome! Your notifications appear here.", "/"))


async def _fill_board(session: AsyncSession, name: str, tasks: list[tuple[str, str, str | None]]) -> None:
    board = Board(name)
    session.add(board)
    await session.flush()
    long_ago = now() - timedelta(hours=2)
    for title, state, assignee in tasks:
        session.add(Task(board.id, title, state, assignee, changed_at=long_ago))
    session.add(Activity(board.id, "Ada", "opened", name, at=long_ago))
