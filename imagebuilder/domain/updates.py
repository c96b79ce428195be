"""Updates: what an UpdateOS step does to the installed packages, and what it leaves as it is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from imagebuilder.domain.digest import Canonical, Digest
from imagebuilder.domain.kept import (
    kept_mapping,
    kept_part,
    kept_rows,
    kept_text,
    kept_texts,
)
from imagebuilder.domain.package import Upgrade


class HoldReason(StrEnum):
    """Why a package stays although a newer version is there."""

    MARKED = "marked hold"
    EXCLUDED = "excluded by the document"
    PHASED = "phased"
    KEPT = "kept back"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class HeldPackage:
    """A package that stays at its version; `detail` is what the package manager says of it."""

    name: str
    version: str
    available: str
    reason: HoldReason
    detail: str = ""

    def __str__(self) -> str:
        """Read as a log shows it."""
        more = f": {self.detail}" if self.detail else ""
        return f"{self.name} stays at {self.version}, not {self.available} ({self.reason}{more})"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateScope:
    """What UpdateOS is to do: include, or everything when that is empty, and never exclude.

    Shape: names of packages, in which * and ? stand for others.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    is_security_only: bool = False

    def takes(self, package: str) -> bool:
        """Whether a package may be upgraded; what it depends on may be beside it."""
        is_included = not self.include or _fits(package, self.include)
        return is_included and not _fits(package, self.exclude)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedUpdate:
    """What one UpdateOS step is to do exactly, and which packages it leaves behind.

    `scopes` is what was asked for to find that: none when the step was not due, None when an
    earlier imagebuilder asked.
    """

    upgrades: tuple[Upgrade, ...] = ()
    held: tuple[HeldPackage, ...] = ()
    scopes: tuple[UpdateScope, ...] | None = field(default=None, compare=False)


def update_text(updates: Iterable[PlannedUpdate]) -> str:
    """Give the line that people read: `9 packages, 3 of them security, 14 CVEs, 1 held`."""
    listed = tuple(updates)
    upgrades = [u for update in listed for u in update.upgrades]
    security = sum(u.is_security for u in upgrades)
    held = sum(len(update.held) for update in listed)
    parts = [_count(len(upgrades), "package")]
    parts += [f"{security} of them security"] if security else []
    if any(u.cves is not None for u in upgrades):
        parts.append(_count(len({cve for u in upgrades for cve in u.cves or ()}), "CVE"))
    parts += [f"{held} held"] if held else []
    return ", ".join(parts)


def upgrades_document(upgrades: Mapping[str, PlannedUpdate]) -> Canonical:
    """Give what the UpdateOS steps of a component do, as it is kept: step name -> update."""
    return {step: update_document(update) for step, update in upgrades.items()}


def upgrades_of(document: Canonical) -> dict[str, PlannedUpdate]:
    """Give what was kept as that. Raises: ValueError: it is no such document."""
    return {step: update_of(update) for step, update in kept_mapping(document).items()}


def recorded_updates(plan: Canonical) -> PlannedUpdate:
    """Give all that UpdateOS did for a version and left behind, as its recorded plan has it.

    Nothing is known of a version whose plan holds it in the form of an earlier imagebuilder.
    """
    answers = plan.get("upgrades") if isinstance(plan, Mapping) else None
    kept = answers.values() if isinstance(answers, Mapping) else ()
    try:
        updates = [update for answer in kept for update in upgrades_of(answer).values()]
    except ValueError:
        updates = []
    return PlannedUpdate(
        upgrades=tuple(upgrade for update in updates for upgrade in update.upgrades),
        held=tuple(sorted({held for update in updates for held in update.held})),
    )


def recorded_upgrades(plan: Canonical) -> dict[Digest, dict[str, PlannedUpdate]]:
    """Give the upgrade answers that a recorded plan holds. Shape: question -> step -> update."""
    known: dict[Digest, dict[str, PlannedUpdate]] = {}
    for question, answer in kept_part(plan, "upgrades").items():
        try:
            known[Digest.parse(question)] = upgrades_of(answer)
        except ValueError:
            # An earlier imagebuilder kept it in another form: it is asked for anew.
            continue
    return known


def update_document(update: PlannedUpdate) -> Canonical:
    """Give an update as it is kept; `cves` is null where no changelog could be read."""
    document: dict[str, Canonical] = {
        "upgrades": [
            {
                "name": u.name,
                "architecture": u.architecture,
                "old_version": u.old_version,
                "new_version": u.new_version,
                "origin": u.origin,
                "is_security": u.is_security,
                "cves": None if u.cves is None else list(u.cves),
            }
            for u in update.upgrades
        ],
        "held": [
            {
                "name": h.name,
                "version": h.version,
                "available": h.available,
                "reason": h.reason,
                "detail": h.detail,
            }
            for h in update.held
        ],
    }
    if update.scopes is not None:
        document["scopes"] = [_scope_document(scope) for scope in update.scopes]
    return document


def update_of(document: Canonical) -> PlannedUpdate:
    """Give the update that was kept as that. Raises: ValueError: it is no such document."""
    kept = kept_mapping(document)
    return PlannedUpdate(
        upgrades=tuple(
            Upgrade(
                name=kept_text(row, "name"),
                architecture=kept_text(row, "architecture"),
                old_version=kept_text(row, "old_version"),
                new_version=kept_text(row, "new_version"),
                origin=kept_text(row, "origin"),
                is_security=row.get("is_security") is True,
                cves=kept_texts(row.get("cves")),
            )
            for row in kept_rows(kept, "upgrades")
        ),
        held=tuple(
            HeldPackage(
                name=kept_text(row, "name"),
                version=kept_text(row, "version"),
                available=kept_text(row, "available"),
                reason=HoldReason(kept_text(row, "reason")),
                detail=kept_text(row, "detail"),
            )
            for row in kept_rows(kept, "held")
        ),
        scopes=None
        if kept.get("scopes") is None
        else tuple(map(_scope_of, kept_rows(kept, "scopes"))),
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _scope_document(scope: UpdateScope) -> Canonical:
    return {
        "include": list(scope.include),
        "exclude": list(scope.exclude),
        "is_security_only": scope.is_security_only,
    }


def _scope_of(row: Mapping[str, Canonical]) -> UpdateScope:
    return UpdateScope(
        include=kept_texts(row.get("include")) or (),
        exclude=kept_texts(row.get("exclude")) or (),
        is_security_only=row.get("is_security_only") is True,
    )


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
