"""Search: which versions are asked for, and in which order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self

from imagebuilder.domain.errors import InvalidInput, WrongState
from imagebuilder.domain.ids import ChannelName, VersionId, is_name
from imagebuilder.domain.image import VersionSummary
from imagebuilder.domain.labels import LabelQuery, Notes
from imagebuilder.domain.package_query import PackageQuery
from imagebuilder.domain.standing import State
from imagebuilder.domain.versions import Wildcard


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentQuery:
    """A component by its name, and the versions of it that are meant."""

    name: str
    wildcard: Wildcard

    @classmethod
    def parse(cls, text: str) -> Self:
        """Give the query that text writes: nginx, nginx@1.x, nginx@1.2.3.

        Raises: ComponentQueryMalformed.
        """
        name, at, asked = text.partition("@")
        try:
            wildcard = Wildcard.parse(asked) if at else Wildcard(())
        except ValueError as error:
            raise ComponentQueryMalformed(text, str(error)) from error
        if not is_name(name):
            raise ComponentQueryMalformed(text, "It does not begin with the name of a component.")
        return cls(name=name, wildcard=wildcard)


class SortKey(StrEnum):
    """What found versions are put in order by."""

    NAME = "name"
    CREATED = "created"
    VERSION = "version"
    SIZE = "size"


@dataclass(frozen=True, slots=True, kw_only=True)
class CveQuery:
    """A CVE that a version is to be vulnerable to.

    It is if advisories say so of its packages, or if it holds what is older than one of `fixes`:
    what updates of recorded versions said that ends it.
    """

    cve: str
    fixes: tuple[PackageQuery, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionQuery:
    """Which versions are asked for: those that fit everything that is said.

    Shape: `packages` and `components` must each be held, and so must each of `cves`. `image` may
    hold * and ?; `words` must each stand in the reference, a description or a label. `only` are the
    ids that may be given.
    """

    packages: tuple[PackageQuery, ...] = ()
    cves: tuple[CveQuery, ...] = ()
    components: tuple[ComponentQuery, ...] = ()
    labels: tuple[LabelQuery, ...] = ()
    words: tuple[str, ...] = ()
    image: str = ""
    built_before: datetime | None = None
    built_after: datetime | None = None
    only: frozenset[VersionId] | None = None
    sort: SortKey = SortKey.NAME
    is_reversed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """The versions that were found, of them those that were to be given, and the count of all."""

    ids: tuple[VersionId, ...]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A package that a version was found by."""

    name: str
    version: str
    architecture: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundVersion:
    """A version that was found, with how it stands and what is noted on it.

    `labels` are its image's and, over those, its own.
    """

    summary: VersionSummary
    state: State
    channels: tuple[ChannelName, ...]
    notes: Notes
    labels: Mapping[str, str] = field(default_factory=dict)
    matched: tuple[Match, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of what was found, and how many were found in all."""

    found: tuple[FoundVersion, ...]
    count: int
    offset: int = 0

    @property
    def left(self) -> int:
        """How many come after it."""
        return self.count - self.offset - len(self.found)


def parse_state(text: str) -> State:
    """Give the state that text names. Raises: StateUnknown."""
    try:
        return State(text)
    except ValueError as error:
        raise StateUnknown(text) from error


class StateUnknown(InvalidInput):
    """Versions are asked for that stand as none can."""

    code = "state-unknown"

    def __init__(self, text: str) -> None:
        """Quote it and name the states there are."""
        super().__init__(
            f"{text[:80]!r} is not a state.",
            context=f"The states are {', '.join(State)}.",
            hint="Write one of them after --state.",
        )


class ComponentQueryMalformed(InvalidInput):
    """What was to ask for a component can mean none."""

    code = "component-query-malformed"

    def __init__(self, text: str, reason: str) -> None:
        """Quote it and show the forms there are."""
        super().__init__(
            f"{text[:80]!r} does not ask for a component.",
            context=reason,
            hint="Write nginx, nginx@1.x or nginx@1.2.3.",
        )


class CveUnknown(WrongState):
    """Nobody said anything of a CVE, so nobody can say who is affected."""

    code = "cve-unknown"

    def __init__(self, cve: str) -> None:
        """Name it and say where such knowledge comes from."""
        super().__init__(
            f"Nothing is known of {cve} here.",
            context="It is known of CVEs that imported advisories speak of, and of those that an "
            "UpdateOS step of a recorded version ended; this says nothing about whether a version "
            "is affected.",
            hint="Import advisories: imagebuilder advisory update --from DIR; or ask by the "
            "package: imagebuilder image find --package 'NAME<FIXED-VERSION'",
        )
