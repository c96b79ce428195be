"""Upgrading: what came of the upgrades of a layer, as evidence."""

import json
from collections.abc import Sequence
from dataclasses import replace

from imagebuilder.domain.digest import Digest, DigestMismatch, canonical_json
from imagebuilder.domain.errors import Broken
from imagebuilder.domain.layer import Layer
from imagebuilder.domain.package import Upgrade
from imagebuilder.domain.plan import Upgrades
from imagebuilder.domain.updates import upgrades_document, upgrades_of
from imagebuilder.ports.blobs import BlobMissing, BlobStore
from imagebuilder.ports.machine import Machine
from imagebuilder.services.provisioning.packages import applied_of, applied_script

EVIDENCE = "upgrades"
"""What a layer's evidence of its upgrades is called."""


class UpgradeDiverged(Broken):
    """What apt installed is not what it said it would."""

    code = "upgrade-diverged"

    def __init__(self, component: str, differing: Sequence[Upgrade]) -> None:
        """Name the packages that are not at their planned version."""
        listed = ", ".join(f"{u.name} {u.new_version}" for u in differing[:10])
        super().__init__(
            f"Component {component} did not apply exactly the upgrades that were planned.",
            context=f"Not at the planned version: {listed}",
            hint="Build again; if the archive changed in between, the new list is taken.",
        )


def applied_upgrades(component: str, planned: Upgrades, machine: Machine) -> Upgrades:
    """Give the upgrades that a component applied, each with the CVEs that its changelog names.

    Raises: UpgradeDiverged: one of them is not at its planned version.
    """
    listed = [u for update in planned.values() for u in update.upgrades]
    said = machine.run(applied_script(listed)).stdout.decode(errors="replace")
    differing = applied_of(said, listed).differing
    if differing:
        raise UpgradeDiverged(component, differing)
    return {
        step: replace(update, upgrades=applied_of(said, update.upgrades).upgrades)
        for step, update in planned.items()
    }


def kept(blobs: BlobStore, upgrades: Upgrades) -> dict[str, Digest]:
    """Keep upgrades and give them as a layer's evidence."""
    return {EVIDENCE: blobs.put(canonical_json(upgrades_document(upgrades)))}


def recalled(blobs: BlobStore, layer: Layer) -> Upgrades | None:
    """Give the upgrades that a layer was made with, or None when nothing is known of any."""
    digest = layer.evidence.get(EVIDENCE)
    if digest is None:
        return None
    try:
        return upgrades_of(json.loads(blobs.read(digest)))
    except (BlobMissing, DigestMismatch, ValueError):
        # The layer is as good without: what it holds was checked when it was made.
        return None
