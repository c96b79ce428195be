"""`imagebuilder image whatis`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson
from imagebuilder.cli.output import print_json, print_lines, told_errors
from imagebuilder.cli.progress import copying

if TYPE_CHECKING:
    from imagebuilder.cli.output import Json
    from imagebuilder.domain.trace import Identity, TracedVersion

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


def whatis(
    thing: Annotated[
        str,
        typer.Argument(
            metavar="X",
            help="A version, channel, run, digest, file, or the id of a placement (an AMI).",
            show_default=False,
        ),
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Say what something is, of which versions, how they stand and where they were put."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application

        identifying = Application().identifying
        file = Path(thing)
        if _is_file(file):
            with copying(f"reading {file.name}", file.stat().st_size) as on_bytes:
                found = identifying.of_file(file, on_bytes)
        else:
            found = identifying.whatis(thing)
        if as_json:
            print_json([_identity_json(identity) for identity in found])
            return
        print_lines(*(line for identity in found for line in _lines(identity)))


def _is_file(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _lines(identity: "Identity") -> Iterator[str]:
    trace = identity.trace
    digest = f" {trace.digest}" if trace.digest else ""
    through = f", {identity.through}" if identity.through else ""
    yield f"{trace.kind} {trace.name}".rstrip() + digest + through
    for version in identity.versions:
        yield f"  {_version_line(version)}"
        for placed in version.placements:
            since = f"withdrawn from {placed.target}" if placed.withdrawn else f"at {placed.target}"
            yield f"    {placed.external_id} {since}"
    if trace.has_more:
        yield "  and versions recorded before these"
    if not identity.versions:
        yield "  no version came of it"


def _version_line(version: "TracedVersion") -> str:
    channels = f" [{', '.join(version.channels)}]" if version.channels else ""
    return f"{version.reference} {version.state}{channels}"


def _identity_json(identity: "Identity") -> "dict[str, Json]":
    trace = identity.trace
    return {
        "kind": trace.kind,
        "name": trace.name,
        "digest": str(trace.digest) if trace.digest else None,
        "through": identity.through or None,
        "versions": [_version_json(version) for version in identity.versions],
        "has_more": trace.has_more,
    }


def _version_json(version: "TracedVersion") -> "dict[str, Json]":
    from imagebuilder.cli.placement import placement_json

    placements: Sequence[dict[str, Json]] = [
        placement_json(placement, version.reference) for placement in version.placements
    ]
    return {
        "reference": version.reference,
        "id": version.id,
        "state": version.state,
        "channels": list(version.channels),
        "placements": placements,
    }
