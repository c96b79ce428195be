"""Ground: what an UpdateOS step found when it was asked, so that it need not be asked again.

With it, and with what package archives offer on a later day, the answer of that day can be told
without the image.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from imagebuilder.domain.digest import Canonical, Digest
from imagebuilder.domain.kept import kept_mapping, kept_part, kept_text, kept_texts
from imagebuilder.domain.package import InstalledPackage

PackageKey = tuple[str, str]
"""A package as apt tells it from others: its name and its architecture, `all` being the native."""

_ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The packages below an UpdateOS step, and what apt was told of them.

    Shape: `packages` maps each to its version; `marked` are those on hold; `preferences` is the
    text of apt's preferences there. Invariant: what is not said here is as apt has it by default.
    """

    architecture: str
    packages: Mapping[PackageKey, str] = field(default_factory=dict)
    marked: frozenset[PackageKey] = frozenset()
    preferences: str = ""

    def key(self, name: str, architecture: str) -> PackageKey:
        """Give what a package is told by: for apt one for all architectures is a native one."""
        return name, self.architecture if architecture == _ALL else architecture

    def document(self, version: Iterable[InstalledPackage]) -> Canonical:
        """Give it as it is kept with a version: only what its packages do not tell already."""
        known = self._keyed(version)
        return {
            "architecture": self.architecture,
            "more": [
                [*key, installed]
                for key, installed in sorted(self.packages.items())
                if known.get(key) != installed
            ],
            "less": [list(key) for key in sorted(known.keys() - self.packages.keys())],
            "marked": [list(key) for key in sorted(self.marked)],
            "preferences": self.preferences,
        }

    def _keyed(self, packages: Iterable[InstalledPackage]) -> dict[PackageKey, str]:
        return {self.key(p.name, p.architecture): p.version for p in packages}


def ground_of(document: Canonical, version: Iterable[InstalledPackage]) -> Ground:
    """Give the ground that was kept with a version of these packages. Raises: ValueError."""
    kept = kept_mapping(document)
    empty = Ground(architecture=kept_text(kept, "architecture"))
    less = {(row[0], row[1]) for row in _words(kept, "less", 2)}
    packages = {k: v for k, v in empty._keyed(version).items() if k not in less}  # noqa: SLF001 - one of this class
    packages |= {(row[0], row[1]): row[2] for row in _words(kept, "more", 3)}
    return Ground(
        architecture=empty.architecture,
        packages=packages,
        marked=frozenset((row[0], row[1]) for row in _words(kept, "marked", 2)),
        preferences=kept_text(kept, "preferences"),
    )


def recorded_grounds(plan: Canonical, version: Sequence[InstalledPackage]) -> dict[Digest, Ground]:
    """Give what the questions of a recorded plan were asked of, where that was recorded."""
    known: dict[Digest, Ground] = {}
    for question, ground in kept_part(plan, "grounds").items():
        try:
            known[Digest.parse(question)] = ground_of(ground, version)
        except ValueError:
            # In another form than this imagebuilder's: it is asked for anew.
            continue
    return known


def _words(kept: Mapping[str, Canonical], name: str, count: int) -> list[tuple[str, ...]]:
    rows = kept.get(name)
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise ValueError(f"{name} is a list")  # noqa: TRY004 - a damaged text
    found = [kept_texts(row) or () for row in rows]
    if any(len(row) != count for row in found):
        raise ValueError(f"each of {name} is {count} texts")
    return found
