"""PackerSource: a machine that Packer starts, lets be worked on, and makes an image of.

What a builder's settings mean is Packer's to know; here is only which of them must be secret.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from imagebuilder.domain.digest import Canonical, Digest, digest_of
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.kept import kept_list, kept_texts
from imagebuilder.domain.origin import Origin

_SECRET_WORDS = re.compile(r"password|passphrase|secret|token|access_key(?!_id)|private_key$")
_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+")
_VARIABLE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*")

_PLACE_WORDS = (2, 4)

SettingPath = tuple[str | int, ...]
"""Where a value stands in settings: names of mappings, places in lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackerSource:
    """A source as a recipe asks for it: the type of a builder of Packer's, and its settings.

    `name` tells it from others of its recipe. Invariant: no secret stands in `settings`, only
    references to them.
    """

    type: str
    name: str
    settings: Mapping[str, Canonical] = field(default_factory=dict)
    origin: Origin | None = None

    @property
    def references(self) -> Mapping[SettingPath, str]:
        """The settings that are kept elsewhere. Shape: path -> env:NAME or file:PATH."""
        return {
            path: value
            for path, value in texts_in(self.settings)
            if is_reference(value, is_secret=is_secret_setting(path))
        }

    def document(self) -> Canonical:
        """Give the one plain value of it, without where it was written."""
        return {"type": self.type, "name": self.name, "settings": self.settings}


def is_secret_setting(path: SettingPath) -> bool:
    """Whether what stands there may not be written down."""
    return any(_SECRET_WORDS.search(str(part)) for part in path)


def is_reference(text: str, *, is_secret: bool) -> bool:
    """Whether text names where a value is kept; a file is one only of secrets, else an address."""
    return (_REFERENCE if is_secret else _VARIABLE).fullmatch(text) is not None


class MadeThere(NamedTuple):
    """An image that stays where it was made: the target, its id there, its region and source."""

    target: str
    external_id: str
    region: str = ""
    source: str = ""


def made_elsewhere(plan: Canonical) -> Sequence[MadeThere]:
    """Give what a version's plan says was made where it stays."""
    rows = map(kept_texts, kept_list(plan, "there"))
    return [MadeThere(*words) for words in rows if words and len(words) in _PLACE_WORDS]


def stand_in(plan: Canonical) -> Digest:
    """Give what stands for the disk of a version that lies elsewhere alone: where that is."""
    return digest_of(["elsewhere", kept_list(plan, "there")])


def texts_in(value: Canonical, path: SettingPath = ()) -> Iterator[tuple[SettingPath, str]]:
    """Give every text in a value, and where it stands."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from texts_in(part, (*path, name))
    elif isinstance(value, Sequence):
        for place, part in enumerate(value):
            yield from texts_in(part, (*path, place))


class SourceUnknown(InvalidInput):
    """A build of a source was asked for that a recipe does not have."""

    code = "source-unknown"

    def __init__(self, asked: Sequence[str], names: Sequence[str]) -> None:
        """Name it and those that there are."""
        there = f"There are {', '.join(sorted(names))}."
        super().__init__(
            f"There is no source {', '.join(sorted(asked))}, so nothing was started.",
            context=there if names else "Packer has no part in this recipe.",
            hint="Ask for one of these." if names else "Leave it out.",
        )
