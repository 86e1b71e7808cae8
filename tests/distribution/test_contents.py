"""The contents and the metadata of the wheel and the sdist."""

from __future__ import annotations

import re
import tarfile
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest

from .conftest import EXTRAS, PROJECT, ROOT, Built

CACHES = re.compile(r"__pycache__|\.py[co]$|\.sqlite3|\.(mypy|pytest|ruff)_cache|\.hypothesis|\.egg-info|\.venv")


@pytest.fixture(scope="session")
def in_wheel(built: Built) -> dict[str, bytes]:
    with zipfile.ZipFile(built.wheel) as wheel:
        return {name: wheel.read(name) for name in wheel.namelist()}


@pytest.fixture(scope="session")
def in_sdist(built: Built) -> set[str]:
    with tarfile.open(built.sdist) as sdist:
        return {name.partition("/")[2] for name in sdist.getnames()}


@pytest.fixture(scope="session")
def metadata(in_wheel: dict[str, bytes]) -> Message:
    (text,) = (text for name, text in in_wheel.items() if name.endswith(".dist-info/METADATA"))
    return message_from_string(text.decode())


def in_checkout(folder: str) -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not CACHES.search(path.relative_to(ROOT).as_posix())
    }


def test_the_wheel_contains_the_package_and_nothing_else(in_wheel: dict[str, bytes]) -> None:
    package = {name for name in in_wheel if ".dist-info/" not in name}
    assert package == in_checkout("starlette_reactive")


def test_the_wheel_is_typed_and_contains_its_licence_and_those_of_vendored_files(
    in_wheel: dict[str, bytes],
) -> None:
    assert "starlette_reactive/py.typed" in in_wheel
    assert "starlette_reactive/static/live.js" in in_wheel
    (licence,) = (text for name, text in in_wheel.items() if name.endswith(".dist-info/licenses/LICENSE"))
    assert licence == (ROOT / "LICENSE").read_bytes()
    for name in in_wheel:
        if "/vendor/" in name and name.endswith(".js"):
            assert f"{Path(name).parent.as_posix()}/LICENSE" in in_wheel


def test_the_wheel_provides_the_command_and_the_pytest_plugin(in_wheel: dict[str, bytes]) -> None:
    (text,) = (text for name, text in in_wheel.items() if name.endswith("entry_points.txt"))
    assert "starlette-reactive = starlette_reactive._cli.main:main" in text.decode()
    assert "starlette_reactive = starlette_reactive.pytest_plugin" in text.decode()


def test_the_sdist_contains_what_building_testing_and_documenting_the_package_needs(in_sdist: set[str]) -> None:
    for folder in ("starlette_reactive", "tests", "docs", "example_app", "benchmarks"):
        assert in_checkout(folder) <= in_sdist
    assert {"pyproject.toml", "mkdocs.yml", "noxfile.py", ".pre-commit-config.yaml", ".ci/run"} <= in_sdist
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE"} <= in_sdist
    assert not [name for name in in_sdist if CACHES.search(name)]


def test_the_metadata_is_complete(metadata: Message) -> None:
    assert metadata["Name"] == "starlette-reactive"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == PROJECT["requires-python"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert str(metadata.get_payload()).strip() == (ROOT / "README.md").read_text().strip()
    assert set(EXTRAS) <= set(metadata.get_all("Provides-Extra", []))
    assert {each.partition(",")[0] for each in metadata.get_all("Project-URL", [])} >= {"Source", "Issues", "Changelog"}
    classifiers = metadata.get_all("Classifier", [])
    assert "Typing :: Typed" in classifiers
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)} <= set(classifiers)


def test_only_the_known_dependencies_are_installed_without_extras(metadata: Message) -> None:
    required = metadata.get_all("Requires-Dist", [])
    always = {re.split(r"[<>=\[; ]", each)[0] for each in required if "extra ==" not in each}
    assert always == {"anyio", "itsdangerous", "jinja2", "justhtml", "pydantic", "sse-starlette", "starlette"}


def test_the_version_is_the_newest_of_the_changelog(metadata: Message) -> None:
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased" or headings[0] == metadata["Version"]
    assert next(heading for heading in headings if heading != "Unreleased") == metadata["Version"]
