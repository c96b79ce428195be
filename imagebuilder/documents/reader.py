"""The one door: a document's text becomes a domain value, or an error with every problem in it."""

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from imagebuilder.documents.component_document import (
    DEFAULT_VERSION,
    component_of,
    name_from_path,
    usable_name,
)
from imagebuilder.documents.nodes import core_value
from imagebuilder.documents.problems import InvalidDocument, Problem
from imagebuilder.documents.recipe_document import recipe_of
from imagebuilder.domain.component import Component
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.recipe import Recipe
from imagebuilder.domain.versions import Version

if TYPE_CHECKING:
    from imagebuilder.domain.pipeline import Pipeline
    from imagebuilder.domain.retention import RetentionRule
    from imagebuilder.domain.target import DistributionSpec

T_co = TypeVar("T_co", covariant=True)

_HEADING = re.compile(
    r"""^(?P<q>["']?)(?P<key>name|version|kind|schemaVersion)(?P=q)[ \t]*:[ \t]+"""
    r"""(?P<v>["']?)(?P<value>[^\r\n#]*?)(?P=v)[ \t]*(\#.*)?\r?$""",
    re.MULTILINE,
)


class ParentMalformed(InvalidInput):
    """What should name a parent names none."""

    code = "parent-malformed"

    def __init__(self, written: str, reason: str, hint: str) -> None:
        """Quote it and say what a recipe's document would be told."""
        super().__init__(
            f"{written!r} names no parent.",
            context=reason,
            hint=hint or "Write debian:bookworm, image:NAME@REF, rootfs:FILE or a recipe's file.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Read(Generic[T_co]):
    """What a document says, and what is worth a warning in it, by place."""

    value: T_co
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What a glance at a document shows; `version` is None when it writes none that can be read."""

    name: str
    version: Version | None


def read_recipe(text: str, document: str) -> Read[Recipe]:
    """Give the recipe that text writes; `document` is its path, for places.

    Raises: InvalidDocument: with all that is wrong.
    """
    value, warnings = recipe_of(text, document)
    return Read(value=value, warnings=warnings)


def recipe_of_parent(parent: str) -> Recipe:
    """Give a recipe that is nothing but a parent, which is written as in a recipe.

    Raises: ParentMalformed.
    """
    rest = "kind: Recipe\nname: parent\nversion: 0.0.x\nartifacts: [tar]\n"
    try:
        value, _ = recipe_of(f"parent: {json.dumps(parent)}\n{rest}", parent)
    except InvalidDocument as refused:
        first = refused.problems[0]
        raise ParentMalformed(parent, first.message, first.hint) from refused
    return value


def read_component(text: str, document: str) -> Read[Component]:
    """Give the component that text writes; `document` is its path, for places and its name.

    Raises: InvalidDocument: with all that is wrong.
    """
    value, warnings = component_of(text, document)
    return Read(value=value, warnings=warnings)


def read_retention(text: str, document: str) -> "Read[RetentionRule]":
    """Give the retention rule that text writes; `document` is its path, for places.

    Raises: InvalidDocument: with all that is wrong.
    """
    # A build reads none, and must not load what only retention needs.
    from imagebuilder.documents.retention_document import retention_of  # noqa: PLC0415 - start-up

    value, warnings = retention_of(text, document)
    return Read(value=value, warnings=warnings)


def read_pipeline(text: str, document: str) -> "Read[Pipeline]":
    """Give the pipeline that text writes; `document` is its path, for places.

    Raises: InvalidDocument: with all that is wrong.
    """
    from imagebuilder.documents.pipeline_document import (  # noqa: PLC0415 - start-up
        pipeline_document_of,
    )

    value, warnings = pipeline_document_of(text, document)
    return Read(value=value, warnings=warnings)


def read_distribution(text: str, document: str) -> "Read[DistributionSpec]":
    """Give the distribution that text writes; `document` is its path, for places.

    Raises: InvalidDocument: with all that is wrong.
    """
    from imagebuilder.documents.distribution_document import (  # noqa: PLC0415 - start-up
        distribution_of,
    )

    value, warnings = distribution_of(text, document)
    return Read(value=value, warnings=warnings)


def component_heading(text: str, document: str) -> Heading:
    """Give a component's name and version without reading it, so that its faults do not matter."""
    written = _headings(text)
    name = usable_name(written["name"]) if written.get("name") else name_from_path(document)
    return Heading(name=name, version=_version(written.get("version", DEFAULT_VERSION)))


def recipe_name(text: str) -> str | None:
    """Give the name of a recipe without reading it; None when it is no recipe or has none."""
    written = _headings(text)
    return written.get("name") if written.get("kind") == "Recipe" else None


def is_of_another_kind(text: str) -> bool:
    """Whether text, looked at and not read, says that it is a document but no pipeline."""
    written = _headings(text)
    return (
        written.get("kind") in ("Recipe", "Retention", "Distribution") or "schemaVersion" in written
    )


def is_pipeline(text: str) -> bool:
    """Whether text, looked at and not read, says that it is a pipeline."""
    return _headings(text).get("kind") == "Pipeline"


def _headings(text: str) -> dict[str, str]:
    found = {m["key"]: m["value"] for m in reversed(list(_HEADING.finditer(text)))}
    return {key: value for key, value in found.items() if core_value(value) is not None}


def _version(written: str) -> Version | None:
    try:
        return Version.parse(written)
    except ValueError:
        return None
