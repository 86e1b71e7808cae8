"""The command: its output and its exit status."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from starlette_reactive._cli.main import app

from .cases import CONNECT, MARK, page_2
from .fault_cases import MARKUP

APPLICATION = """
from pathlib import Path
from starlette.applications import Starlette
from starlette.templating import Jinja2Templates
from starlette_reactive import Reactive

reactive = Reactive(Jinja2Templates(directory=Path(__file__).parent / "templates"), secret="a secret for tests")
reactive.index.register_template(reactive.templates, "page.html")
reactive.index.derive("count", from_paths={"tasks"})
app = Starlette(routes=[*reactive.routes])
"""
SOUND = page_2(CONNECT + '<p sse-swap="a">{% block a %}{{ count }}<b>{{ "<&" }}</b>{% endblock %}</p></main>')
WARNING = page_2(CONNECT + '\n<p sse-swap="a">{% block a %}{{ count }}<input name="[bold]">{% endblock %}</p></main>')
ERROR = next(case for case in MARKUP if case.name == "an event called error").templates["page"].replace(MARK, "")


class Run:
    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name

    def __call__(self, command: str, source: str, *options: str) -> tuple[int, str]:
        (self.folder / "templates" / "page.html").write_text(source)
        result = CliRunner().invoke(app, [command, f"{self.name}:app", *options])
        return result.exit_code, result.output


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "templates").mkdir()
    name = f"application_{hashlib.md5(request.node.name.encode()).hexdigest()}"
    (tmp_path / f"{name}.py").write_text(APPLICATION)
    return Run(tmp_path, name)


def test_an_application_without_issues_exits_with_0(run: Run) -> None:
    assert run("check", SOUND) == (0, "No issues found.\n")


def test_an_error_exits_with_1_and_is_printed_with_location_message_and_fix(run: Run) -> None:
    status, output = run("check", ERROR)
    assert status == 1
    assert output.startswith("page.html:4 error sse_event_name: the event 'error'")
    assert "give the event another name" in output
    assert output.endswith("1 error, 0 warnings, 0 info\n")


def test_a_warning_exits_with_0_or_with_1_if_warnings_are_errors(run: Run) -> None:
    assert run("check", WARNING)[0] == 0
    status, output = run("check", WARNING, "--warnings-as-errors")
    assert status == 1
    assert "<input name=[bold]>" in output


def test_the_command_uses_the_configured_levels(run: Run) -> None:
    (run.folder / "pyproject.toml").write_text('[tool.starlette-reactive]\nsse_event_name = "warning"\n')
    assert run("check", ERROR)[0] == 0
    (run.folder / "pyproject.toml").write_text('[tool.starlette-reactive]\nsse_event_nam = "warning"\n')
    assert run("check", ERROR)[0] == 2


def test_json_contains_the_issues_and_their_number(run: Run) -> None:
    status, output = run("check", ERROR, "--format", "json")
    found = json.loads(output)
    assert status == 1
    assert list(found) == ["issues", "summary"]
    assert found["summary"] == {"error": 1, "warning": 0, "info": 0}
    (issue,) = found["issues"]
    assert list(issue) == ["severity", "category", "template", "line", "message", "fix"]
    assert (issue["severity"], issue["template"], issue["line"]) == ("error", "page.html", 4)


def test_sarif_contains_the_rule_the_location_and_the_fix(run: Run) -> None:
    (result,) = json.loads(run("check", ERROR, "--format", "sarif")[1])["runs"][0]["results"]
    assert (result["ruleId"], result["level"]) == ("sse_event_name", "error")
    assert ". Fix: give the event another name" in result["message"]["text"]
    location = result["locations"][0]["physicalLocation"]
    assert location == {"artifactLocation": {"uri": "page.html"}, "region": {"startLine": 4}}


@pytest.mark.parametrize("target", ["no_such_module:app", "json:app", "json:dumps", "json", "json:JSONEncoder"])
@pytest.mark.parametrize("command", ["check", "graph"])
def test_an_unusable_target_exits_with_2_and_one_line(command: str, target: str) -> None:
    result = CliRunner().invoke(app, [command, target])
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_a_template_error_at_start_up_gives_an_issue(run: Run) -> None:
    status, output = run("check", "<html>\n{% if %}")
    assert status == 1
    assert output.startswith("page.html:2 error template: ")


def test_a_rejected_shared_page_gives_an_issue(run: Run) -> None:
    declared = '\n\n@reactive.page("page.html", scope="room", shared=True)\ndef page():\n    return {}\n'
    (run.folder / f"{run.name}.py").write_text(APPLICATION + declared)
    status, output = run("check", "<html><p id='a'>\n{% block a %}{{ user }}{% endblock %}</p>", "--format", "json")
    assert status == 1
    (issue,) = json.loads(output)["issues"]
    assert (issue["category"], issue["template"], issue["line"]) == ("viewer_name", "page.html", 2)


def test_doctor_prints_versions_pages_and_issues(run: Run) -> None:
    declared = '\n\n@reactive.page("page.html", scope="room")\ndef page():\n    return {}\n'
    (run.folder / f"{run.name}.py").write_text(APPLICATION + declared)
    blocks = '<p id="a">{% block a %}{{ n }}{% endblock %}</p>{% block b %}{{ n }}{% endblock %}'
    source = f"<html>{blocks}<div {{{{ live() }}}}></div>"
    status, output = run("doctor", source)
    assert status == 0, output
    assert f"starlette-reactive {version('starlette-reactive')}" in output
    assert f"starlette {version('starlette')}" in output
    assert "page.html, scope room: 1 live blocks; not live: b" in output
    assert run("doctor", "<html>\n{% if %}")[0] == 1
    assert run("doctor", "<html>\n{% if %}")[1].count("page.html:2 error template: ") == 1


def test_doctor_reports_packages_that_are_older_than_supported(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "starlette_reactive._checks.versions.requires", lambda _: ["starlette>=99.1", "rich[x]>=99 ; extra == 'a'"]
    )
    status, output = run("doctor", SOUND)
    assert status == 1
    assert f"starlette {version('starlette')} is installed, and live pages need 99.1 or later" in output
    assert "pip install 'starlette>=99.1'" in output
    assert f"rich {version('rich')} is older than 99: upgrade it" in output


def test_the_check_reports_packages_below_live_pages_that_are_older_than_supported(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    requirements = ["Jinja2>=99.0", "fastapi>=99 ; extra == 'fastapi'", "rich>=99 ; extra == 'cli'", "anyio>=4,<5"]
    monkeypatch.setattr("starlette_reactive._checks.versions.requires", lambda _: requirements)
    status, output = run("check", SOUND)
    assert status == 1
    assert [line.split()[4] for line in output.splitlines() if "package_version" in line] == [
        version("fastapi"),
        version("jinja2"),
    ]


def test_explain_prints_what_a_change_renders(run: Run) -> None:
    status, output = run("explain", SOUND, "tasks.title")
    assert status == 0
    assert "derived: count" in output
    assert "page.html:a" in output
    assert run("explain", SOUND, "people") == (0, "no live block shows people\n")
    assert run("explain", SOUND, "a..b")[0] == 2


def test_explain_prints_for_whom_one_render_serves(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    declared = """

