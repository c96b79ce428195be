"""`imagebuilder image attest` and `imagebuilder image attestations`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson, ReferenceArgument
from imagebuilder.cli.output import moment_text, note, print_json, print_table, told_errors
from imagebuilder.domain.attestation import Attestation, newest_of_each, predicate_word
from imagebuilder.ports.locks import STORE_LOCK

if TYPE_CHECKING:
    from imagebuilder.cli.output import Json

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


def attest(reference: ReferenceArgument, *, as_json: AsJson = False) -> None:
    """Sign what is known of a version with the key in the settings, again if it was before."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application

        application = Application()
        version = application.cataloguing.show(reference)
        with application.locks.share(STORE_LOCK, f"image attest {version.reference}"):
            signed = application.attesting.attest(version)
        if as_json:
            print_json([attestation_json(each) for each in signed])
            return
        _print(signed)


def attestations(
    reference: ReferenceArgument,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Write the last bundle of each kind and key there, one a file.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what was signed about a version, by which key and when."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application

        application = Application()
        version = application.cataloguing.show(reference)
        signed = application.attesting.of(version.id)
        if output is not None:
            written = _write(output, application.attesting.bundles(version.id))
            note(f"{written} bundles written to {output}")
        if as_json:
            print_json([attestation_json(each) for each in signed])
            return
        if not signed:
            note(f"{version.reference} is not signed; sign it with: imagebuilder image attest")
        _print(signed)


def attestation_json(attestation: Attestation) -> "dict[str, Json]":
    """Give the record of what was signed."""
    return {
        "predicate": predicate_word(attestation.predicate_type),
        "predicate_type": attestation.predicate_type,
        "bundle": str(attestation.bundle),
        "key": attestation.key_id.hex,
        "signed_at": attestation.signed_at.isoformat(),
    }


def signed_text(signed: Sequence[Attestation]) -> str:
    """Say in a line what is signed, and with which keys."""
    if not signed:
        return "no"
    newest = newest_of_each(signed)
    words = dict.fromkeys(predicate_word(each.predicate_type) for each in newest)
    keys = dict.fromkeys(each.key_id.short for each in newest)
    return f"{', '.join(words)} (key {', '.join(keys)})"


def _print(signed: Sequence[Attestation]) -> None:
    print_table(
        ("SAYS", "KEY", "SIGNED", "BUNDLE"),
        [
            (
                predicate_word(each.predicate_type),
                each.key_id.short,
                moment_text(each.signed_at),
                each.bundle.short,
            )
            for each in signed
        ],
    )


def _write(folder: Path, bundles: Sequence[tuple[Attestation, bytes]]) -> int:
    from imagebuilder.ports.blobs import CopyFailed

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, (attestation, content) in enumerate(bundles):
            word = predicate_word(attestation.predicate_type).rpartition("/")[2].rpartition(":")[2]
            (folder / f"{number}-{word}.sigstore.json").write_bytes(content + b"\n")
    except OSError as error:
        raise CopyFailed(folder, str(error)) from error
    return len(bundles)
