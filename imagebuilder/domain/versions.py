"""Versions: of images and components, with the wildcards that ask for them, and of packages."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

_WILD = "x"
VERSION_PATTERN = r"^[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}$"
WILDCARD_PATTERN = r"^([0-9]{1,9}|x)(\.([0-9]{1,9}|x)){0,2}$"
RECIPE_VERSION_PATTERN = r"^[0-9]{1,9}\.[0-9]{1,9}\.([0-9]{1,9}|x)$"
_BUILD_PATTERN = r"[1-9][0-9]{0,8}"
_DEBIAN_PATTERN = r"([0-9]{1,9}:)?[0-9][A-Za-z0-9.+~-]*(?<!-)"
_RPM_PATTERN = r"([0-9]{1,9}:)?[A-Za-z0-9._+~^]+(-[A-Za-z0-9._+~^]+)?"
_RPM_ARCHITECTURES = {"noarch", "x86_64", "aarch64", "i586", "i686", "armv7hl", "ppc64le"}
_LONGEST_VERSION = 256


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A version of a component, or of a recipe: three numbers."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        """Read as semantic versioning writes it."""
        return f"{self.major}.{self.minor}.{self.patch}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Give the version that text writes.

        Raises: ValueError: text is not three numbers joined by dots.
        """
        if re.fullmatch(VERSION_PATTERN, text) is None:
            raise ValueError(f"{text!r} is not a version such as 1.2.3")
        major, minor, patch = (int(part) for part in text.split("."))
        return cls(major, minor, patch)


@dataclass(frozen=True, slots=True, order=True)
class BuildVersion:
    """A version of an image: its recipe's version, and which build of that it is.

    Source: EC2 Image Builder's major.minor.patch/build.
    """

    version: Version
    build: int

    def __str__(self) -> str:
        """Read as references write it."""
        return f"{self.version}/{self.build}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Give the build version that text writes.

        Raises: ValueError: text is not like 1.2.3/4.
        """
        version, _, build = text.partition("/")
        if re.fullmatch(_BUILD_PATTERN, build) is None:
            raise ValueError(f"{text!r} is not a build such as 1.2.3/4")
        return cls(Version.parse(version), int(build))


@dataclass(frozen=True, slots=True)
class Wildcard:
    """A request for the newest version that matches: 1.2.3, 1.2.x, 1.x, x.

    Invariant: at most three numbers; nothing is fixed to the right of what is open.
    """

    fixed: tuple[int, ...]

    def __str__(self) -> str:
        """Read with every open place written as x."""
        return ".".join([*map(str, self.fixed), *[_WILD] * (3 - len(self.fixed))])

    @classmethod
    def parse(cls, text: str) -> Self:
        """Give the wildcard that text writes; what is left out at the right is open.

        Raises: ValueError: text is not a wildcard, or fixes a number to the right of an x.
        """
        if re.fullmatch(WILDCARD_PATTERN, text) is None:
            raise ValueError(f"{text!r} is not a version or a wildcard such as 1.2.3, 1.2.x or 1.x")
        parts = text.split(".")
        fixed = parts[: parts.index(_WILD)] if _WILD in parts else parts
        if any(part != _WILD for part in parts[len(fixed) :]):
            raise ValueError(f"{text!r} fixes a number to the right of an x")
        return cls(tuple(int(part) for part in fixed))

    def matches(self, version: Version) -> bool:
        """Whether version is one of those asked for."""
        numbers = (version.major, version.minor, version.patch)
        return numbers[: len(self.fixed)] == self.fixed

    def newest(self, versions: Iterable[Version]) -> Version | None:
        """Give the newest matching version, or None."""
        return max(filter(self.matches, versions), default=None)


@dataclass(frozen=True, slots=True)
class RecipeVersion:
    """What a recipe says of its version: 1.2.3, or 1.2.x for the next patch after a change."""

    major: int
    minor: int
    patch: int | None

    def __str__(self) -> str:
        """Read as the recipe writes it."""
        return f"{self.major}.{self.minor}.{_WILD if self.patch is None else self.patch}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Give the recipe version that text writes.

        Raises: ValueError: text is not like 1.2.3 or 1.2.x.
        """
        if re.fullmatch(RECIPE_VERSION_PATTERN, text) is None:
            raise ValueError(f"{text!r} is not a recipe version such as 1.2.3 or 1.2.x")
        major, minor, patch = text.split(".")
        return cls(int(major), int(minor), None if patch == _WILD else int(patch))


class PackageOrder(StrEnum):
    """The order in which a package manager sees the versions of a package."""

    DEBIAN = "debian"
    RPM = "rpm"

    @classmethod
    def of(cls, architecture: str) -> Self:
        """Give the order for a package of that architecture: each side names them in its own way.

        What both call the same (s390x) is taken for Debian's.
        """
        return cls.RPM if architecture in _RPM_ARCHITECTURES else cls.DEBIAN

    def compare(self, one: str, other: str) -> int:
        """Give -1, 0 or 1 where one comes before other, is as new, or comes after it.

        A text that is no version comes before all that are, and such texts by their letters: what
        an image calls a version cannot stop a comparison.

        Source: Debian Policy 5.6.12; rpm-version(7).
        """
        left, right = (self.knows(one), one), (self.knows(other), other)
        if left[0] and right[0]:
            return self._compared(one, other)
        return (left > right) - (left < right)

    def knows(self, text: str) -> bool:
        """Whether text is written as a version of this order."""
        pattern = _DEBIAN_PATTERN if self is PackageOrder.DEBIAN else _RPM_PATTERN
        return len(text) <= _LONGEST_VERSION and re.fullmatch(pattern, text) is not None

    def _compared(self, one: str, other: str) -> int:
        # The library takes a thirtieth of a second to load, and few commands compare packages.
        if self is PackageOrder.DEBIAN:
            from univers.debian import compare_versions  # noqa: PLC0415 - start-up

            return int(compare_versions(one, other))  # type: ignore[no-untyped-call]
        from univers.rpm import compare_rpm_versions  # noqa: PLC0415 - start-up

        return compare_rpm_versions(one, other)


def next_build(
    asked: RecipeVersion, taken: Iterable[BuildVersion], *, same_definition_as: BuildVersion | None
) -> BuildVersion:
    """Give the version of the next build.

    `x` takes the next patch, unless the definition (recipe and components) is that of the newest
    patch in its line; then, as with a fixed version, the build number counts on.
    """
    builds = sorted(taken)
    if asked.patch is not None:
        return _counted(Version(asked.major, asked.minor, asked.patch), builds)
    line = [b for b in builds if (b.version.major, b.version.minor) == (asked.major, asked.minor)]
    if not line:
        return BuildVersion(Version(asked.major, asked.minor, 0), 1)
    newest = line[-1]
    if same_definition_as is not None and same_definition_as.version == newest.version:
        return _counted(newest.version, builds)
    return BuildVersion(Version(asked.major, asked.minor, newest.version.patch + 1), 1)


def _counted(version: Version, builds: list[BuildVersion]) -> BuildVersion:
    last = max((b.build for b in builds if b.version == version), default=0)
    return BuildVersion(version, last + 1)
