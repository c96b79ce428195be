"""Updates: what an UpdateOS step does to the installed packages, and what it leaves as it is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from imagebuilder.domain.digest import Canonical, Digest
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
class PlannedUpdate:
    """What one UpdateOS step is to do exactly, and which packages it leaves behind."""

    upgrades: tuple[Upgrade, ...] = ()
    held: tuple[HeldPackage, ...] = ()


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
    if not isinstance(document, Mapping):
        raise ValueError("updates are kept by their steps")  # noqa: TRY004 - a damaged text
    return {step: update_of(update) for step, update in document.items()}


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
    answers = plan.get("upgrades") if isinstance(plan, Mapping) else None
    if not isinstance(answers, Mapping):
        return {}
    known: dict[Digest, dict[str, PlannedUpdate]] = {}
    for question, answer in answers.items():
        try:
            known[Digest.parse(question)] = upgrades_of(answer)
        except ValueError:
            # An earlier imagebuilder kept it in another form: it is asked for anew.
            continue
    return known


def update_document(update: PlannedUpdate) -> Canonical:
    """Give an update as it is kept; `cves` is null where no changelog could be read."""
    return {
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


def update_of(document: Canonical) -> PlannedUpdate:
    """Give the update that was kept as that. Raises: ValueError: it is no such document."""
    if not isinstance(document, Mapping):
        raise ValueError("an update is kept as a mapping")  # noqa: TRY004 - a damaged text
    return PlannedUpdate(
        upgrades=tuple(
            Upgrade(
                name=_text(row, "name"),
                architecture=_text(row, "architecture"),
                old_version=_text(row, "old_version"),
                new_version=_text(row, "new_version"),
                origin=_text(row, "origin"),
                is_security=row.get("is_security") is True,
                cves=_texts(row.get("cves")),
            )
            for row in _rows(document, "upgrades")
        ),
        held=tuple(
            HeldPackage(
                name=_text(row, "name"),
                version=_text(row, "version"),
                available=_text(row, "available"),
                reason=HoldReason(_text(row, "reason")),
                detail=_text(row, "detail"),
            )
            for row in _rows(document, "held")
        ),
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _rows(document: Mapping[str, Canonical], name: str) -> list[Mapping[str, Canonical]]:
    rows = document.get(name)
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise ValueError(f"an update has a list of {name}")  # noqa: TRY004 - a damaged text
    return [row for row in rows if isinstance(row, Mapping)]


def _text(row: Mapping[str, Canonical], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is a text")  # noqa: TRY004 - a damaged text
    return value


def _texts(value: Canonical) -> tuple[str, ...] | None:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return None
    return tuple(str(item) for item in value)
