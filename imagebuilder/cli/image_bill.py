"""`imagebuilder image bill`."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson, ReferenceArgument
from imagebuilder.cli.output import note, print_json, print_lines, print_table, told_errors, write
from imagebuilder.cli.written_files import ForceOption, write_new

if TYPE_CHECKING:
    from imagebuilder.cli.output import Json
    from imagebuilder.domain.bill import Bill

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


class BillFormat(StrEnum):
    """How a bill is written."""

    TABLE = "table"
    JSON = "json"
    CYCLONEDX = "cyclonedx"
    CYCLONEDX_1_6 = "cyclonedx-1.6"
    SPDX = "spdx"


def bill(
    reference: ReferenceArgument,
    *,
    format_: Annotated[
        BillFormat, typer.Option("--format", help="CycloneDX is of version 1.7, SPDX of 2.3.")
    ] = BillFormat.TABLE,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The file to write, if no pipe."),
    ] = None,
    force: ForceOption = False,
    as_json: AsJson = False,
) -> None:
    """Show what a version is made of: its packages, with the digests of their files, and more."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application

        found = Application().billing.show(reference)
        wanted = BillFormat.JSON if as_json and format_ is BillFormat.TABLE else format_
        if output is not None:
            write_new(output, _document(found, wanted), replaces=force)
            print_lines(str(output))
        elif wanted is BillFormat.TABLE:
            _print_bill(found)
        elif wanted is BillFormat.JSON:
            print_json(bill_json(found))
        else:
            write(_document(found, wanted).decode())
        for gap in found.contents.gaps:
            note(f"Not known are {gap}.")


def _document(found: "Bill", wanted: BillFormat) -> bytes:
    """Give a bill as bytes; a table for people is no file's form, and its JSON stands for it."""
    from imagebuilder import __version__
    from imagebuilder.formats.cyclonedx import CycloneDxVersion, cyclonedx
    from imagebuilder.formats.spdx import spdx

    match wanted:
        case BillFormat.CYCLONEDX:
            return cyclonedx(found, __version__, CycloneDxVersion.V1_7)
        case BillFormat.CYCLONEDX_1_6:
            return cyclonedx(found, __version__, CycloneDxVersion.V1_6)
        case BillFormat.SPDX:
            return spdx(found, __version__)
        case BillFormat.TABLE | BillFormat.JSON:
            import json

            return json.dumps(bill_json(found), indent=2, ensure_ascii=False).encode() + b"\n"


def bill_json(found: "Bill") -> "Json":
    """Give a bill in the lasting shape that docs/cli.md tells."""
    from imagebuilder.formats.package_url import package_url

    release = found.contents.release
    return {
        "reference": found.reference,
        "release": release.name,
        "title": release.title,
        "unknown": list(found.contents.gaps),
        "parts": [
            {
                "kind": part.kind,
                "name": part.name,
                "version": part.version,
                "digest": None if part.digest is None else str(part.digest),
            }
            for part in found.parts
        ],
        "packages": [
            {
                "name": each.package.name,
                "version": each.package.version,
                "architecture": each.package.architecture,
                "source": each.package.source,
                "source_version": each.package.source_version,
                "purl": package_url(each.package, release),
                "digest": None if each.archive is None else str(each.archive),
            }
            for each in found.contents.packages
        ],
        "software": [
            {
                "name": each.name,
                "version": each.version,
                "purl": each.url,
                "path": each.path,
            }
            for each in found.contents.software
        ],
    }


def _print_bill(found: "Bill") -> None:
    release = found.contents.release
    known = sum(each.archive is not None for each in found.contents.packages)
    title = f", {release.title}" if release.title else ""
    print_lines(
        f"version   {found.reference}",
        f"release   {release.name}{title}",
        f"packages  {len(found.contents.packages)}, of {known} the file's digest is known",
        "",
    )
    print_table(
        ("PART", "NAME", "VERSION", "DIGEST"),
        [
            (p.kind, p.name, p.version or "-", p.digest.short if p.digest else "-")
            for p in found.parts
        ],
    )
    print_lines("")
    print_table(
        ("PACKAGE", "VERSION", "ARCH", "SOURCE", "DIGEST OF FILE"),
        [
            (
                each.package.name,
                each.package.version,
                each.package.architecture,
                each.package.source,
                each.archive.short if each.archive else "-",
            )
            for each in found.contents.packages
        ],
    )
    if found.contents.software:
        print_lines("")
        print_table(
            ("INSTALLED OTHERWISE", "VERSION", "TOLD BY"),
            [(each.name, each.version or "-", each.path) for each in found.contents.software],
        )
