"""The house keeps its shape: who imports whom, how large, how named, how explained."""

import ast
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from tests.architecture.house import PACKAGE, ROOT, named, python_files, text_files, tree

LARGEST_FILE_LINES = 400
LARGEST_TEST_FILE_LINES = 600
LARGEST_FUNCTION_LINES = 60
FORBIDDEN_NAMES = {
    "utils", "util", "helpers", "helper", "common", "misc", "base", "core", "manager", "handler",
    "processor", "data", "info",
}  # fmt: skip


@pytest.fixture
def _loggers() -> Iterator[None]:
    """Let loggers be heard again: import-linter disables those that it does not know."""
    yield
    for logger in logging.getLogger().manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False


@pytest.mark.usefixtures("_loggers")
def test_imports_run_down_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)

    status = lint_imports(config_filename="pyproject.toml", cache_dir=".cache/import_linter")

    assert status == 0, capsys.readouterr().out


def test_files_are_small() -> None:
    limits = [(PACKAGE, LARGEST_FILE_LINES), (ROOT / "tests", LARGEST_TEST_FILE_LINES)]
    too_large = {
        named(file): lines
        for folder, limit in limits
        for file in python_files(folder)
        if (lines := len(file.read_text().splitlines())) > limit
    }

    assert too_large == {}


def test_functions_are_small() -> None:
    too_large = {
        f"{named(file)}:{node.name}": node.end_lineno - node.lineno + 1
        for file in python_files(PACKAGE, ROOT / "tests")
        for node in ast.walk(tree(file))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > LARGEST_FUNCTION_LINES
    }

    assert too_large == {}


def test_no_file_or_folder_has_a_name_that_says_nothing() -> None:
    names = (*PACKAGE.rglob("*"), *(ROOT / "tests").rglob("*"))

    assert [named(path) for path in names if path.stem in FORBIDDEN_NAMES] == []


def test_packages_hold_no_logic_in_their_init() -> None:
    allowed = ast.Import | ast.ImportFrom | ast.Assign | ast.Expr
    with_logic = [
        named(file)
        for file in python_files(PACKAGE)
        if file.name == "__init__.py"
        and not all(isinstance(statement, allowed) for statement in tree(file).body)
    ]

    assert with_logic == []


def test_importing_the_package_imports_nothing_else() -> None:
    body = tree(PACKAGE / "__init__.py").body

    assert not any(isinstance(statement, ast.Import | ast.ImportFrom) for statement in body)


def _undocumented(file: Path) -> list[str]:
    documentable = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    places: list[ast.stmt] = list(tree(file).body)
    places += [
        member
        for place in tree(file).body
        if isinstance(place, ast.ClassDef) and not place.name.startswith("_")
        for member in place.body
    ]
    missing = [
        f"{named(file)}:{place.name}"
        for place in places
        if isinstance(place, documentable)
        and not place.name.startswith("_")
        and ast.get_docstring(place) is None
    ]
    return missing if ast.get_docstring(tree(file)) else [named(file), *missing]


def test_everything_public_says_what_it_is() -> None:
    assert [place for file in python_files(PACKAGE) for place in _undocumented(file)] == []


def test_no_file_names_a_path_of_this_machine() -> None:
    pattern = re.compile(rf"(?<![\w.]){re.escape(str(ROOT))}\b")

    assert [named(file) for file, text in text_files() if pattern.search(text)] == []


@pytest.mark.parametrize("pattern", ["recipes/*.yaml", "components/**/*.yaml"])
def test_every_document_is_named_by_a_test(pattern: str) -> None:
    tests = "\n".join(file.read_text() for file in python_files(ROOT / "tests"))
    documents = sorted(ROOT.glob(pattern))
    names = {
        named(file): file.parent.name if file.stem == "component" else file.stem
        for file in documents
    }

    assert documents, f"there is nothing at {pattern}"
    assert [path for path, name in names.items() if not re.search(rf"\b{name}\b", tests)] == []
