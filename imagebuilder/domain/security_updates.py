"""Security updates: which of a comparison's upgrades mend what, as UpdateOS recorded it."""

from collections.abc import Iterable
from dataclasses import dataclass

from imagebuilder.domain.package import PackageChange, PackageMove, Upgrade


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityUpdate:
    """An upgrade from a security archive; `cves` is None where nobody can say which it ends."""

    change: PackageChange
    cves: tuple[str, ...] | None


def security_updates(
    changes: Iterable[PackageChange], old: Iterable[Upgrade], new: Iterable[Upgrade]
) -> tuple[SecurityUpdate, ...]:
    """Give those of the changes that are security updates.

    `old` and `new` are all upgrades that led to each of the two versions, in their order.
    """
    before, after = _by_package(old), _by_package(new)
    found = []
    for change in changes:
        name = (change.name, change.architecture)
        led = after.get(name, [])
        is_recorded = bool(led) and led[-1].new_version == change.new_version
        if change.move is PackageMove.UPGRADED and is_recorded:
            steps = _since(led, change.old_version)
            if any(step.is_security for step in steps or led[-1:]):
                cves = _cves(change, led, before.get(name, []))
                found.append(SecurityUpdate(change=change, cves=cves))
    return tuple(found)


def _cves(
    change: PackageChange, led: list[Upgrade], before: list[Upgrade]
) -> tuple[str, ...] | None:
    """Give the CVEs that end between the two versions, None where the records do not tell."""
    steps = _since(led, change.old_version)
    if steps:
        return _all_cves(steps)
    # Both were upgraded from the same version, the new one further: what it ends more, counts.
    is_same_start = bool(before) and before[0].old_version == led[0].old_version
    if not is_same_start or before[-1].new_version != change.old_version:
        return None
    more, known = _all_cves(led), _all_cves(before)
    if more is None or known is None:
        return None
    return tuple(cve for cve in more if cve not in known)


def _since(led: list[Upgrade], version: str | None) -> list[Upgrade]:
    """Give the upgrades from a version on; none when it was not passed."""
    starts = [number for number, step in enumerate(led) if step.old_version == version]
    return led[starts[-1] :] if starts else []


def _all_cves(steps: list[Upgrade]) -> tuple[str, ...] | None:
    if any(step.cves is None for step in steps):
        return None
    return tuple(sorted({cve for step in steps for cve in step.cves or ()}))


def _by_package(upgrades: Iterable[Upgrade]) -> dict[tuple[str, str], list[Upgrade]]:
    found: dict[tuple[str, str], list[Upgrade]] = {}
    for upgrade in upgrades:
        found.setdefault((upgrade.name, upgrade.architecture), []).append(upgrade)
    return found
