"""`imagebuilder key`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson, Why
from imagebuilder.cli.output import (
    moment_text,
    note,
    print_json,
    print_lines,
    print_table,
    told_errors,
    write,
)
from imagebuilder.cli.signed_files import public_key_of
from imagebuilder.domain.attestation import KeyAlgorithm, KeyState, NoSigningKey, PublicKey
from imagebuilder.domain.errors import InvalidInput, WrongState

if TYPE_CHECKING:
    from imagebuilder.cli.output import Json
    from imagebuilder.domain.attestation import KnownKey
    from imagebuilder.ports.signing import Signer

app = typer.Typer(help="Keys that versions are signed with.", no_args_is_help=True)

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time

_KINDS = {"ecdsa": KeyAlgorithm.ECDSA_P256, "ed25519": KeyAlgorithm.ED25519}

KeyType = Annotated[
    str,
    typer.Option(
        "--type",
        metavar="ecdsa|ed25519",
        help="What it signs with; cosign and most others know ecdsa (P-256).",
        autocompletion=lambda: list(_KINDS),
    ),
]
PassphraseOption = Annotated[
    str | None,
    typer.Option(
        "--passphrase",
        metavar="env:NAME|file:PATH",
        help="Where the passphrase is that it is encrypted with; by default signing_passphrase.",
        show_default=False,
    ),
]
NoPassphrase = Annotated[
    bool, typer.Option("--no-passphrase", help="Write it without encryption, readable by us alone.")
]


@app.command()
def generate(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="The private key to write; FILE.pub is written beside it."
        ),
    ],
    *,
    kind: KeyType = "ecdsa",
    passphrase: PassphraseOption = None,
    no_passphrase: NoPassphrase = False,
    as_json: AsJson = False,
) -> None:
    """Make a key pair; the private one is encrypted, and only its owner can read it."""
    with told_errors(as_json=as_json):
        from imagebuilder.settings import read_settings
        from imagebuilder.wiring.signing import key_maker

        algorithm = algorithm_of(kind)
        usual = passphrase or read_settings().signing.passphrase
        secret = None if no_passphrase else chosen_passphrase(usual)
        key = key_maker().make(file, algorithm, secret)
        if as_json:
            print_json({**key_json(key), "path": str(file.absolute())})
            return
        print_lines(f"{key.algorithm} {key.id.hex}", f"private {file}", f"public  {file}.pub")
        note(f"Sign with it: set signing_key to file:{file.absolute()}")
        note(f"Give {file}.pub to whoever is to verify; keep a copy of the private key apart.")


@app.command()
def show(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="A public key in PEM form; by default that of the key in the settings.",
            show_default=False,
        ),
    ] = None,
    *,
    pem: Annotated[bool, typer.Option("--pem", help="Print the public key itself.")] = False,
    openpgp: Annotated[
        bool,
        typer.Option("--openpgp", help="Print that of the settings as gpg and systemd read it."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the id and the kind of a public key, or the key itself."""
    with told_errors(as_json=as_json):
        if openpgp:
            write(_openpgp())
            return
        key = _configured() if file is None else public_key_of(file)
        if as_json:
            print_json(key_json(key))
        elif pem:
            write(key.pem)
        else:
            print_lines(f"{key.algorithm} {key.id.hex}")


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List the public keys that signed in this catalogue, and whether they still count."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application

        known = Application().attesting.keys()
        if as_json:
            print_json([_known_json(each) for each in known])
            return
        print_table(
            ("KEY", "TYPE", "STATE", "FIRST USED", "ENDED"),
            [
                (
                    each.key.id.short,
                    each.key.algorithm,
                    each.state,
                    moment_text(each.first_used_at),
                    moment_text(each.ended.at if each.ended else None),
                )
                for each in known
            ],
        )


