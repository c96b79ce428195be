"""The schemas of our documents, as editors take them and as `schema` validates by them.

A part of JSON Schema 2020-12, and three annotations of our own: `x-expected` says in words what may
stand there, `x-not-yet` lists keys or values that are known but not supported, `x-suggestions` are
values worth proposing.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import TypeAlias, cast

from imagebuilder.domain.digest import Canonical

_TYPE_WORDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}
_Keywords: TypeAlias = Mapping[str, Canonical]


class DocumentKind(StrEnum):
    """The kinds of documents there are."""

    RECIPE = "recipe"
    COMPONENT = "component"
    RETENTION = "retention"
    PIPELINE = "pipeline"
    DISTRIBUTION = "distribution"


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema, or a part of one; `root` is the whole, in which references are looked up."""

    keywords: _Keywords
    root: _Keywords

    def __contains__(self, keyword: str) -> bool:
        """Whether the schema itself has a keyword."""
        return keyword in self.keywords

    def value(self, keyword: str) -> Canonical:
        """Give what a keyword holds, None when it is not there."""
        return self.keywords.get(keyword)

    def number(self, keyword: str) -> float:
        """Give what a keyword that holds a number says."""
        return cast("float", self.keywords[keyword])

    def words(self, keyword: str) -> list[str]:
        """Give the texts a keyword lists, or its only one; none when it is not there."""
        found = self.keywords.get(keyword, ())
        return [found] if isinstance(found, str) else list(cast("Sequence[str]", found))

    def part(self, keyword: str) -> "Schema":
        """Give the schema that a keyword holds."""
        return Schema(cast("_Keywords", self.keywords[keyword]), self.root)

    def parts(self, keyword: str) -> Iterator["Schema"]:
        """Give the schemas that a keyword lists."""
        for each in cast("Sequence[_Keywords]", self.keywords[keyword]):
            yield Schema(each, self.root)

    def named_parts(self, keyword: str) -> Mapping[str, "Schema"]:
        """Give the schemas that a keyword holds by name; none when it is not there."""
        named = cast("Mapping[str, _Keywords]", self.keywords.get(keyword, {}))
        return {name: Schema(each, self.root) for name, each in named.items()}

    def referenced(self) -> "Schema":
        """Give the schema that `$ref` names."""
        found: Canonical = self.root
        for name in self.words("$ref")[0].removeprefix("#/").split("/"):
            found = cast("_Keywords", found)[name]
        return Schema(cast("_Keywords", found), self.root)

    def first(self, keyword: str) -> Canonical:
        """Give what a keyword holds here or in the schema that is referred to."""
        if keyword in self or "$ref" not in self:
            return self.value(keyword)
        return self.referenced().first(keyword)

    @property
    def types(self) -> frozenset[str]:
        """The JSON types that may stand there; empty when the schema does not say."""
        if "type" not in self and "$ref" in self:
            return self.referenced().types
        return frozenset(self.words("type"))

    @property
    def expected(self) -> str:
        """What may stand there, in words."""
        said = self.first("x-expected")
        if isinstance(said, str):
            return said
        if "enum" in self:
            listed = cast("Sequence[Canonical]", self.value("enum"))
            names = [str(value) for value in listed]
            return names[0] if len(names) == 1 else f"one of {', '.join(names)}"
        if "const" in self:
            return str(self.value("const"))
        named = [words for name, words in _TYPE_WORDS.items() if name in self.types]
        return " or ".join(named) or "something else"


@cache
def load_schema(kind: DocumentKind) -> Schema:
    """Give the schema of a kind of document."""
    root = cast("_Keywords", json.loads(schema_text(kind)))
    return Schema(root, root)


def schema_text(kind: DocumentKind) -> str:
    """Give the JSON Schema of a kind of document, for editors."""
    return files("imagebuilder.documents").joinpath("schemas", f"{kind}.v1.json").read_text("utf-8")


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """Give a schema's pattern as JSON Schema means it: `$` is the end, never before a line end.

    Source: ECMA-262, 22.2.2.4 "Assertion", without the multiline flag.
    """
    return re.compile(re.sub(r"\$$", r"\\Z", pattern))
