"""Signer, Verifier, KeyOpener: who signs, and who checks.

Every adapter must keep: a private key never leaves its place, and neither it nor what opens it
stands in an error, a log or an argument; what a signer signed, the verifier takes with the signer's
public key, and with no other.
"""

from pathlib import PurePath
from typing import Protocol

from imagebuilder.domain.attestation import PublicKey
from imagebuilder.domain.errors import InvalidInput, Refused, Unavailable


class Signer(Protocol):
    """A private key at work."""

    @property
    def public_key(self) -> PublicKey:
        """What its signatures are checked with."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Give a signature of a message. Raises: SignerUnavailable; KeyUnusable: a wrong PIN."""
        ...


class Verifier(Protocol):
    """Knows public keys, and checks signatures."""

    def public_key(self, content: bytes, name: str) -> PublicKey:
        """Give the public key that a PEM file called `name` holds. Raises: KeyUnusable."""
        ...

    def is_signed(self, message: bytes, signature: bytes, key: PublicKey) -> bool:
        """Whether a signature is of this message, by this key."""
        ...


class KeyOpener(Protocol):
    """Opens the key that the settings name."""

    def signer(self) -> Signer | None:
        """Give the signer, None when no key is named.

        Raises: KeyUnusable; KeyExposed; SignerUnavailable; SecretMissing.
        """
        ...


class KeyUnusable(InvalidInput):
    """A key is not what it must be."""

    code = "key-unusable"

    def __init__(self, name: str, reason: str, hint: str) -> None:
        """Name where it was looked for, never what it holds."""
        super().__init__(f"The key {name} cannot be used.", context=reason, hint=hint)


class KeyExposed(Refused):
    """Others could read a private key, or put another in its place."""

    code = "key-exposed"

    def __init__(self, name: str, reason: str, hint: str) -> None:
        """Say who could."""
        super().__init__(f"The private key {name} is not safe.", context=reason, hint=hint)


class KeyFileThere(Refused):
    """A key is never written over something."""

    code = "key-file-there"

    def __init__(self, path: PurePath) -> None:
        """Name the file."""
        super().__init__(
            f"{path} is there already.",
            context="What a key signed could not be signed again if it were lost.",
            hint="Name another file; to replace a key in use: imagebuilder key rotate",
        )


class SignerUnavailable(Unavailable):
    """What holds the private key does not answer, or does not sign."""

    code = "signer-unavailable"

    def __init__(self, name: str, reason: str) -> None:
        """Name the key and say what was answered."""
        super().__init__(
            f"The key {name} does not sign now.",
            context=reason,
            hint="See to what holds it; what was recorded meanwhile is signed later with: "
            "imagebuilder image attest REF",
        )
