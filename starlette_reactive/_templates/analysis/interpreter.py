"""The interpreter, assembled from its mixins."""

from __future__ import annotations

from ..sources import ParsedTemplate
from .findings import ContextLayer, TemplateRun
from .frames import Frame
from .loops import Loops
from .template_statements import TemplateStatements

__all__ = ["Interpreter"]


class Interpreter(Loops, TemplateStatements):
    """Interprets one page, with one choice of parents."""

    def interpret(self, parsed: ParsedTemplate) -> frozenset[str]:
        """Interpret a page from its template. Return the names of the blocks that the page shows."""
        context = ContextLayer()
        run = self.page_run = self.run = TemplateRun(context)
        self.frame = Frame(parsed, context, root=True)
        self.used_templates[parsed.name] = parsed
        self.run_template(run, parsed)
        placed = frozenset(self.blocks)
        self.place_rest(run)
        return placed
