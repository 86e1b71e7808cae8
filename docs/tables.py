"""Wide tables, shown on a phone as one card for each row: each cell then says which column it is in."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor

__all__ = ["on_config"]

FEWEST_COLUMNS = 4
"""How many columns make a table wide."""


def on_config(config: Any) -> Any:
    """Add the extension to those of the site."""
    config.markdown_extensions.append(WideTables())
    return config


class WideTables(Extension):
    """Labels the cells of wide tables."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - the overridden name
        """Register the processor, after that of inline markup, which fills the cells."""
        md.treeprocessors.register(_Labels(md), "wide-tables", 15)


class _Labels(Treeprocessor):
    def run(self, root: Element) -> None:
        for table in root.iter("table"):
            labels = ["".join(cell.itertext()).strip() for cell in table.iter("th")]
            if len(labels) < FEWEST_COLUMNS:
                continue
            table.set("class", "wide")
            for row in table.iterfind("tbody/tr"):
                for label, cell in zip(labels, row, strict=True):
                    cell.set("data-label", label)
