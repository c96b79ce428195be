"""Every golden document says what it says: problems and warnings to the letter, or nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from imagebuilder.documents.problems import InvalidDocument, Problem
from imagebuilder.documents.reader import (
    read_component,
    read_distribution,
    read_pipeline,
    read_recipe,
    read_retention,
)
from imagebuilder.documents.source import text_of

GOLDEN = Path(__file__).parents[2] / "golden"
RECIPES = sorted(GOLDEN.glob("recipes/*.yaml"))
COMPONENTS = sorted(GOLDEN.glob("components/*.yaml"))
RETENTIONS = sorted(GOLDEN.glob("retentions/*.yaml"))
PIPELINES = sorted(GOLDEN.glob("pipelines/*.yaml"))
DISTRIBUTIONS = sorted(GOLDEN.glob("distributions/*.yaml"))


def warnings_of(path: Path) -> tuple[Problem, ...]:
    text = text_of(path.read_bytes())
    if path.parent.name == "recipes":
        return read_recipe(text, path.name).warnings
    if path.parent.name == "retentions":
        return read_retention(text, path.name).warnings
    if path.parent.name == "pipelines":
        return read_pipeline(text, path.name).warnings
    if path.parent.name == "distributions":
        return read_distribution(text, path.name).warnings
    return read_component(text, path.name).warnings


def said_of(path: Path) -> tuple[str, str]:
    """Give which kind of answer a document gets, and its text."""
    try:
        warnings = warnings_of(path)
    except InvalidDocument as error:
        return ".expected", f"{error.message}\n{error.context}\n"
    return ".warnings", "".join(f"{warning}\n" for warning in warnings)


@pytest.mark.parametrize(
    "path",
    [*RECIPES, *COMPONENTS, *RETENTIONS, *PIPELINES, *DISTRIBUTIONS],
    ids=lambda p: f"{p.parent.name}/{p.name}",
)
def test_golden_document_when_read_gives_exactly_what_stands_beside_it(path: Path) -> None:
    beside = {
        suffix: path.with_suffix(suffix).read_text(encoding="utf-8")
        for suffix in (".expected", ".warnings")
        if path.with_suffix(suffix).exists()
    }
    suffix, said = said_of(path)
    assert {suffix: said} == (beside or {".warnings": ""})


@pytest.mark.parametrize(
    "folder", ["recipes", "components", "retentions", "pipelines", "distributions"]
)
@pytest.mark.parametrize("is_kind", [Path.exists, lambda path: not path.exists()])
def test_golden_folder_has_both_sound_and_faulty_documents(
    folder: str, is_kind: Callable[[Path], bool]
) -> None:
    paths = (GOLDEN / folder).glob("*.yaml")
    assert any(is_kind(path.with_suffix(".expected")) for path in paths)


def test_golden_expectations_all_belong_to_a_document() -> None:
    beside = [*GOLDEN.glob("*/*.expected"), *GOLDEN.glob("*/*.warnings")]
    assert [p for p in beside if not p.with_suffix(".yaml").exists()] == []
