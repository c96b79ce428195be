"""Content: what a scanner reads its rules from, as packs that people add and replace.

A pack is data of somebody else's: its digest says exactly which one judged a version.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cmp_to_key

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import InvalidInput, WrongState
from imagebuilder.domain.spelling import nearest
from imagebuilder.domain.versions import PackageOrder

_SHORTEST_DIGEST = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentProfile:
    """A choice of rules that a pack holds: `name` is what recipes write."""

    name: str
    id: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentPack:
    """A pack as its file tells of itself.

    `releases` are those it is made for, named as bills name them (debian:bookworm, ubuntu:22.04).
    `benchmark` is the name and version of what its rules come from.
    """

    name: str
    version: str
    digest: Digest
    benchmark: str
    releases: tuple[str, ...]
    profiles: tuple[ContentProfile, ...]

    @property
    def reference(self) -> str:
        """How people name it: ssg-debian12 0.1.82."""
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedContent:
    """A pack that lies in the store, and since when."""

    pack: ContentPack
    added_at: datetime


def named_content(asked: str, contents: Sequence[AddedContent]) -> AddedContent:
    """Give the pack of a name, or of a name and version: ssg-debian12, "ssg-debian12 0.1.82".

    Of several, it is the newest version, and of that the one that was added last; a digest that
    begins so names one exactly. Raises: ContentMissing.
    """
    name, _, version = asked.strip().replace("@", " ").partition(" ")
    found = [
        each
        for each in contents
        if each.pack.name == name and version.strip() in ("", each.pack.version)
    ]
    begun = name.removeprefix("sha256:")
    if not found and len(begun) >= _SHORTEST_DIGEST:
        found = [each for each in contents if each.pack.digest.hex.startswith(begun)]
    return _newest(asked, found, contents)


def content_for(release: str, contents: Sequence[AddedContent]) -> AddedContent:
    """Give the newest pack that is made for a release, as bills name it. Raises: ContentMissing."""
    found = [each for each in contents if release in each.pack.releases]
    return _newest(f"release {release}", found, contents)


def _newest(
    asked: str, found: Sequence[AddedContent], contents: Sequence[AddedContent]
) -> AddedContent:
    if not found:
        raise ContentMissing(asked, [each.pack for each in contents])
    order = cmp_to_key(PackageOrder.DEBIAN.compare)
    return max(found, key=lambda each: (order(each.pack.version), each.added_at))


class ContentUnreadable(InvalidInput):
    """A file is no content that scans can be made with."""

    code = "content-unreadable"

    def __init__(self, name: str, reason: str) -> None:
        """Name the file and say what is wrong with it."""
        super().__init__(
            f"{name} is no content for scans.",
            context=reason,
            hint="Give a SCAP source data stream, such as ssg-debian12-ds.xml of package "
            "ssg-debian 0.1.82 or newer.",
        )


class ContentMissing(WrongState):
    """No pack that was added is the one asked for."""

    code = "content-missing"

    def __init__(self, asked: str, packs: Sequence[ContentPack]) -> None:
        """Say what was asked for, and which packs there are."""
        there = ", ".join(
            f"{pack.reference} (for {', '.join(pack.releases) or 'no release'})" for pack in packs
        )
        super().__init__(
            f"There is no content for {asked}.",
            context=f"There is {there}." if packs else "No content was added yet.",
            hint="Add some with: imagebuilder content fetch, or imagebuilder content add FILE",
        )


class ContentLost(WrongState):
    """The file of a pack is not what was added, or not there."""

    code = "content-lost"

    def __init__(self, pack: ContentPack, reason: str) -> None:
        """Name the pack and what is wrong with its file."""
        super().__init__(
            f"The file of content {pack.reference} is not there as it was added.",
            context=reason,
            hint="Add it once more with: imagebuilder content add FILE, or content fetch",
        )


class ProfileUnknown(WrongState):
    """A pack has no profile of that name."""

    code = "profile-unknown"

    def __init__(self, profile: str, pack: ContentPack) -> None:
        """Name the profiles there are for this release."""
        names = [each.name for each in pack.profiles]
        near = nearest(profile, names)
        question = f"Did you mean {near}? " if near else ""
        super().__init__(
            f"Content {pack.reference} has no profile {profile}.",
            context=f"It has {', '.join(names)}.",
            hint=f"{question}See what they are: imagebuilder compliance profiles",
        )


class RuleUnknown(WrongState):
    """A tailoring speaks of a rule or a variable that the content has not."""

    code = "rule-unknown"

    def __init__(self, what: str, name: str, pack: ContentPack, near: str | None) -> None:
        """Name it, and the one that may be meant. Shape: `what` is rule or variable."""
        super().__init__(
            f"Content {pack.reference} has no {what} {name}.",
            context="Names are those of the content, with or without what it puts before each: "
            f"xccdf_org.ssgproject.content_{'rule' if what == 'rule' else 'value'}_.",
            hint=f"Did you mean {near}?" if near else "Read the content's guide for its names.",
        )
