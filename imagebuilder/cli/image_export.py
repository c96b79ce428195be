"""`imagebuilder image export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson, ReferenceArgument
from imagebuilder.cli.output import note, print_json, print_lines, told_errors
from imagebuilder.cli.progress import copying
from imagebuilder.domain.errors import InvalidInput, Refused
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.units import size_text
from imagebuilder.ports.blobs import CopyFailed
from imagebuilder.ports.locks import STORE_LOCK

if TYPE_CHECKING:
    from imagebuilder.bootstrap import Application
    from imagebuilder.domain.artifact import Artifact
    from imagebuilder.domain.image import ImageVersion


def export(  # noqa: PLR0913 - typer takes each option as a parameter
    reference: ReferenceArgument,
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The file to write.", show_default=False
        ),
    ],
    format_: Annotated[
        ArtifactFormat, typer.Option("--format", help="Which of its artifacts.")
    ] = ArtifactFormat.QCOW2,
    bundle: Annotated[
        bool,
        typer.Option(
            "--bundle/--no-bundle", help="Write what was signed to FILE.sigstore.jsonl beside it."
        ),
    ] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy an artifact of a version to a file, verified on the way."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application  # noqa: PLC0415 - start-up

        application = Application()
        version = application.cataloguing.show(reference)
        artifact = artifact_of(version, (format_,))
        for path in (output, bundle_path(output)) if bundle else (output,):
            if not force and (path.exists() or path.is_symlink()):
                raise FileThere(path)
        with (
            application.locks.share(STORE_LOCK, f"image export {version.reference}"),
            copying(f"{version.reference} {format_}", artifact.size_bytes) as on_bytes,
        ):
            application.retiring.require_files(version)
            application.blobs.copy_to(artifact.digest, output, on_bytes)
            signed = _write_bundle(application, version, output) if bundle else None
        if as_json:
            print_json(
                {
                    "reference": version.reference,
                    "format": artifact.format,
                    "path": str(output.absolute()),
                    "digest": str(artifact.digest),
                    "size_bytes": artifact.size_bytes,
                    "bundle": str(signed.absolute()) if signed else None,
                }
            )
            return
        print_lines(str(output), str(artifact.digest), *([str(signed)] if signed else []))
        if bundle and signed is None:
            note(f"{version.reference} is not signed: no bundle was written.")


def bundle_path(output: Path) -> Path:
    """Give where the bundle of an artifact's file lies."""
    return output.with_name(f"{output.name}.sigstore.jsonl")


def _write_bundle(application: "Application", version: "ImageVersion", output: Path) -> Path | None:
    """Write what was signed beside an artifact; what lay there spoke of another file."""
    from imagebuilder.formats.sigstore import lines_of  # noqa: PLC0415 - start-up

    path = bundle_path(output)
    bundles = [content for _, content in application.attesting.bundles(version.id)]
    try:
        path.unlink(missing_ok=True)
        if not bundles:
            return None
        path.write_bytes(lines_of(bundles))
    except OSError as error:
        raise CopyFailed(path, str(error)) from error
    return path


def artifact_of(version: "ImageVersion", formats: tuple[ArtifactFormat, ...]) -> "Artifact":
    """Give the version's artifact in the first of some formats that it has.

    Raises: ArtifactNotMade: it has none of them.
    """
    made = {artifact.format: artifact for artifact in version.artifacts}
    for format_ in formats:
        if format_ in made:
            return made[format_]
    raise ArtifactNotMade(version.reference, formats, tuple(made))


class ArtifactNotMade(InvalidInput):
    """A version was not built in the format that is asked for."""

    code = "artifact-not-made"

    def __init__(
        self,
        reference: str,
        asked: tuple[ArtifactFormat, ...],
        made: tuple[ArtifactFormat, ...],
    ) -> None:
        """Name the formats it has."""
        super().__init__(
            f"{reference} has no {' or '.join(asked)} artifact.",
            context=f"It was built as {', '.join(made)}.",
            hint=f"Add {asked[0]} to artifacts in its recipe and build it again.",
        )


class FileThere(Refused):
    """A file is in the way that nobody said may be replaced."""

    code = "file-there"

    def __init__(self, path: Path) -> None:
        """Name it."""
        size = size_text(path.stat().st_size) if path.is_file() else "no plain file"
        super().__init__(
            f"{path} is there already.",
            context=f"It is {size}.",
            hint="Name another file, or add --force to replace it.",
        )
