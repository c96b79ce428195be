"""A Carrier in memory: what it holds is `held`, and it refuses what it is told to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from imagebuilder.domain.distribution import Placement
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.objection import Objection
from imagebuilder.domain.target import Target, TargetSpec
from imagebuilder.ports.targets import Drift, OnBytes, Placed, Shipment, Usage


@dataclass
class FakeCarrier:
    """Brings versions nowhere, and remembers which it was asked to.

    Shape: `regions` are the targets an entry stands for, by key, each with the key it comes after;
    `troubles` maps a key to errors, the first of which is raised at the next act there, `late` to
    those that are raised once a version was made there and before all is done for it, `silent` one
    to the error of every look at it, `implied` the name of an entry to the keys that it only
    implies, `takers` a key to those it was told of at the last look for drift, and `awaiting` one
    to those that it was told of when it was asked what is in the way; at those of `leaves` what is
    where they come after may be used, and there is nothing of their own.
    """

    regions: Mapping[str, str | None] = field(default_factory=lambda: {"fake:one": None})
    held: dict[tuple[str, str], VersionId] = field(default_factory=dict)
    troubles: dict[str, list[ImageBuilderError]] = field(default_factory=dict)
    late: dict[str, list[BaseException]] = field(default_factory=dict)
    objections: dict[str, Objection] = field(default_factory=dict)
    changed: dict[str, Drift] = field(default_factory=dict)
    used: dict[str, Usage] = field(default_factory=dict)
    shipments: list[tuple[str, Shipment]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    silent: dict[str, ImageBuilderError] = field(default_factory=dict)
    implied: dict[str, set[str]] = field(default_factory=dict)
    takers: dict[str, list[str]] = field(default_factory=dict)
    awaiting: dict[str, list[str]] = field(default_factory=dict)
    leaves: set[str] = field(default_factory=set)

    def targets(self, spec: TargetSpec) -> Sequence[Target]:
        """Give those of `regions`, whatever is asked."""
        return [
            Target(
                key=key,
                spec=spec,
                after=after,
                where={"key": key},
                is_implied=key in self.implied.get(spec.name, ()),
            )
            for key, after in self.regions.items()
        ]

    def hindrances(
        self, target: Target, version: ImageVersion, takers: Sequence[Target] = ()
    ) -> Sequence[Objection]:
        """Give the objection that was set."""
        del version
        self.awaiting[target.key] = [taker.key for taker in takers]
        return [self.objections[target.key]] if target.key in self.objections else []

    def place(self, target: Target, shipment: Shipment, on_bytes: OnBytes) -> Placed:
        """Hold it under an id made of its own, once."""
        self.shipments.append((target.key, shipment))
        _raise_first(self.troubles, target)
        on_bytes(1)
        external_id = shipment.there or f"fake-{shipment.token}"
        if target.key in self.leaves and shipment.source is not None:
            external_id = shipment.source.external_id
        self.held[target.key, external_id] = shipment.version.id
        placed = Placed(external_id=external_id, traits={"token": shipment.token})
        shipment.on_made(replace(placed, traits={**placed.traits, "pointer": "to be set"}))
        _raise_first(self.late, target)
        return placed

    def drifts(
        self, target: Target, placement: Placement, takers: Sequence[Target] = ()
    ) -> Sequence[Drift]:
        """Tell when it is gone, and what was set."""
        self.takers[target.key] = [taker.key for taker in takers]
        if target.key in self.silent:
            raise self.silent[target.key]
        if (target.key, placement.external_id) not in self.held:
            return [Drift(what="placement", wanted=placement.external_id, found="nothing")]
        return [self.changed[target.key]] if target.key in self.changed else []

    def usages(self, target: Target, placement: Placement) -> Sequence[Usage]:
        """Give what was set."""
        del placement
        return [self.used[target.key]] if target.key in self.used else []

    def withdraw(self, target: Target, placement: Placement, *, delete: bool) -> None:
        """Hold it no longer."""
        _raise_first(self.troubles, target)
        self.held.pop((target.key, placement.external_id), None)
        if delete:
            self.deleted.append(target.key)


_ErrorT = TypeVar("_ErrorT", bound=BaseException)


def _raise_first(errors: Mapping[str, list[_ErrorT]], target: Target) -> None:
    if errors.get(target.key):
        raise errors[target.key].pop(0)
