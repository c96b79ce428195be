"""Keys that are files: a private one that only its owner can read, and the public one beside it."""

import os
import stat
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from securesystemslib.signer import CryptoSigner

from imagebuilder.adapters.signing.public_keys import (
    LARGEST_KEY_BYTES,
    SUPPORTED,
    sslib_key,
    told,
)
from imagebuilder.domain.attestation import KeyAlgorithm, PublicKey
from imagebuilder.ports.signing import KeyExposed, KeyFileThere, KeyUnusable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

# ruff: noqa: PLC0415 - cryptography takes a tenth of a second to load

_OTHERS = 0o077


class LibrarySigner:
    """Signs with one of securesystemslib's signers whose private key is in this process."""

    def __init__(self, signer: CryptoSigner, public_key: PublicKey) -> None:
        """Sign with a signer that has this public key."""
        self._signer = signer
        self._public_key = public_key

    @property
    def public_key(self) -> PublicKey:
        """What its signatures are checked with."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """Give a signature of a message."""
        return bytes.fromhex(self._signer.sign(message).signature)


def opened_key_file(path: Path, passphrase: Callable[[], bytes | None]) -> LibrarySigner:
    """Give what signs with the private key in a file. Raises: KeyUnusable; KeyExposed."""
    content = _private_content(path)
    if b"PUBLIC KEY-----" in content:
        reason = "It is a public key, which signs nothing."
        raise KeyUnusable(str(path), reason, "Name the private key that belongs to it.")
    private = _loaded(path, content, passphrase())
    key = told(private.public_key(), str(path))
    return LibrarySigner(CryptoSigner(private, sslib_key(private.public_key(), key.id)), key)


class FileKeys:
    """Makes keys that are files."""

    def make(self, path: PurePath, algorithm: KeyAlgorithm, passphrase: bytes | None) -> PublicKey:
        """Write a private key that only its owner can read, and FILE.pub beside it.

        Raises: KeyFileThere; KeyUnusable: it cannot be written.
        """
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519
        from cryptography.hazmat.primitives.serialization import (
            BestAvailableEncryption,
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        private: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
        match algorithm:
            case KeyAlgorithm.ECDSA_P256:
                private = ec.generate_private_key(ec.SECP256R1())
            case KeyAlgorithm.ECDSA_P384:
                private = ec.generate_private_key(ec.SECP384R1())
            case KeyAlgorithm.ED25519:
                private = ed25519.Ed25519PrivateKey.generate()
        hiding = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hiding)
        key = told(private.public_key(), str(path))
        beside = _public(Path(path))
        if beside.exists():
            raise KeyFileThere(beside)
        _written(Path(path), pem, 0o600)
        _written(beside, key.pem.encode(), 0o644)
        return key

    def move_aside(self, path: PurePath, key: PublicKey) -> PurePath:
        """Give the two files of a key names that tell its id, and give that of the private one."""
        file = Path(path)
        aside = file.with_name(f"{file.name}.{key.id.short}")
        if aside.exists():
            raise KeyFileThere(aside)
        try:
            file.rename(aside)
            if _public(file).exists():
                _public(file).rename(_public(aside))
        except OSError as error:
            raise KeyUnusable(str(path), f"{error.strerror}.", _WRITE_HINT) from error
        return aside


def _private_content(path: Path) -> bytes:
    """Give what a file holds that nobody but us can read or exchange."""
    try:
        # Asked of the open file: what a name stands for can change in between.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        hint = "Make one with: imagebuilder key generate FILE; or correct signing_key."
        raise KeyUnusable(str(path), f"{error.strerror}.", hint) from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise KeyUnusable(str(path), "It is no plain file.", "Name the file of a private key.")
        if found.st_mode & _OTHERS:
            reason = f"Its mode is {stat.S_IMODE(found.st_mode):04o}: others may read or change it."
            hint = f"Run: chmod 600 {path}. If others did read it, make a new one: key rotate."
            raise KeyExposed(str(path), reason, hint)
        if found.st_uid != os.geteuid():
            reason = f"It belongs to user {found.st_uid}, and we are {os.geteuid()}."
            raise KeyExposed(str(path), reason, f"Run: chown {os.geteuid()} {path}")
        content = file.read(LARGEST_KEY_BYTES + 1)
    if len(content) > LARGEST_KEY_BYTES:
        raise KeyUnusable(str(path), "It is too large for a key.", "Name the file of a key.")
    return content


def _loaded(path: Path, content: bytes, passphrase: bytes | None) -> "PrivateKeyTypes":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    name, is_hidden = str(path), b"ENCRYPTED" in content
    if is_hidden and passphrase is None:
        hint = "Set signing_passphrase to env:NAME or file:PATH, and put the passphrase there."
        raise KeyUnusable(name, "It is encrypted, and no passphrase is named.", hint)
    if passphrase is not None and not is_hidden:
        hint = "Encrypt it with: openssl pkcs8 -topk8; or set no signing_passphrase."
        raise KeyUnusable(name, "It is not encrypted, though a passphrase is named.", hint)
    try:
        return load_pem_private_key(content, passphrase)
    except UnsupportedAlgorithm as error:
        raise KeyUnusable(name, f"{error}.", SUPPORTED) from error
    except (ValueError, TypeError) as error:
        # What the library says of a wrong passphrase is long, and says less.
        if is_hidden:
            reason = "The passphrase is not the one it was encrypted with, or the file is damaged."
            hint = "Put the right one where signing_passphrase says."
        else:
            reason, hint = "It is no private key in PEM form.", SUPPORTED
        raise KeyUnusable(name, reason, hint) from error


def _written(path: Path, content: bytes, mode: int) -> None:
    """Write a file that was not there, whole on the disk."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(path, flags, mode), "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise KeyFileThere(path) from error
    except OSError as error:
        raise KeyUnusable(
            str(path), f"It cannot be written: {error.strerror}.", _WRITE_HINT
        ) from error


def _public(path: Path) -> Path:
    return path.with_name(f"{path.name}.pub")


_WRITE_HINT = "Name a file in a folder that is there and that you may write to."