@reactive.page("page.html", scope="room")
def page():
    return {}


@reactive.page("wall.html", scope="wall", shared=True)
def wall():
    return {}


other = Reactive(reactive.templates, secret="a secret for tests", prefix="/_other", viewer_names={"n"})


@other.page("wall.html", scope="own")
def own():
    return {}
"""
    (run.folder / f"{run.name}.py").write_text(
        APPLICATION.replace('reactive.index.register_template(reactive.templates, "page.html")', "")
        + declared
        + "app = Starlette(routes=[*reactive.routes, *other.routes])\n"
    )
    (run.folder / "templates" / "wall.html").write_text('<html><p id="x">{% block x %}{{ n }}{% endblock %}</p>')
    source = """<html><p id="a">{% block a %}{{ n }}{% endblock %}</p>
<div id="b">{% block b %}{{ n }}<p id="c">{% block c %}{{ user }}{% endblock %}</p>{% endblock %}</div>"""
    status, output = run("explain", source, "n")
    assert status == 0
    lines = " ".join(output.split())
    assert "page.html:a #a for each viewer: the page is not shared n" in lines
    assert "page.html:b #b for each viewer: contains the block 'c', which reads 'user' n" in lines
    assert "wall.html:x #x once for all n" in lines
    assert "wall.html:x #x for each viewer: reads 'n' n" in lines
    assert "page.html:c #c for each viewer: reads 'user' user" in " ".join(run("explain", source, "user")[1].split())


def test_explain_lists_all_blocks_of_a_page_with_the_reason_of_each_that_is_not_live(run: Run) -> None:
    declared = """

