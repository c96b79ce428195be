"""Forecast: what UpdateOS would answer today, told from what it was asked of and what is offered.

It is exact where apt has no choice. Where apt would have to weigh what packages need of each other
it says so, and apt is asked: a needless question costs seconds, a missed update may cost more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imagebuilder.domain.ground import Ground, PackageKey
from imagebuilder.domain.offers import SECURITY_FIRST, Candidate, Offers, PackageIndex, Policy
from imagebuilder.domain.package import Upgrade
from imagebuilder.domain.updates import HoldReason, PlannedUpdate, UpdateScope
from imagebuilder.domain.versions import PackageOrder

_APT_DECIDES = frozenset((HoldReason.KEPT, HoldReason.PHASED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What is new since UpdateOS was asked; `unclear` says what only apt can tell, and why.

    Shape: an upgrade's old version is the one that the image has now.
    """

    upgrades: tuple[Upgrade, ...] = ()
    unclear: tuple[str, ...] = ()

    @property
    def is_as_before(self) -> bool:
        """Whether UpdateOS would answer what it answered then."""
        return not self.upgrades and not self.unclear


def forecast(
    ground: Ground, answer: Mapping[str, PlannedUpdate], indexes: Sequence[PackageIndex]
) -> Forecast:
    """Give what the steps of an UpdateOS component would answer otherwise than they did."""
    if any(update.scopes is None for update in answer.values()):
        return Forecast(unclear=("what UpdateOS was asked for was not recorded",))
    return _Comparison(ground, answer, indexes).forecast()


class _Comparison:
    """What was answered, held against what is offered."""

    def __init__(
        self,
        ground: Ground,
        answer: Mapping[str, PlannedUpdate],
        indexes: Sequence[PackageIndex],
    ) -> None:
        self._ground = ground
        self._answer = answer
        self._offers = {
            is_security_only: Offers(
                indexes=indexes,
                native=ground.architecture,
                policy=Policy.parse(before + ground.preferences),
            )
            for is_security_only, before in ((False, ""), (True, SECURITY_FIRST))
        }

    def forecast(self) -> Forecast:
        """Give what differs."""
        taken: dict[PackageKey, tuple[str, PlannedUpdate]] = {}
        for update in self._answer.values():
            for upgrade in update.upgrades:
                key = self._ground.key(upgrade.name, upgrade.architecture)
                taken[key] = upgrade.new_version, update
        upgrades: list[Upgrade] = []
        unclear = list(self._kept_back())
        for key, (version, update) in sorted(taken.items(), key=lambda each: each[0]):
            found = self._first_change(key, update.scopes or ())
            if found is None or PackageOrder.DEBIAN.compare(found.version, version) < 0:
                unclear.append(f"the archives have no {key[0]} {version} any more")
            elif found.version != version:
                upgrades.append(_upgrade(key, version, found))
        scopes = [s for update in self._answer.values() for s in update.scopes or ()]
        waiting = self._waiting()
        for key, version in sorted(self._ground.packages.items()):
            if key in taken or key in self._ground.marked:
                continue
            found = self._first_change(key, [s for s in scopes if self._takes(s, key)])
            if found is None or found.version in (version, waiting.get(key[0])):
                continue
            upgrades.append(_upgrade(key, version, found))
        return Forecast(upgrades=tuple(upgrades), unclear=tuple(unclear))

    def _first_change(self, key: PackageKey, scopes: Sequence[UpdateScope]) -> Candidate | None:
        """Give what the first step that would change a package would make of it."""
        found = None
        for scope in scopes:
            found = self._candidate(key, scope)
            if found is not None and found.version != self._ground.packages.get(key):
                return found
        return found

    def _takes(self, scope: UpdateScope, key: PackageKey) -> bool:
        if not scope.takes(key[0]):
            return False
        if not scope.is_security_only:
            return True
        # A pin of the image's own can prefer another archive for a package.
        found = self._candidate(key, scope)
        return found is not None and found.is_security

    def _candidate(self, key: PackageKey, scope: UpdateScope) -> Candidate | None:
        offers = self._offers[scope.is_security_only]
        return offers.candidate(*key, self._ground.packages.get(key))

    def _waiting(self) -> dict[str, str]:
        """Give the packages that only apt can say more of, and what they wait for."""
        return {
            held.name: held.available
            for update in self._answer.values()
            for held in update.held
            if held.reason in _APT_DECIDES
        }

    def _kept_back(self) -> Sequence[str]:
        return [f"{name} was kept back, which may be over" for name in sorted(self._waiting())]


def _upgrade(key: PackageKey, version: str, found: Candidate) -> Upgrade:
    return Upgrade(
        name=key[0],
        architecture=key[1],
        old_version=version,
        new_version=found.version,
        origin=found.origin,
        is_security=found.is_security,
    )
