"""What triggers cost whoever commits: the same statement in a table with triggers and in one without, by pgbench."""

from __future__ import annotations

import psycopg
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, Text

from starlette_reactive._database.triggers import triggers_sql

from ..figures import Experiment, Rounds, comparison
from . import Settings
from .commits import CONNECTIONS, commits_a_second, server_that_loses_nothing

__all__ = ["triggers"]

ROWS = 10_000
_metadata = MetaData()
_board = Table("board", _metadata, Column("id", Integer, primary_key=True))
_watched = Table(
    "watched",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("board_id", ForeignKey("board.id")),
    Column("title", Text),
)
_SETUP = f"""
    create table board (id int primary key);
    insert into board select generate_series(1, 100);
    create table watched (id bigserial primary key, board_id int references board, title text);
    create index on watched (board_id);
    insert into watched (board_id, title) select 1 + n % 100, 'paint' from generate_series(1, {ROWS}) as n;
    create table quiet (like watched including all, foreign key (board_id) references board);
    insert into quiet select * from watched;
"""
_STATEMENTS = {
    "insert": "insert into {table} (board_id, title) values (:board, 'paint the fence');",
    "update": "update {table} set title = 'paint ' || :random where id = :id;",
}
_VALUES = f"\\set board random(1, 100)\n\\set id random(1, {ROWS})\n\\set random random(1, 1000000)\n"
_BY_HAND = "select reactive.rx_emit('board:' || :board, '{{tasks}}');\n"


def triggers(settings: Settings) -> Experiment:
    """Commits a second of one row, without an event, with rx_emit, and with triggers."""
    rounds, seconds = settings.pick(10, 2), settings.pick(3, 1)
    tables, kept = [], {}
    with server_that_loses_nothing() as server:
        with psycopg.connect(server.url) as connection:
            connection.execute(_SETUP)
            connection.execute(triggers_sql([_watched]).encode())
        for name, statement in _STATEMENTS.items():
            scripts = _scripts(name, statement)
            found: Rounds = {each: [] for each in scripts}
            for _ in range(rounds):
                for each, script in scripts.items():
                    found[each].append(commits_a_second(server, script, seconds))
            tables.append(comparison(f"{name} on {CONNECTIONS} connections", found, "commits/s", next(iter(found))))
            kept[name] = found
    return Experiment("triggers", tables, [], kept)


def _scripts(name: str, statement: str) -> dict[str, str]:
    plain, watched = (statement.format(table=table) for table in ("quiet", "watched"))
    return {
        f"{name} alone": f"{_VALUES}begin;\n{plain}\nselect 1;\ncommit;\n",
        f"{name} with rx_emit": f"{_VALUES}begin;\n{plain}\n{_BY_HAND.format()}commit;\n",
        f"{name} with triggers": f"{_VALUES}begin;\n{watched}\nselect 1;\ncommit;\n",
    }
