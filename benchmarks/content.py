"""The page that every variant serves: some blocks, each a heading with the change's stamp and a list of rows.

The last block's stamp is what the load client waits for: it has arrived, so the whole change has.
"""

from __future__ import annotations

import functools
import mmap
import sqlite3
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment
from starlette.templating import Jinja2Templates

__all__ = [
    "PAGE",
    "Database",
    "Row",
    "SharedNumber",
    "block_names",
    "context",
    "environment",
    "event_name",
    "marker",
    "ready_html",
    "source",
]

PAGE = "board.html"

_BLOCK = """<section id="b{i}">{{% block b{i} %}}<h2>{{{{ list{i}.stamp }}}}</h2><ul>{{% for row in list{i}.rows %}}\
<li{{% if row.done %}} class="done"{{% endif %}}><a href="/tasks/{{{{ row.id }}}}">{{{{ row.title|title }}}}</a> \
{{{{ row.owner }}}}</li>{{% endfor %}}</ul>{{% endblock %}}</section>
"""
_PLACEHOLDER = -1


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list."""

    id: int
    title: str
    owner: str
    done: bool


def block_names(blocks: int) -> list[str]:
    return [f"b{number}" for number in range(blocks)]


def event_name(block: int) -> str:
    return f"b{block}"


def source(blocks: int) -> str:
    """Return the page's template."""
    body = "".join(_BLOCK.format(i=number) for number in range(blocks))
    return f"<!doctype html><html><head><title>Board</title></head><body>\n{body}</body></html>\n"


def environment(directory: str) -> Environment:
    """Return the environment that Starlette makes of a directory of templates."""
    return Jinja2Templates(directory).env


def _stamp(number: int, block: int) -> str:
    return f"N{number:06d}N-{block}."


def marker(number: int, blocks: int) -> bytes:
    """Return what a viewer has received when it has received all of a change."""
    return _stamp(number, blocks - 1).encode()


@functools.cache
def _rows(rows: int) -> list[Row]:
    return [Row(40 + each, f"paint the fence no. {each}", "ann", each % 2 == 0) for each in range(rows)]


def context(number: int, blocks: int, rows: int) -> dict[str, Any]:
    """Return the template's variables after a change."""
    return {f"list{block}": {"stamp": _stamp(number, block), "rows": _rows(rows)} for block in range(blocks)}


class Database:
    """The rows in an SQLite database in memory."""

    def __init__(self, blocks: int, rows: int) -> None:
        self._blocks, self._rows = blocks, rows
        self._connection = sqlite3.connect(":memory:")
        self._connection.execute("create table task (list text, id integer, title text, owner text, done integer)")
        for name, value in context(0, blocks, rows).items():
            found = [(name, row.id, row.title, row.owner, row.done) for row in value["rows"]]
            self._connection.executemany("insert into task values (?, ?, ?, ?, ?)", found)
        self._connection.execute("create index by_list on task (list)")

    def context(self, number: int) -> dict[str, Any]:
        """Return the template's variables after a change, with a query for each list."""
        values = context(number, self._blocks, self._rows)
        for name, value in values.items():
            found = self._connection.execute("select id, title, owner, done from task where list = ?", (name,))
            value["rows"] = [Row(*row) for row in found]
        return values


class SharedNumber:
    """The number of the newest change, in a file that several processes have in common."""

    _FORM = struct.Struct("<q")

    def __init__(self, path: str) -> None:
        with Path(path).open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), self._FORM.size)

    @classmethod
    def create(cls, path: Path) -> SharedNumber:
        path.write_bytes(bytes(cls._FORM.size))
        return cls(str(path))

    def read(self) -> int:
        """Return the number."""
        number: int = self._FORM.unpack_from(self._memory)[0]
        return number

    def write(self, number: int) -> None:
        """Set the number."""
        self._FORM.pack_into(self._memory, 0, number)


@functools.cache
def _rendered(blocks: int, rows: int) -> list[str]:
    template = Environment(loader=DictLoader({PAGE: source(blocks)}), autoescape=True).get_template(PAGE)
    values = context(_PLACEHOLDER, blocks, rows)
    return ["".join(template.blocks[name](template.new_context(values))) for name in block_names(blocks)]


def ready_html(number: int, blocks: int, rows: int) -> list[str]:
    """Return each block's HTML after a change, without rendering: for the variants that only deliver."""
    old, new = f"N{_PLACEHOLDER:06d}N", f"N{number:06d}N"
    return [html.replace(old, new) for html in _rendered(blocks, rows)]