@reactive.page("page.html", scope="room", exclude_blocks=["form"])
def page():
    return {}


app = Starlette(routes=reactive.routes)
"""
    (run.folder / f"{run.name}.py").write_text(APPLICATION + declared)
    source = """<html><title>{% block title %}{{ t }}{% endblock %}</title>
<p id="a">{% block a %}{{ n }}<b>{% block b %}{{ user }}{% endblock %}</b>{% endblock %}</p>
<div id="form">{% block form %}{{ f }}{% endblock %}</div><p id="total">Total: {% block c %}{{ c }}{% endblock %}</p>
<ul id="l">{% block l %}{% for r in rows %}<li id="r{{ r.id }}">{{ r.x }}</li>{% endfor %}{% endblock %}</ul>
<ul id="m">{% block m %}{% for r in rows %}<li>{{ r.x }}</li>{% endfor %}{% endblock %}</ul>
<p>{% block d %}nothing{% endblock %}</p>{% if e %}<p id="e">{% block e %}{{ e }}{% endblock %}</p>{% endif %}"""
    status, output = run("explain", source)
    assert status == 0
    lines = [" ".join(line.split()) for line in output.splitlines()]
    assert lines[0] == "page.html, scope room"
    assert lines[2:] == [
        "page.html:title not live: it is in no element with an id t",
        "page.html:a #a live, for each viewer: contains the block 'b', which reads 'user' n, user",
        "page.html:b a part of the block 'a' user",
        "page.html:form not live: it is named in exclude_blocks= f",
        "page.html:element_total #total live, for each viewer: the page is not shared c",
        "page.html:c a part of the block 'element_total' c",
        "page.html:l #l live, for each viewer: the page is not shared; sent row by row rows",
        "page.html:m #m live, for each viewer: the page is not shared; sent whole, because the <li> in its loop has no "
        'id: give each row an id of its own, such as <li id="row-{{ item.id }}"> rows',
        "page.html:d not live: it shows no value that changes",
        "page.html:e #e live, for each viewer: the page is not shared; it is updated in the element #e, which the page "
        "shows only under a condition; when the condition changes, no update adds or removes the element e",
    ]
    assert run("explain", source, "page.html") == (status, output)
    assert "page.html:a" in run("explain", source, "n")[1]


def test_explain_without_pages_reports_that_there_are_none(run: Run) -> None:
    (run.folder / f"{run.name}.py").write_text(APPLICATION)
    assert run("explain", SOUND) == (0, "no page is declared\n")


def test_explain_names_what_decides_for_a_plain_stream(run: Run) -> None:
    assert "as share= of the stream says" in run("explain", SOUND, "tasks")[1]


def test_the_graph_is_printed_in_three_formats(run: Run) -> None:
    mermaid = run("graph", SOUND)[1]
    assert mermaid.startswith("flowchart LR\n")
    assert '(["count"])' in mermaid
    assert " -.-> " in mermaid
    assert '"count" -> "page.html:a";' in run("graph", SOUND, "--format", "dot")[1]
    page = run("graph", SOUND, "--format", "html")[1]
    assert "<svg" in page
    assert "http" not in page


def test_without_the_extra_the_command_names_the_package_to_install() -> None:
    code = "import sys; sys.modules['typer'] = None; from starlette_reactive._cli.main import main; main()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "starlette-reactive[cli]" in result.stderr
    assert "Traceback" not in result.stderr
