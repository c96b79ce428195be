"""`imagebuilder verify`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson, references
from imagebuilder.cli.output import note, print_json, print_lines, told_errors
from imagebuilder.cli.progress import copying
from imagebuilder.cli.signed_files import public_key_of, small_file
from imagebuilder.domain.attestation import PredicateType, predicate_word
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.verification import Expectation, NothingToVerify, Unsigned, Verified
from imagebuilder.ports.traces import FileUnreadable

if TYPE_CHECKING:
    from imagebuilder.cli.output import Json
    from imagebuilder.domain.image import ImageVersion

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time

_ENDINGS = (".sigstore.jsonl", ".sigstore.json")
_FILE_ENDINGS = (".qcow2", ".raw", ".img", ".tar", ".json", ".jsonl", ".pub", ".gz", ".xz")


def verify(  # noqa: PLR0913 - the options of a command are its parameters
    thing: Annotated[
        str,
        typer.Argument(
            metavar="FILE|REF",
            help="An artifact's file, or a version of this catalogue.",
            autocompletion=references,
            show_default=False,
        ),
    ],
    *,
    keys: Annotated[
        list[Path] | None,
        typer.Option("--key", metavar="PUB", help="The public key that must have signed."),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle", metavar="BUNDLE", help="What was signed; by default FILE.sigstore.jsonl."
        ),
    ] = None,
    predicates: Annotated[
        list[str] | None,
        typer.Option(
            "--predicate",
            metavar="WORD|URI",
            help="What must be signed: provenance (the default), bill, tests, assurance, "
            "promotion, or a type's URI.",
            autocompletion=lambda: [known.word for known in PredicateType],
        ),
    ] = None,
    image: Annotated[
        str, typer.Option("--image", metavar="NAME", help="Of which image, or version, it must be.")
    ] = "",
    builder: Annotated[
        str, typer.Option("--builder", metavar="URI", help="Who must have built it.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Check that an artifact is what was signed; a file needs no catalogue and no network."""
    with told_errors(as_json=as_json):
        wanted = Expectation(
            keys=tuple(public_key_of(path) for path in keys or ()),
            predicates=_predicates(predicates or ()),
            image=image,
            builder=builder,
        )
        file = Path(thing)
        if _is_there(file):
            verified = [_of_file(file, bundle, wanted)]
        elif _looks_like_a_file(thing) or bundle is not None:
            raise FileNotThere(thing)
        else:
            verified = _of_version(thing, wanted)
        if as_json:
            print_json([_verified_json(each) for each in verified])
            return
        for each in verified:
            _print(each)


