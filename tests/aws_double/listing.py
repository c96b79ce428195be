"""Filters and pages of EC2's listings."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from tests.aws_double.operations import Asked
from tests.aws_double.refusals import Refusal

Values = Callable[[Any], Iterable[str]]


def filtered(
    asked: Asked,
    listed: Sequence[Any],
    known: Mapping[str, Values],
    tags: Callable[[Any], Mapping[str, str]],
) -> list[Any]:
    """Give what meets all filters; within one, any of its values is enough."""
    for wanted in asked.get("Filters") or []:
        name, values = wanted["Name"], wanted.get("Values", [])
        found = _values(name, known, tags)
        listed = [
            item
            for item in listed
            if any(fnmatchcase(got, _pattern(value)) for got in found(item) for value in values)
        ]
    return list(listed)


def _values(
    name: str, known: Mapping[str, Values], tags: Callable[[Any], Mapping[str, str]]
) -> Values:
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")
        return lambda item: [tags(item)[key]] if key in tags(item) else []
    if name == "tag-key":
        return lambda item: tags(item).keys()
    if name == "tag-value":
        return lambda item: tags(item).values()
    if name not in known:
        raise Refusal("InvalidParameterValue", f"The filter '{name}' is invalid")
    return known[name]


def _pattern(value: str) -> str:
    """Keep * and ?, and take brackets for what they are."""
    return value.replace("[", "[[]")


def paged(asked: Asked, name: str, listed: Sequence[Any]) -> dict[str, Any]:
    """Give a page of a listing, and the token of the next one."""
    limit, token = asked.get("MaxResults"), asked.get("NextToken")
    start = int(token.removeprefix("page-")) if token else 0
    end = start + int(limit) if limit else len(listed)
    more = {"NextToken": f"page-{end}"} if end < len(listed) else {}
    return {name: list(listed[start:end]), **more}


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Give tags as AWS lists them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tags_for(asked: Asked, kind: str, *, only: tuple[str, ...]) -> dict[str, str]:
    """Give the tags that a request asks for at what it makes of a kind.

    Raises:
        Refusal: some are for a kind that the operation does not tag, or are AWS's own
    """
    tags: dict[str, str] = {}
    for specification in asked.get("TagSpecifications") or []:
        named = specification.get("ResourceType")
        if named not in only:
            said = f"'{named}' is not a valid taggable resource type for this operation."
            raise Refusal("InvalidParameterValue", said)
        if named == kind:
            tags |= checked_tags(specification.get("Tags", []))
    return tags


def checked_tags(given: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Give tags by name.

    Raises:
        Refusal: a name is one of AWS's own, or too long
    """
    for tag in given:
        if tag["Key"].startswith("aws:"):
            said = "Tag keys starting with 'aws:' are reserved for internal use"
            raise Refusal("InvalidParameterValue", said)
        if len(tag["Key"]) > 127 or len(tag.get("Value", "")) > 255:
            raise Refusal("InvalidParameterValue", "Tag keys have up to 127, values up to 255.")
    return {tag["Key"]: tag.get("Value", "") for tag in given}