@app.command()
def retire(
    key_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="The key's id, or its start.", show_default=False),
    ],
    *,
    compromised: Annotated[
        bool,
        typer.Option("--compromised", help="Believe nothing that it signed, not even from before."),
    ] = False,
    why: Why = "",
    as_json: AsJson = False,
) -> None:
    """Note that a key signs no more; what it signed before can still be verified."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application

        state = KeyState.COMPROMISED if compromised else KeyState.RETIRED
        known = Application().attesting.end(key_id, state, why)
        if as_json:
            print_json({**key_json(known.key), "state": known.state})
            return
        print_lines(f"{known.key.id.short} {known.state}")


@app.command()
def rotate(
    *,
    kind: KeyType = "ecdsa",
    no_passphrase: NoPassphrase = False,
    why: Why = "",
    as_json: AsJson = False,
) -> None:
    """Put a new key in place of the key file in the settings; the old one is kept beside it."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.wiring.signing import key_maker

        application = Application()
        signing = application.settings.signing
        old = _configured()
        if not signing.key.startswith("file:"):
            raise KeyNotOurs(signing.key)
        algorithm = algorithm_of(kind)
        secret = None if no_passphrase else chosen_passphrase(signing.passphrase)
        path, maker = Path(signing.key.partition(":")[2]), key_maker()
        # Known first: whatever happens next, what the old key signed can be verified.
        application.attesting.know(old)
        aside = maker.move_aside(path, old)
        new = maker.make(path, algorithm, secret)
        application.attesting.know(new)
        why = why or f"rotated to {new.id.short}"
        ended = application.attesting.end(old.id.hex, KeyState.RETIRED, why)
        if as_json:
            print_json({**key_json(new), "path": str(path), "old": old.id.hex, "aside": str(aside)})
            return
        print_lines(
            f"{old.id.short} {ended.state}, kept as {aside}", f"{new.id.short} signs from now on"
        )
        note(f"Give {path}.pub to whoever is to verify; {aside.name} can be destroyed.")
        note("Sign with the new key what is in use with: imagebuilder image attest REF")


def _known_json(known: "KnownKey") -> "dict[str, Json]":
    return {
        **key_json(known.key),
        "state": known.state,
        "first_used_at": known.first_used_at.isoformat(),
        "ended_at": known.ended.at.isoformat() if known.ended else None,
        "why": known.ended.why if known.ended else None,
    }


def key_json(key: PublicKey) -> "dict[str, Json]":
    """Give a public key as JSON."""
    return {"id": key.id.hex, "algorithm": key.algorithm, "public_key": key.pem}


def algorithm_of(kind: str) -> KeyAlgorithm:
    """Give the algorithm of a --type. Raises: KeyTypeUnknown."""
    if kind not in _KINDS:
        raise KeyTypeUnknown(kind)
    return _KINDS[kind]


def chosen_passphrase(reference: str) -> bytes:
    """Give the passphrase of a reference, or ask for it where a person sits.

    Raises: SecretMissing; PassphraseWanted.
    """
    from imagebuilder.settings import secret_of

    if reference:
        return secret_of(reference)
    if not sys.stdin.isatty():
        raise PassphraseWanted
    typed: str = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
    return typed.encode()


def _openpgp() -> str:
    """Give the key in the settings, which has to sign its own name for that."""
    from imagebuilder.formats.openpgp import certificate

    signer = _signer()
    return certificate(signer.public_key, signer.sign)


def _configured() -> PublicKey:
    return _signer().public_key


def _signer() -> "Signer":
    from imagebuilder.settings import read_settings
    from imagebuilder.wiring.signing import named_key

    signer = named_key(read_settings()).signer()
    if signer is None:
        raise NoSigningKey
    return signer


class KeyTypeUnknown(InvalidInput):
    """A --type that no key is of."""

    code = "key-type-unknown"

    def __init__(self, kind: str) -> None:
        """Quote it and name those there are."""
        super().__init__(
            f"There is no type of key called {kind[:40]!r}.",
            hint=f"The types are {' and '.join(_KINDS)}.",
        )


class PassphraseWanted(InvalidInput):
    """A key is to be encrypted, and nobody can be asked with what."""

    code = "passphrase-wanted"

    def __init__(self) -> None:
        """Say how to name one."""
        super().__init__(
            "Nobody said what the private key is to be encrypted with.",
            context="There is no terminal to ask on.",
            hint="Name it with --passphrase env:NAME or file:PATH, or set signing_passphrase; "
            "--no-passphrase leaves the key unencrypted.",
        )


class KeyNotOurs(WrongState):
    """A key is held elsewhere, and is replaced there."""

    code = "key-not-ours"

    def __init__(self, uri: str) -> None:
        """Name it and say what to do instead."""
        super().__init__(
            f"The key {uri} is not a file: it is replaced where it is held.",
            hint="Make a new one there, set signing_key to it, and: imagebuilder key retire OLD-ID",
        )