def _predicates(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(map(_predicate, words)) or (PredicateType.PROVENANCE,)


def _predicate(word: str) -> str:
    try:
        return PredicateType.parse(word)
    except ValueError as error:
        # A type that others made is asked for by its whole URI.
        if ":" in word:
            return word
        raise PredicateUnknown(word) from error


def _looks_like_a_file(thing: str) -> bool:
    return thing.startswith((".", "/", "~")) or thing.endswith(_FILE_ENDINGS)


def _of_version(reference: str, wanted: Expectation) -> list[Verified]:
    """Check every artifact of a version with the keys given, or with those it was signed by.

    Of one that lies elsewhere alone, where that is is checked: its bytes are not ours to read.
    """
    from dataclasses import replace

    from imagebuilder.bootstrap import Application
    from imagebuilder.formats.sigstore import lines_of
    from imagebuilder.ports.locks import STORE_LOCK
    from imagebuilder.wiring.signing import verifying

    application = Application()
    version = application.cataloguing.show(reference)
    bundles = [content for _, content in application.attesting.bundles(version.id)]
    if not bundles:
        hint = f"Sign it with: imagebuilder image attest {version.reference}"
        raise Unsigned(version.reference, "Nothing was signed about it.", hint)
    keys = wanted.keys or application.attesting.believed()
    if not keys:
        raise KeyNotGiven
    wanted = replace(wanted, keys=keys)
    bundle = (f"of {version.reference}", lines_of(bundles))
    if not version.artifacts:
        return [_of_places(version, bundle, wanted)]
    found = []
    with application.locks.share(STORE_LOCK, f"verify {version.reference}"):
        application.retiring.require_files(version)
        for artifact in version.artifacts:
            name = f"{version.reference} {artifact.format}"
            path = application.blobs.path(artifact.digest)
            with copying(f"reading {name}", artifact.size_bytes) as on_bytes:
                checked = verifying().file(path, bundle, wanted, on_bytes)
            found.append(replace(checked, artifact=name))
    return found


def _of_places(version: "ImageVersion", bundle: tuple[str, bytes], wanted: Expectation) -> Verified:
    from imagebuilder.domain.packer import made_elsewhere, stand_in
    from imagebuilder.wiring.signing import verifying

    places = made_elsewhere(version.plan)
    if not places:
        raise NothingToVerify(version.reference)
    told = ", ".join(f"{place.target} {place.external_id}" for place in places)
    name = f"the record that {version.reference} is {told}"
    verified = verifying().digest(name, stand_in(version.plan), bundle, wanted)
    note(f"{version.reference} has no file here; what lies there was not read.")
    return verified


def _of_file(file: Path, bundle: Path | None, wanted: Expectation) -> Verified:
    from imagebuilder.wiring.signing import verifying

    if not wanted.keys:
        raise KeyNotGiven
    found = _bundle_of(file) if bundle is None else bundle
    try:
        content = small_file(found)
    except OSError as error:
        raise FileUnreadable(found, f"{error.strerror}.") from error
    with copying(f"reading {file.name}", file.stat().st_size) as on_bytes:
        return verifying().file(file, (str(found), content), wanted, on_bytes)


def _bundle_of(file: Path) -> Path:
    beside = [file.with_name(file.name + ending) for ending in _ENDINGS]
    for path in beside:
        if _is_there(path):
            return path
    raise Unsigned(
        str(file),
        f"There is no {' and no '.join(path.name for path in beside)} beside it.",
        "Name the bundle with --bundle; imagebuilder image export writes it beside the artifact.",
    )


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _print(verified: Verified) -> None:
    from imagebuilder.services.verifying import provenance_facts

    print_lines(f"{verified.artifact} is what was signed", f"  {verified.digest}")
    for each in verified.statements:
        word = predicate_word(each.statement.predicate_type)
        print_lines(f"  {word:12}{each.key.algorithm} {each.key.id.short}")
        if each.statement.predicate_type == PredicateType.PROVENANCE:
            image, builder = provenance_facts(each.statement)
            print_lines(f"{'':14}of {image} by {builder}")
    if verified.others:
        note(f"{verified.others} more statements are signed with keys that were not given.")


def _verified_json(verified: Verified) -> "dict[str, Json]":
    from imagebuilder.services.verifying import provenance_facts

    statements: list[dict[str, Json]] = []
    for each in verified.statements:
        image, builder = provenance_facts(each.statement)
        statements.append(
            {
                "predicate_type": each.statement.predicate_type,
                "key": each.key.id.hex,
                "image": image or None,
                "builder": builder or None,
                "subjects": [
                    {"name": subject.name, "digest": str(subject.digest)}
                    for subject in each.statement.subjects
                ],
            }
        )
    return {
        "artifact": verified.artifact,
        "digest": str(verified.digest),
        "is_verified": True,
        "statements": statements,
        "signed_by_other_keys": verified.others,
    }


class KeyNotGiven(InvalidInput):
    """Nobody said whose signature is trusted."""

    code = "key-not-given"

    def __init__(self) -> None:
        """Say how to name it."""
        super().__init__(
            "No public key was given to verify with.",
            context="What a bundle says of its own key proves nothing.",
            hint="Name the public key of who built the image: --key FILE.pub",
        )


class PredicateUnknown(InvalidInput):
    """A word that no kind of statement is called by."""

    code = "predicate-unknown"

    def __init__(self, word: str) -> None:
        """Quote it and name those there are."""
        super().__init__(
            f"There is no predicate called {word[:80]!r}.",
            hint=f"Known are {', '.join(known.word for known in PredicateType)}, or any URI.",
        )


class FileNotThere(InvalidInput):
    """There is no such file, and no version is meant."""

    code = "file-not-there"

    def __init__(self, name: str) -> None:
        """Name it."""
        super().__init__(
            f"There is no file {name[:200]}.",
            hint="Name the file of an artifact, such as one that imagebuilder image export wrote.",
        )
