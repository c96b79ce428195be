"""Notes: the labels and the free text that people put on images and versions.

A version is found by its own labels and by those of its image.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.ids import ImageName, VersionId

LABEL_PATTERN = r"^[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?$"
_LONGEST_VALUE = 256
_LONGEST_TEXT = 4096
_MOST = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What people noted. Shape: name of a label -> its value."""

    labels: Mapping[str, str] = field(default_factory=dict)
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What notes are on: a version, or its image when no version is given."""

    image: ImageName
    version_id: VersionId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelQuery:
    """A label that is asked for: of any value, when value is None."""

    name: str
    value: str | None = None


def parse_label_query(text: str) -> LabelQuery:
    """Give what `team` or `team=web` asks for. Raises: LabelMalformed."""
    name, equals, value = text.partition("=")
    if re.fullmatch(LABEL_PATTERN, name) is None:
        raise LabelMalformed(text, _NAME_RULE)
    return LabelQuery(name=name, value=value if equals else None)


def parse_labels(texts: Iterable[str]) -> dict[str, str]:
    """Give the labels that texts such as team=web set. Shape: name -> value.

    Raises: LabelMalformed: one has no value, a name or value that cannot be, or comes twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise LabelMalformed(text, "A label is set by name=value.")
        if re.fullmatch(LABEL_PATTERN, name) is None:
            raise LabelMalformed(text, _NAME_RULE)
        if len(value) > _LONGEST_VALUE or not value.isprintable():
            raise LabelMalformed(text, _VALUE_RULE)
        if name in found:
            raise LabelMalformed(text, f"{name} is set twice.")
        found[name] = value
    return found


def relabelled(
    labels: Mapping[str, str], added: Mapping[str, str], removed: Iterable[str]
) -> dict[str, str]:
    """Give labels after some were set and some taken off.

    Raises: LabelUnknown: one that is to go is not there; LabelMalformed: they are too many.
    """
    left = dict(labels)
    for name in removed:
        if name not in left:
            raise LabelUnknown(name, tuple(labels))
        del left[name]
    left |= added
    if len(left) > _MOST:
        raise LabelMalformed(", ".join(sorted(added)), f"There may be {_MOST}, not {len(left)}.")
    return dict(sorted(left.items()))


def checked_description(text: str) -> str:
    """Give free text without the space around it. Raises: DescriptionRefused."""
    told = text.strip()
    if len(told) > _LONGEST_TEXT:
        raise DescriptionRefused(f"It has {len(told)} characters, and may have {_LONGEST_TEXT}.")
    if any(not (c.isprintable() or c in "\n\t") for c in told):
        raise DescriptionRefused("It holds control characters.")
    return told


_NAME_RULE = (
    "The name has up to 63 small letters, digits, dots, slashes, hyphens and underscores, and "
    "begins and ends with a letter or digit."
)
_VALUE_RULE = f"The value has up to {_LONGEST_VALUE} printable characters."


class LabelMalformed(InvalidInput):
    """What should be a label cannot be one."""

    code = "label-malformed"

    def __init__(self, text: str, reason: str) -> None:
        """Quote it."""
        super().__init__(
            f"{text[:80]!r} is not a label.",
            context=reason,
            hint="Write labels such as team=web.",
        )


class LabelUnknown(InvalidInput):
    """A label is to be taken off that is not on."""

    code = "label-unknown"

    def __init__(self, name: str, there: tuple[str, ...]) -> None:
        """Name those that are."""
        super().__init__(
            f"There is no label {name} to remove.",
            context=f"There are {', '.join(there)}." if there else "There are no labels on it.",
            hint="Labels of the image are removed with --of-image.",
        )


class DescriptionRefused(InvalidInput):
    """Free text that cannot be kept."""

    code = "description-refused"

    def __init__(self, reason: str) -> None:
        """Say why."""
        super().__init__(
            "The description cannot be kept.",
            context=reason,
            hint="Describe it in plain text, in fewer words.",
        )
