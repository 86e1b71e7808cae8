"""The command ``starlette-reactive``: check, explain and graph.

``module:app`` names a Starlette or FastAPI application, a function without arguments that makes one, or a ``Reactive``
object. Templates and indexes of an application without a ``Reactive`` object are those that the modules of its
endpoints hold, or the modules that these import.
"""

from __future__ import annotations

import importlib
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from .._checks import Issue, Severity, check, find_settings
from .._checks.reports import to_json, to_sarif
from .._core.errors import BlockNotFoundError, BlockRenderError, ReactiveError, ViewerNameError
from .._core.paths import freeze_paths
from .._index.index import registry_of
from .._index.wiring import to_dot, to_html, to_mermaid, wiring_of
from .discovery import Discovered, discover

try:
    import typer
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table
except ModuleNotFoundError as _error:  # pragma: no cover - tested in a process of its own
    sys.exit(
        f"starlette-reactive needs the package {_error.name!r} for its commands: install 'starlette-reactive[cli]' "
        "(reactive.check() works without it)"
    )

__all__ = ["app", "main"]

COULD_NOT_RUN = 2

app: typer.Typer = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Checks and shows live pages."
)
_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
_CATEGORIES = {ViewerNameError: "viewer_name", BlockRenderError: "block_alone", BlockNotFoundError: "reactive_block"}
Target = Annotated[str, typer.Argument(metavar="MODULE:APP", help="The application, or a Reactive object.")]


class ReportFormat(StrEnum):
    """How issues are printed."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


class PictureFormat(StrEnum):
    """How the graph is drawn."""

    MERMAID = "mermaid"
    DOT = "dot"
    HTML = "html"


def main() -> None:
    """Run the command."""
    app()


@app.command("check")
def check_command(
    target: Target,
    output: Annotated[ReportFormat, typer.Option("--format", help="How to print.")] = ReportFormat.TEXT,
    *,
    warnings_as_errors: Annotated[bool, typer.Option("--warnings-as-errors", help="Let warnings fail, too.")] = False,
) -> None:
    """Say what can't work in an application's live pages; exit status 1 if anything is an error."""
    issues = _issues(target)
    if output is ReportFormat.TEXT:
        _print_issues(issues)
    else:
        typer.echo(to_json(issues) if output is ReportFormat.JSON else to_sarif(issues))
    failing = {Severity.ERROR, *([Severity.WARNING] if warnings_as_errors else [])}
    raise typer.Exit(1 if any(issue.severity in failing for issue in issues) else 0)


@app.command()
def explain(
    target: Target, paths: Annotated[list[str], typer.Argument(help="Changed paths, as in doc.content.")]
) -> None:
    """Say which blocks of which pages a change renders, and why."""
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    for heading in ("block", "element", "reads"):
        table.add_column(heading, overflow="fold")
    try:
        freeze_paths(paths, what="PATHS")
    except ValueError as error:
        raise _could_not_run(str(error)) from error
    found = _load(target)
    derived: set[str] = set()
    for index in found.indexes:
        explanation = index.explain_affected(paths)
        derived |= explanation["derived_paths"]
        for block in explanation["affected_blocks"]:
            reads = index.block_dependencies(block["template"], block["block"])
            name = f"{block['template']}:{block['block']}"
            table.add_row(escape(name), escape(f"#{block['target']}"), escape(", ".join(sorted(reads))))
    if derived:
        console.print(f"derived: {escape(', '.join(sorted(derived)))}")
    if table.row_count:
        console.print(table)
    else:
        console.print(f"no live block shows {escape(', '.join(paths))}")


@app.command()
def graph(
    target: Target,
    output: Annotated[PictureFormat, typer.Option("--format", help="How to draw.")] = PictureFormat.MERMAID,
) -> None:
    """Draw which paths show in which blocks of which pages."""
    wiring = wiring_of(map(registry_of, _load(target).indexes))
    draw = {PictureFormat.MERMAID: to_mermaid, PictureFormat.DOT: to_dot, PictureFormat.HTML: to_html}[output]
    typer.echo(draw(wiring))


def _issues(target: str) -> list[Issue]:
    try:
        settings = find_settings(Path.cwd())
        found = _import(target)
    except ReactiveError as error:
        issue = _issue_of(error)
        if issue is None:
            raise _could_not_run(str(error)) from error
        return [issue]
    return check(found.subject(), settings)


def _issue_of(error: ReactiveError) -> Issue | None:
    """Return what the application's own start found wrong with a template."""
    if error.template is None:
        return None
    category = next((name for kind, name in _CATEGORIES.items() if isinstance(error, kind)), "template")
    mend = "mend it as the message says; the application does not start before"
    return Issue(Severity.ERROR, category, error.template, error.line, str(error), mend)


def _load(target: str) -> Discovered:
    try:
        return _import(target)
    except ReactiveError as error:
        raise _could_not_run(str(error)) from error


def _import(target: str) -> Discovered:
    module_name, _, attributes = target.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        value: Any = importlib.import_module(module_name)
        for attribute in (attributes or "app").split("."):
            value = getattr(value, attribute)
    except ReactiveError:
        raise
    except Exception as error:
        raise _could_not_run(f"{target!r} cannot be imported: {type(error).__name__}: {error}") from error
    return discover(value, target)


def _could_not_run(message: str) -> typer.Exit:
    Console(stderr=True, highlight=False).print(f"starlette-reactive: {escape(message)}", soft_wrap=True)
    return typer.Exit(COULD_NOT_RUN)


def _print_issues(issues: list[Issue]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for issue in issues:
        style = _STYLES[issue.severity]
        console.print(
            f"[bold]{escape(issue.place)}[/] [{style}]{issue.severity}[/] {issue.category}: {escape(issue.message)}"
        )
        console.print(f"    {escape(issue.mend)}", style="dim")
    counts = {severity: sum(1 for issue in issues if issue.severity is severity) for severity in Severity}
    words = [
        f"{count} {severity}{'s' if count != 1 and severity is not Severity.INFO else ''}"
        for severity, count in counts.items()
    ]
    console.print(", ".join(words) if issues else "Nothing found.")
