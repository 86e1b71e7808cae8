"""The command ``starlette-reactive``: check, doctor, explain, graph, new and triggers.

``module:app`` names a Starlette or FastAPI application, a factory function without arguments, or a ``Reactive`` object.
The templates and indexes of an application without a ``Reactive`` object are read from the global variables of the
modules that define its endpoints, and of the modules that these import.
"""

from __future__ import annotations

import importlib
import shlex
import sys
from collections.abc import Iterable
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from .._checks import DeclaredPage, Issue, Severity, check, find_settings
from .._checks.reports import to_json, to_sarif
from .._checks.versions import installed_packages
from .._core.errors import BlockNotFoundError, BlockRenderError, ReactiveError, ViewerNameError
from .._core.paths import freeze_paths
from .._index.graph import build_graph, to_dot, to_html, to_mermaid
from .._index.index import registry_of
from .discovery import DiscoveredApp, discover
from .explanation import Row, affected_rows, block_rows
from .new_project import write_project

try:
    import typer
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table
except ModuleNotFoundError as _error:  # pragma: no cover - tested in a separate process
    sys.exit(
        f"the command starlette-reactive needs the package {_error.name!r}: install 'starlette-reactive[cli]' "
        "(reactive.check() works without it)"
    )

__all__ = ["app", "main"]

COULD_NOT_RUN = 2
_PIPE_WIDTH = 240
_NEXT = "\n    ".join(
    (
        "cd {folder}",
        "python3 -m venv .venv",
        ".venv/bin/pip install -U pip",
        ".venv/bin/pip install -e . --group dev",
        "DEBUG=1 .venv/bin/python -m uvicorn app.main:app --reload",
    )
)
"""The commands that start a new project."""

app: typer.Typer = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Check and inspect live pages."
)
_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
_CATEGORIES = {ViewerNameError: "viewer_name", BlockRenderError: "block_alone", BlockNotFoundError: "reactive_block"}
Target = Annotated[str, typer.Argument(metavar="MODULE:APP", help="The application, or a Reactive object.")]


class ReportFormat(StrEnum):
    """The formats of a report."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


class GraphFormat(StrEnum):
    """The formats of a graph."""

    MERMAID = "mermaid"
    DOT = "dot"
    HTML = "html"


def main() -> None:
    """Run the command."""
    app()


@app.command("check")
def check_command(
    target: Target,
    output: Annotated[ReportFormat, typer.Option("--format", help="The format of the report.")] = ReportFormat.TEXT,
    *,
    warnings_as_errors: Annotated[
        bool, typer.Option("--warnings-as-errors", help="Exit with status 1 for warnings too.")
    ] = False,
) -> None:
    """Report what cannot work in an application's live pages. The exit status is 1 if there is an error."""
    issues = _issues(target)
    if output is ReportFormat.TEXT:
        _print_issues(issues)
    else:
        typer.echo(to_json(issues) if output is ReportFormat.JSON else to_sarif(issues))
    failing = {Severity.ERROR, *([Severity.WARNING] if warnings_as_errors else [])}
    raise typer.Exit(1 if any(issue.severity in failing for issue in issues) else 0)


@app.command()
def doctor(target: Target) -> None:
    """Print the versions found and the pages with their live blocks, then check. The exit status is that of check."""
    packages = list(installed_packages())
    _console().print(f"Python {sys.version.split()[0]}, starlette-reactive {version('starlette-reactive')}")
    _console().print(", ".join(f"{each.name} {each.version}" for each in packages))
    outdated = [each for each in packages if each.is_too_old]
    for each in (package for package in outdated if not package.carries_pages):  # the check reports the others
        _console().print(f"[bold red]{each.name} {each.version} is older than {each.oldest}: upgrade it[/]")
    issues = _issues(target)
    if not any(issue.category == "template" for issue in issues):
        for page, _ in _load(target).pages:
            others = registry_of(page.index).not_live.get(page.template_name, {}).keys()
            counts = f"{len(page.index.blocks())} live blocks; not live: {', '.join(sorted(others)) or 'none'}"
            _console().print(escape(f"{page.template_name}, {_scopes(page)}: {counts}"))
    _print_issues(issues)
    raise typer.Exit(1 if outdated or any(issue.severity is Severity.ERROR for issue in issues) else 0)


@app.command()
def explain(
    target: Target,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[PAGE | PATHS]", help="A page's template, or changed paths.")
    ] = None,
) -> None:
    """Show all blocks of a page, or those that a change of PATHS renders. Without an argument, show all pages."""
    paths = names or []
    found = _load(target)
    if {page.template_name for page, _ in found.pages}.issuperset(paths):
        for page, viewer_names in found.pages:
            if page.template_name in paths or not paths:
                _print_page(page, block_rows(page, viewer_names))
        if not found.pages:
            _console().print("no page is declared")
        return
    try:
        freeze_paths(paths, what="PATHS")
    except ValueError as error:
        raise _could_not_run(str(error)) from error
    rows, derived = affected_rows(found, paths)
    if derived:
        _console().print(f"derived: {escape(', '.join(sorted(derived)))}")
    if rows:
        _print_rows(rows)
    else:
        _console().print(f"no live block shows {escape(', '.join(paths))}")


