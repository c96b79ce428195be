"""The outcome of a build: its exit status says little, so events and manifest must both say so."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagebuilder.adapters.packer.events import Made, Told
from imagebuilder.adapters.packer.manifest import Listed
from imagebuilder.ports.live_builds import LiveBuildFailed, LiveOutcome, LivePlace, LiveProduct

_PLACED = re.compile(r"(?P<region>[a-z0-9-]+):(?P<id>[^,:]+)")
_NO_IMAGE = {"Null", "File"}
"""What the builders that make no image call all that they make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How Packer ended, and what it said and wrote. Files are named from `folder`."""

    exit_status: int
    told: Told
    listed: Mapping[str, Listed]
    folder: Path
    last_lines: str = ""


def outcome_of(wanted: Sequence[str], ending: Ending) -> LiveOutcome:
    """Give what was made of the wanted sources, and which of them failed.

    Raises: LiveBuildFailed: nothing was made.
    """
    products, failures = [], {}
    for name in wanted:
        made = [each for each in ending.told.made if each.build == name]
        fault = _fault(name, made, ending)
        if fault:
            failures[name] = fault
        else:
            products.append(_product(name, made, ending.folder))
    if ending.exit_status != 0 and not failures:
        failures[wanted[0]] = f"packer ended with exit status {ending.exit_status}"
        products = []
    if not products:
        name, reason = next(iter(failures.items()))
        raise LiveBuildFailed(name, reason, ending.last_lines)
    return LiveOutcome(products=tuple(products), failures=failures)


def _fault(name: str, made: Sequence[Made], ending: Ending) -> str:
    """Say why a source counts as failed; nothing when it does not."""
    if name in ending.told.errors:
        return ending.told.errors[name].strip().rstrip(".")
    listed = ending.listed.get(name)
    if not made or listed is None:
        return "packer ended without an artifact of it"
    if listed.artifact_id not in {each.id for each in made}:
        return f"its events tell of {made[0].id} and its manifest of {listed.artifact_id}"
    missing = [file for file in listed.files if not (ending.folder / file).is_file()]
    return f"its file {missing[0]} is not there" if missing else ""


def _product(name: str, made: Sequence[Made], folder: Path) -> LiveProduct:
    files = dict.fromkeys(file for each in made for file in each.files)
    ids = dict.fromkeys(each.id for each in made if not each.files and each.id not in _NO_IMAGE)
    return LiveProduct(
        source=name,
        files=tuple(folder / file for file in files),
        places=tuple(place for each in ids for place in _places(each)),
    )


def _places(known_as: str) -> list[LivePlace]:
    """Give the images that an id names: region:id, parted by commas, or one that has no region."""
    parts = known_as.split(",")
    found = [_PLACED.fullmatch(part) for part in parts]
    if all(found):
        return [LivePlace(region=m["region"], id=m["id"]) for m in found if m is not None]
    return [LivePlace(region="", id=known_as)]
