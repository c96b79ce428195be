"""Offers: what package archives have of a package, and which version apt would take.

Source: apt_preferences(5); apt-pkg/policy.cc of apt 2.6, GetCandidateVer and GetPriority.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cmp_to_key

from imagebuilder.domain.versions import PackageOrder

_DEFAULT = 500
_AUTOMATIC_UPGRADES = 100
_NOT_AUTOMATIC = 1
_INSTALLED = 100
_NEVER = -(2**15)
_DOWNGRADING = 1000
_ALL = "all"
_REGULAR = re.compile(r"/(.*)/", re.DOTALL)
_RELEASE_FIELDS = {
    "a": "archive",
    "archive": "archive",
    "n": "codename",
    "codename": "codename",
    "v": "version",
    "version": "version",
    "o": "origin",
    "origin": "origin",
    "l": "label",
    "label": "label",
    "c": "component",
    "component": "component",
}
SECURITY_FIRST = (
    "Package: *\nPin: release a=now\nPin-Priority: 100\n\n"
    "Package: *\nPin: release l=Debian-Security\nPin-Priority: 500\n\n"
    "Package: *\nPin: release a=*-security\nPin-Priority: 500\n\n"
    "Package: *\nPin: release *\nPin-Priority: 50\n\n"
)
"""What is installed goes before all but security archives; only what is new may come from them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A part of an archive, as its signed index describes it, or what is installed (`now`)."""

    host: str = ""
    archive: str = ""
    codename: str = ""
    version: str = ""
    origin: str = ""
    label: str = ""
    component: str = ""
    is_not_automatic: bool = False
    has_automatic_upgrades: bool = False

    @property
    def priority(self) -> int:
        """How much apt thinks of it when no one said anything."""
        if self.is_not_automatic:
            return _AUTOMATIC_UPGRADES if self.has_automatic_upgrades else _NOT_AUTOMATIC
        return _DEFAULT

    @property
    def is_security(self) -> bool:
        """Whether what it has is there for security."""
        return self.label == "Debian-Security" or self.archive.endswith("-security")

    def __str__(self) -> str:
        """Read as apt names where a package comes from."""
        return f"{self.label}:{self.version}/{self.archive}"


_NOW = Release(archive="now")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageIndex:
    """All packages of one part of an archive. Shape: name -> (version, architecture)."""

    release: Release
    packages: Mapping[str, Sequence[tuple[str, str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """The version that apt would have of a package, and the parts of archives it comes from."""

    version: str
    releases: tuple[Release, ...] = ()

    @property
    def is_security(self) -> bool:
        """Whether an archive for security has it."""
        return any(release.is_security for release in self.releases)

    @property
    def origin(self) -> str:
        """Where it comes from, as apt says it."""
        return ", ".join(map(str, self.releases))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Preference:
    """One paragraph of apt's preferences; `package` is empty when it speaks of all."""

    package: str
    kind: str
    wanted: str
    priority: int

    def is_about(self, name: str, architecture: str, native: str) -> bool:
        pattern, _, wanted = self.package.partition(":")
        # One that names no architecture speaks of the native one alone.
        if wanted != "any" and architecture != (
            wanted if wanted and wanted != "native" else native
        ):
            return False
        return _fits(pattern, name)

    def fits(self, version: str, release: Release) -> bool:
        match self.kind:
            case "version":
                return bool(version) and _fits(self.wanted, version)
            case "origin":
                return release is not _NOW and _fits(self.wanted.strip('"'), release.host)
            case "release":
                return _is_release(self.wanted, release)
            case _:
                return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What apt was told to prefer, read from the text of its preferences.

    Invariant: the first that speaks of a version, or of an archive, counts.
    """

    preferences: tuple[_Preference, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Policy":
        """Give the policy of preferences; a paragraph that apt could not read says nothing."""
        found = (_preferences_of(paragraph) for paragraph in re.split(r"\n[ \t]*\n", text))
        return cls(preferences=tuple(p for those in found for p in those))

    def of_release(self, release: Release) -> int:
        """Give the priority of all that an archive has, or of all that is installed."""
        for preference in self.preferences:
            if not preference.package and preference.fits("", release):
                return preference.priority
        return _INSTALLED if release is _NOW else release.priority


@dataclass(slots=True)
class Offers:
    """What the archives of a build offer, as one apt sees it."""

    indexes: Sequence[PackageIndex]
    native: str
    policy: Policy = field(default_factory=Policy)
    _priorities: dict[Release, int] = field(default_factory=dict)

    def candidate(self, name: str, architecture: str, installed: str | None) -> Candidate | None:
        """Give what apt would have of a package, None when it would have none.

        Shape: the architecture of a package for all is the native one.
        """
        own = [p for p in self.policy.preferences if p.package]
        own = [p for p in own if p.is_about(name, architecture, self.native)]
        taken, best = None, -1
        offered = self._offered(name, architecture, installed)
        for version in _descending(offered):
            priority = self._priority(version, offered[version], own)
            is_lower = installed is not None and _compare(version, installed) < 0
            if priority in (0, best) or priority < best or (is_lower and priority < _DOWNGRADING):
                continue
            taken, best = version, priority
        if taken is None:
            return None
        releases = (release for release in offered[taken] if release is not _NOW)
        return Candidate(version=taken, releases=tuple(releases))

    def _offered(
        self, name: str, architecture: str, installed: str | None
    ) -> dict[str, list[Release]]:
        wanted = {architecture, _ALL} if architecture == self.native else {architecture}
        offered: dict[str, list[Release]] = {}
        for index in self.indexes:
            for version, built_for in index.packages.get(name, ()):
                if built_for in wanted:
                    offered.setdefault(version, []).append(index.release)
        if installed is not None:
            offered.setdefault(installed, []).append(_NOW)
        return offered

    def _priority(self, version: str, releases: Iterable[Release], own: list[_Preference]) -> int:
        files = [self._of_release(release) for release in releases]
        for preference in own:
            if any(preference.fits(version, release) for release in releases):
                return preference.priority
        return max(files, default=_NEVER)

    def _of_release(self, release: Release) -> int:
        if release not in self._priorities:
            self._priorities[release] = self.policy.of_release(release)
        return self._priorities[release]


def _descending(versions: Iterable[str]) -> list[str]:
    """Give versions, the highest first; of most packages there is but one."""
    return sorted(versions, key=cmp_to_key(_compare), reverse=True)


def _compare(one: str, other: str) -> int:
    return 0 if one == other else PackageOrder.DEBIAN.compare(one, other)


def _preferences_of(paragraph: str) -> list[_Preference]:
    lines = (line for line in paragraph.splitlines() if not line.startswith("#"))
    fields = {
        name.strip().lower(): value.strip()
        for name, colon, value in (line.partition(":") for line in lines)
        if colon
    }
    kind, _, wanted = fields.get("pin", "").partition(" ")
    try:
        priority = int(fields.get("pin-priority", "0"))
    except ValueError:
        priority = 0
    if priority == 0:
        return []
    return [
        _Preference(
            package="" if package == "*" else package,
            kind=kind.lower(),
            wanted=wanted.strip(),
            priority=priority,
        )
        for package in fields.get("package", "").split()
    ]


def _is_release(wanted: str, release: Release) -> bool:
    """Whether an archive is what a pin of a release asks for.

    Without an equals sign it is a version when it begins with a digit, else the name of an
    archive.
    """
    if wanted == "*":
        return True
    for part in wanted.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals:
            value = name
            name = "v" if name[:1].isdigit() else "a"
        if name == "b":
            return False
        text = getattr(release, _RELEASE_FIELDS.get(name, ""), None)
        is_one_of_two = name in ("a", "archive") and not equals and _fits(value, release.codename)
        if text is None or not (_fits(value, text) or is_one_of_two):
            return False
    return True


def _fits(pattern: str, text: str) -> bool:
    """Whether a text is what a pattern means: a regular expression in slashes, or * and ?."""
    regular = _REGULAR.fullmatch(pattern)
    if regular is None:
        return fnmatchcase(text, pattern)
    try:
        return re.search(regular[1], text) is not None
    except re.error:
        return False
