"""Package query: which versions of a package are meant, as people type it."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.versions import PackageOrder

_NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._+-]*"
_CONSTRAINT_PATTERN = r"(?P<sign><=|>=|!=|<|>|=) *(?P<version>[A-Za-z0-9][A-Za-z0-9.+~:^_-]*)"


class Sign(StrEnum):
    """How a version is to stand to the one that was typed."""

    BELOW = "<"
    UP_TO = "<="
    EQUAL = "="
    OTHER = "!="
    FROM = ">="
    ABOVE = ">"

    def holds(self, order: int) -> bool:
        """Whether it holds for a version that came out so when compared with the one typed."""
        match self:
            case Sign.BELOW:
                return order < 0
            case Sign.UP_TO:
                return order <= 0
            case Sign.EQUAL:
                return order == 0
            case Sign.OTHER:
                return order != 0
            case Sign.FROM:
                return order >= 0
            case Sign.ABOVE:
                return order > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """A bound on a package's version. Invariant: `version` is one of Debian's or RPM's order."""

    sign: Sign
    version: str

    def __str__(self) -> str:
        """Read as it was typed."""
        return f"{self.sign}{self.version}"

    def matches(self, version: str, order: PackageOrder) -> bool:
        """Whether a version is within it.

        Source: rpm-dependencies(7): a bound without a release means every release of its version.
        """
        if order is PackageOrder.RPM and "-" not in self.version:
            version = version.partition("-")[0]
        return self.sign.holds(order.compare(version, self.version))


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageQuery:
    """A package by its name, its version within all the constraints."""

    name: str
    constraints: tuple[Constraint, ...] = ()

    def __str__(self) -> str:
        """Read as it was typed, without spaces."""
        return self.name + ",".join(map(str, self.constraints))

    def matches(self, version: str, order: PackageOrder) -> bool:
        """Whether a package of that name is meant when it has that version."""
        return all(constraint.matches(version, order) for constraint in self.constraints)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Give the query that text writes: openssl, openssl=3.0.14-1, openssl>=3.0,<3.0.15.

        Raises: PackageQueryMalformed.
        """
        name = re.match(_NAME_PATTERN, text.strip())
        if name is None:
            raise PackageQueryMalformed(text, "It does not begin with the name of a package.")
        bounds = text.strip()[name.end() :].strip()
        parts = [part.strip() for part in bounds.split(",")] if bounds else []
        return cls(name=name[0], constraints=tuple(_constraint(text, part) for part in parts))


class PackageQueryMalformed(InvalidInput):
    """What was to ask for packages can mean none."""

    code = "package-query-malformed"

    def __init__(self, text: str, reason: str) -> None:
        """Quote it and show the forms there are."""
        super().__init__(
            f"{text!r} does not ask for a package.",
            context=reason,
            hint="Write 'openssl', 'openssl=3.0.14-1' or 'openssl>=3.0,<3.0.15', in quotes; "
            "the signs are < <= = != >= >.",
        )


def _constraint(text: str, part: str) -> Constraint:
    found = re.fullmatch(_CONSTRAINT_PATTERN, part)
    if found is None:
        raise PackageQueryMalformed(text, f"{part!r} is not a sign and a version, such as <3.0.15.")
    version = found["version"]
    if not any(order.knows(version) for order in PackageOrder):
        raise PackageQueryMalformed(text, f"No package manager knows the version {version!r}.")
    return Constraint(sign=Sign(found["sign"]), version=version)
