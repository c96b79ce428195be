"""Versions and lineages as people read them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from imagebuilder.cli.image_shape import counted_outcomes
from imagebuilder.cli.output import moment_text, print_lines, print_table
from imagebuilder.cli.version_columns import COLUMNS
from imagebuilder.domain.distribution import Placement, PlacementState
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.search import FoundVersion
from imagebuilder.domain.units import duration_text, size_text
from imagebuilder.domain.updates import recorded_updates, update_text

if TYPE_CHECKING:
    from imagebuilder.services.revoking import ToldOfVersion


def print_version(
    version: ImageVersion,
    parent_reference: str | None,
    told: "ToldOfVersion",
    notes: Iterable[tuple[str, str]],
) -> None:
    """Show a version: what it is, then its artifacts, layers and tests."""
    parent = version.parent.asked
    facts = (
        ("version", version.reference),
        ("id", version.id),
        ("state", told.standing.state),
        *_revocation_facts(told),
        ("channels", ", ".join(told.channels) or "none"),
        *notes,
        ("created", moment_text(version.created_at)),
        ("run", version.run_id),
        ("parent", f"{parent}, which was {parent_reference}" if parent_reference else parent),
        ("packages", str(len(version.packages))),
        ("updates", update_text([recorded_updates(version.plan)])),
        ("plan", str(version.plan_digest)),
    )
    print_lines(*(f"{name:10}{value}" for name, value in facts), "")
    print_table(
        ("ARTIFACT", "SIZE", "DISK", "DIGEST"),
        [
            (a.format, size_text(a.size_bytes), size_text(a.virtual_size_bytes), str(a.digest))
            for a in version.artifacts
        ],
    )
    print_lines("")
    print_table(
        ("LAYER", "VERSION", "SIZE", "CONTENT"),
        [
            (x.name, x.component_version or "-", size_text(x.size_bytes), x.content.short)
            for x in version.layers
        ],
    )
    if version.reports:
        print_lines("")
        print_table(("TESTS", "RESULT", "TOOK"), list(_test_rows(version)))


def _revocation_facts(told: "ToldOfVersion") -> Iterator[tuple[str, str]]:
    revocation = told.standing.revocation
    if revocation is not None:
        of = f", inherited from {told.revoked}" if told.standing.is_inherited else ""
        said = f"as of {moment_text(revocation.in_force_at)} by {revocation.act.actor}{of}"
        yield "revoked", f"{said}: {revocation.act.why}"


def notes_text(found: FoundVersion, placements: Sequence[Placement]) -> Iterator[tuple[str, str]]:
    """Give what is noted on a version, and where it was put, a fact a line."""
    if found.labels:
        yield "labels", COLUMNS["labels"](found)
    if found.notes.description:
        yield "about", " ".join(found.notes.description.split())
    for placement in placements:
        state = "" if placement.state is PlacementState.PLACED else f", {placement.state}"
        yield "placed", f"{placement.external_id} at {placement.target}{state}"


def _test_rows(version: ImageVersion) -> Iterator[tuple[str, str, str]]:
    for report in version.reports:
        counts = counted_outcomes(report)
        result = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
        shaky = sum(each.is_shaky for each in report.results)
        result += f" ({shaky} on a retry)" if shaky else ""
        yield report.stage, result or "none", duration_text(report.seconds)
