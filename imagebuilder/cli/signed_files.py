"""Small files that others made: public keys and bundles."""

import os
import stat
from pathlib import Path

from imagebuilder.domain.attestation import PublicKey
from imagebuilder.formats.sigstore import LARGEST_BYTES
from imagebuilder.ports.signing import KeyUnusable

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


def small_file(path: Path) -> bytes:
    """Give what a plain file holds, and a byte more than a bundle may have at most.

    Raises: OSError.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "It is no plain file")
        return file.read(LARGEST_BYTES + 1)


def public_key_of(file: Path) -> PublicKey:
    """Give the public key of a PEM file. Raises: KeyUnusable."""
    from imagebuilder.wiring.signing import verifying

    hint = "Name the file of a public key in PEM form, such as FILE.pub."
    try:
        content = small_file(file)
    except OSError as error:
        raise KeyUnusable(str(file), f"{error.strerror}.", hint) from error
    return verifying().key(content, str(file))