def _print_page(page: DeclaredPage, rows: Iterable[Row]) -> None:
    _console().print(f"[bold]{escape(page.template_name)}[/bold], {escape(_scopes(page))}")
    _print_rows(rows)


def _scopes(page: DeclaredPage) -> str:
    scopes = [f"scope {', '.join(page.scopes)}"] if page.scopes else ["no scope"]
    return ", ".join([*scopes, *(["live because of what it reads from the database"] if page.is_tracked else [])])


def _print_rows(rows: Iterable[Row]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in Row._fields:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    _console().print(table)


def _console() -> Console:
    """Return a console. Where its output is no terminal, such as a pipe, lines are not folded early."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)


@app.command()
def graph(
    target: Target,
    output: Annotated[GraphFormat, typer.Option("--format", help="The format of the graph.")] = GraphFormat.MERMAID,
) -> None:
    """Print the dependency graph: the paths that the blocks of each page show."""
    dependencies = build_graph(map(registry_of, _load(target).indexes))
    render = {GraphFormat.MERMAID: to_mermaid, GraphFormat.DOT: to_dot, GraphFormat.HTML: to_html}[output]
    typer.echo(render(dependencies))


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(metavar="NAME", help="The folder to write, and the name of the project.")],
) -> None:
    """Write a small project with a live page: FastAPI, SQLModel, htmx, tests and a Dockerfile."""
    try:
        files = write_project(folder)
    except (ReactiveError, OSError) as error:
        raise _could_not_run(str(error)) from error
    typer.echo(
        f"{len(files)} files written to {folder}. To start it:\n\n    {_NEXT.format(folder=shlex.quote(str(folder)))}"
    )


@app.command()
def triggers(
    target: Annotated[
        str,
        typer.Argument(metavar="MODULE:APP", help="The application, or its metadata, such as module:Base.metadata."),
    ],
    table: Annotated[list[str] | None, typer.Option(help="A table. Repeat it for several; by default all.")] = None,
    check_url: Annotated[
        str | None, typer.Option("--check", metavar="URL", help="Compare a database, and exit with 1 if it differs.")
    ] = None,
    *,
    drop: Annotated[bool, typer.Option("--drop", help="Write the migration that drops the triggers.")] = False,
) -> None:
    """Write a migration for PostgreSQL: triggers that emit what anybody changes in the application's tables."""
    try:
        from .triggers import drop_sql, faults_of, find_tables, triggers_sql  # noqa: PLC0415 - SQLAlchemy is optional

        tables = find_tables(_value_of(target), target, table or ())
        faults = None if check_url is None else faults_of(check_url, tables)
    except ModuleNotFoundError as error:
        message = f"triggers needs the package {error.name!r}: install 'starlette-reactive[sqlalchemy,postgres]'"
        raise _could_not_run(message) from error
    except ReactiveError as error:
        raise _could_not_run(str(error)) from error
    if faults is None:
        typer.echo(drop_sql(tables) if drop else triggers_sql(tables))
        return
    for fault in faults:
        typer.echo(fault)
    typer.echo("Run the migration that this command writes." if faults else "The triggers are up to date.")
    raise typer.Exit(1 if faults else 0)


def _issues(target: str) -> list[Issue]:
    try:
        settings = find_settings(Path.cwd())
        found = _import(target)
    except ReactiveError as error:
        issue = _issue_of(error)
        if issue is None:
            raise _could_not_run(str(error)) from error
        return [issue]
    return check(found.describe(), settings)


def _issue_of(error: ReactiveError) -> Issue | None:
    """Return the issue for a template error raised while the application starts. ``None`` for any other error."""
    if error.template is None:
        return None
    category = next((name for kind, name in _CATEGORIES.items() if isinstance(error, kind)), "template")
    fix = "fix it as the message says; until then the application does not start"
    return Issue(Severity.ERROR, category, error.template, error.line, str(error), fix)


def _load(target: str) -> DiscoveredApp:
    try:
        return _import(target)
    except ReactiveError as error:
        raise _could_not_run(str(error)) from error


def _import(target: str) -> DiscoveredApp:
    return discover(_value_of(target), target)


def _value_of(target: str) -> Any:
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
    return value


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
        console.print(f"    {escape(issue.fix)}", style="dim")
    counts = {severity: sum(1 for issue in issues if issue.severity is severity) for severity in Severity}
    totals = [
        f"{count} {severity}{'s' if count != 1 and severity is not Severity.INFO else ''}"
        for severity, count in counts.items()
    ]
    console.print(", ".join(totals) if issues else "No issues found.")
