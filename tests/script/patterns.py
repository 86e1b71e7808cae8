"""The programs of the documentation, served as they are shown, with the version of htmx that a test wants."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from tests.browser.support import ROOT, Server, running
from tests.docs.blocks import DOCS, blocks_of, dedented

__all__ = ["Programs"]

PAGES = ("htmx-patterns.md", "forms.md")
SHOWN = "live_scripts(htmx=2)"


class Programs:
    """Runs the programs, each in a process of its own.

    Args:
        folder: Where their files are written.
        htmx: The version of htmx that their pages load.
    """

    def __init__(self, folder: Path, htmx: int) -> None:
        self._folder = folder
        self._htmx = htmx
        for page in PAGES:
            self._write(DOCS / "guides" / page)

    def _write(self, page: Path) -> None:
        for block in blocks_of(page):
            if block.title.endswith((".py", ".html")):
                path = self._folder / ("templates" if block.title.endswith(".html") else ".") / block.title
                path.parent.mkdir(exist_ok=True)
                path.write_text(dedented(block).replace(SHOWN, f"live_scripts(htmx={self._htmx})"))

    def run(self, name: str, stack: ExitStack) -> Server:
        """Run a program until the stack is closed."""
        env = {"PYTHONPATH": str(ROOT), "REACTIVE_SECRET": "a secret for tests"}
        return stack.enter_context(running(["-m", "uvicorn", f"{name}:app"], cwd=self._folder, env=env))
